"""How long a fake service thinks."""

from zlib import crc32


def get_latency_ms(name: str) -> int:
    """Between 50 and 150 milliseconds, always the same for a name."""
    return 50 + crc32(name.encode()) % 101
