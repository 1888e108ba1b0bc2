"""How long a fake service thinks."""

from collections.abc import Collection
from zlib import crc32


def get_latencies_ms(names: Collection[str], text: str = "") -> dict[str, int]:
    """Milliseconds for every name: as `text` says (`promo:80,recco:120`), else from 50 to 150.

    A name has the same latency always. Raises ValueError, which says what is wrong with `text`.
    """
    latencies = {name: 50 + crc32(name.encode()) % 101 for name in names}
    for entry in filter(None, text.split(",")):
        name, _, milliseconds = entry.partition(":")
        if name.strip() not in names:
            raise ValueError(f"{name.strip()!r} is not a service; there are {', '.join(names)}.")
        if not milliseconds.strip().isdecimal():
            raise ValueError(f"{entry!r} is not a service and its milliseconds, as in promo:80.")
        latencies[name.strip()] = int(milliseconds)
    return latencies
