"""Call a service and get its section, in the two ways of waiting.

Both go the same way: an answer that is still fresh, else a call that equal ones share, through the
bulkhead and the breaker, with a second try; and if all that fails, the last good answer.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from concurrent.futures import wait
from functools import partial

import httpx
from django.conf import settings

from fanout.answer import Answer
from fanout.call import Call
from fanout.coalescing import ashare, share
from fanout.last_good import CACHE_SECONDS, last_good
from fanout.section import Section
from fanout.service import Service
from fanout.time_limit import time_limit
from fanout.transport import get_async_transport
from fanout.visit import Visit

make_call: type[Call] = Call  # with telemetry a TracedCall


def fetch(transport: httpx.BaseTransport, service: Service, visit: Visit) -> Section:
    """Call `service`, blocking this thread. Never raises: what goes wrong is a failed section."""
    call = make_call(service, visit)
    try:
        answer = last_good.find(call.key, service.cache_for)
        if answer is None:
            answer = share(call.find_flight(), call.seconds, partial(_call, transport, call))
        return call.succeed(answer)
    except Exception as error:
        older = last_good.recall(call.key, service.stale_for)
        wait([older], visit.deadline.budget(CACHE_SECONDS))
        return call.fail(error, older)


async def afetch(transport: httpx.AsyncBaseTransport, service: Service, visit: Visit) -> Section:
    """Call `service`, leaving the event loop to others. Raises nothing but a cancellation."""
    call = make_call(service, visit)
    try:
        try:
            answer = last_good.find(call.key, service.cache_for)
            if answer is None:
                # pyreqwest goes on with a call that nobody waits for; so it counts, and is of use.
                stop = settings.FANOUT_TRANSPORT != "pyreqwest"
                make = partial(_acall, transport, call)
                answer = await ashare(call.find_flight(), call.seconds, make, stop=stop)
            return call.succeed(answer)
        except Exception as error:
            older = last_good.recall(call.key, service.stale_for)
            patience = visit.deadline.budget(CACHE_SECONDS)
            await asyncio.wait([asyncio.wrap_future(older)], timeout=patience)
            return call.fail(error, older)
    except asyncio.CancelledError:
        call.abandon()
        raise


async def afetch_as_completed(
    services: Iterable[Service], visit: Visit
) -> AsyncGenerator[Section, None]:
    """Call all `services` at once; their sections, first come first. To close it ends the calls."""
    async with get_async_transport() as transport:
        calls = [asyncio.create_task(afetch(transport, s, visit)) for s in services]
        try:
            for call in asyncio.as_completed(calls):
                yield await call
        finally:
            for task in calls:
                task.cancel()
            await asyncio.wait(calls)


def _call(transport: httpx.BaseTransport, call: Call) -> Answer:
    turn = call.service.bulkhead.enter()
    try:
        with time_limit(call.seconds):
            if not turn.done():
                wait([turn], call.seconds / 2)
            with call.guard(turn):
                try:
                    return _exchange(transport, call)
                except Exception as error:
                    if not call.may_retry(error):
                        raise
                    return _exchange(transport, call)
    finally:
        call.service.bulkhead.leave(turn)


async def _acall(transport: httpx.AsyncBaseTransport, call: Call) -> Answer:
    turn = call.service.bulkhead.enter()
    try:
        if not turn.done():
            await asyncio.wait([asyncio.wrap_future(turn)], timeout=call.seconds / 2)
        with call.guard(turn):
            try:
                return await _aexchange(transport, call)
            except Exception as error:
                if not call.may_retry(error):
                    raise
                return await _aexchange(transport, call)
    finally:
        call.service.bulkhead.leave(turn)


def _exchange(transport: httpx.BaseTransport, call: Call) -> Answer:
    response = transport.handle_request(call.make_request())
    try:
        body = call.receive(response)
        for chunk in response.iter_raw():
            body.add(chunk)
    finally:
        response.close()
    return call.keep(body)


async def _aexchange(transport: httpx.AsyncBaseTransport, call: Call) -> Answer:
    response = await transport.handle_async_request(call.make_request())
    try:
        body = call.receive(response)
        async for chunk in response.aiter_raw():
            body.add(chunk)
    finally:
        await response.aclose()
    return call.keep(body)
