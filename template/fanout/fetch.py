"""Call a service and get its section, in the two ways of waiting."""

import asyncio

import httpx

from fanout.call import Call
from fanout.deadline import Deadline
from fanout.section import Section
from fanout.service import Service
from fanout.time_limit import time_limit
from fanout.viewer import Viewer


def fetch(client: httpx.Client, service: Service, deadline: Deadline, viewer: Viewer) -> Section:
    """Call `service`, blocking this thread. Never raises: what goes wrong is a failed section."""
    call = Call(service, deadline, viewer)
    try:
        with time_limit(call.seconds), client.stream("GET", call.url) as response:
            call.check(response)
            for chunk in response.iter_raw():
                call.receive(chunk)
        return call.succeed()
    except Exception as error:
        return call.fail(error)


async def afetch(
    client: httpx.AsyncClient, service: Service, deadline: Deadline, viewer: Viewer
) -> Section:
    """Call `service`, leaving the event loop to others. Raises nothing but a cancellation."""
    call = Call(service, deadline, viewer)
    try:
        async with asyncio.timeout(call.seconds), client.stream("GET", call.url) as response:
            call.check(response)
            async for chunk in response.aiter_raw():
                call.receive(chunk)
        return call.succeed()
    except Exception as error:
        return call.fail(error)
