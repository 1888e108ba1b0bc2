"""A real Redis: processes share the last good answers, and do without it when it is gone."""

import time
from pathlib import Path

import httpx

from engine.commands import find_free_ports
from engine.resilience.programs import Start, wait_for


def ask(url: str) -> tuple[int, int]:
    """The status of a page, and how many of its sections are stale; it is there in time."""
    begin = time.monotonic()
    page = httpx.get(url, timeout=60)
    assert time.monotonic() - begin < 5.0
    return page.status_code, page.headers["Server-Timing"].count("desc=stale")


def test_processes_share_answers_through_redis(start: Start, tmp_path: Path) -> None:
    fakes_port, redis_port = find_free_ports(), find_free_ports()
    redis = start("redis-server", "--port", str(redis_port), "--save", "", "--dir", str(tmp_path))
    fakes = start("python", "manage.py", "fakes", "--port", str(fakes_port))
    wait_for(f"http://127.0.0.1:{fakes_port}/")

    def serve() -> str:
        port = find_free_ports()
        start(
            *("python", "-m", "uvicorn", "config.asgi:application", "--port", str(port)),
            FAKES_URL=f"http://127.0.0.1:{fakes_port}",
            CACHE_URL=f"valkey://127.0.0.1:{redis_port}/0",
        )
        wait_for(f"http://127.0.0.1:{port}/livez")
        return f"http://127.0.0.1:{port}/"

    first, second = serve(), serve()
    assert ask(first) == (200, 0)
    fakes.kill()
    fakes.wait()
    assert ask(first) == (200, 2)
    for _ in range(100):  # the first process writes off the way of its page
        if (shared := ask(second)) == (200, 2):
            break
        time.sleep(0.1)
    assert shared == (200, 2)
    redis.kill()
    redis.wait()
    assert [ask(first), ask(second), ask(serve())] == [(200, 2), (200, 2), (503, 0)]
