"""The moment in which a caller goes away."""

from starlette.requests import Request


async def wait_for_disconnect(request: Request) -> None:
    """Return once nobody waits for the answer any more."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
