"""Call a service and get its section, in the two ways of waiting.

Both go the same way: an answer that is still fresh, else a call that equal ones share, through the
bulkhead and the breaker, with a second try; and if all that fails, the last good answer.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from concurrent.futures import wait
from functools import partial
from typing import cast

import httpx
from django.conf import settings

from fanout.calls.answer import Answer, Reply
from fanout.calls.call import TIMEOUTS, Call
from fanout.calls.last_good import CACHE_SECONDS
from fanout.calls.request import Talk
from fanout.calls.section import Section
from fanout.calls.service import Service
from fanout.calls.transport import get_async_transport, get_transport
from fanout.calls.visit import Visit
from fanout.policies.coalescing import ashare, share
from fanout.policies.deadline import time_limit
from fanout.telemetry import load_tracing


def fetch(service: Service, visit: Visit, call: Call | None = None) -> Section:
    """Call `service`, blocking this thread. Never raises: what goes wrong is a failed section."""
    section = visit.sections[service.name] = _fetch(call or _start(service, visit), visit)
    return section


async def afetch(service: Service, visit: Visit) -> Section:
    """Call `service`, leaving the event loop to others. Raises nothing but a cancellation.

    What it comes `after` is awaited first, if that was begun before.
    """
    arrival = visit.arrivals[service.name] = asyncio.Event()
    try:
        for needed in service.after:
            if needed in visit.arrivals:
                await visit.arrivals[needed].wait()
        section = visit.sections[service.name] = await _afetch(_start(service, visit), visit)
        return section
    finally:
        arrival.set()


async def afetch_as_completed(
    services: Iterable[Service], visit: Visit
) -> AsyncGenerator[Section, None]:
    """Call all `services` at once; their sections, first come first. To close it ends the calls."""
    calls = [asyncio.create_task(afetch(service, visit)) for service in services]
    try:
        for call in asyncio.as_completed(calls):
            yield await call
    finally:
        for task in calls:
            task.cancel()
        await asyncio.wait(calls)


def _fetch(call: Call, visit: Visit) -> Section:
    try:
        answer = call.find_known()
        if answer is None:
            answer = share(call.flight, call.seconds, partial(_call, call))
        return call.succeed(answer)
    except Exception as error:
        return _fall_back(call, error, visit.deadline.budget(CACHE_SECONDS))


async def _afetch(call: Call, visit: Visit) -> Section:
    try:
        try:
            answer = call.find_known()
            if answer is None:
                # pyreqwest goes on with a call that nobody waits for; so it counts, and is of use.
                stop = settings.FANOUT_TRANSPORT != "pyreqwest"
                make = partial(_acall, call)
                answer = await ashare(call.flight, call.seconds, make, stop=stop)
            return call.succeed(answer)
        except Exception as error:
            return await _afall_back(call, error, visit.deadline.budget(CACHE_SECONDS))
    except asyncio.CancelledError:
        call.abandon()
        raise


# With frames of their own: those in the traceback of an error may outlive it for long, with all that
# they know, since httpcore makes cycles.


def _fall_back(call: Call, error: Exception, patience: float) -> Section:
    older = call.recall(error)
    wait([older], patience)
    return call.fail(error, older)


async def _afall_back(call: Call, error: Exception, patience: float) -> Section:
    older = call.recall(error)
    await asyncio.wait([asyncio.wrap_future(older)], timeout=patience)
    return call.fail(error, older)


def _start(service: Service, visit: Visit) -> Call:
    """A call, with a span of its own if telemetry is on."""
    tracing = load_tracing()
    call: Call = (tracing.TracedCall if tracing else Call)(service, visit)
    return call


def _call(call: Call) -> Answer:
    turn = call.service.bulkhead.enter()
    try:
        with time_limit(call.seconds):
            if not turn.done():
                wait([turn], call.seconds / 2)
            with call.guard(turn):
                while True:
                    try:
                        return _exchange(call)
                    except Exception as error:
                        if not call.spend_retry(error):
                            raise
    finally:
        call.service.bulkhead.leave(turn)


async def _acall(call: Call) -> Answer:
    turn = call.service.bulkhead.enter()
    try:
        if not turn.done():
            await asyncio.wait([asyncio.wrap_future(turn)], timeout=call.seconds / 2)
        with call.guard(turn):
            while True:
                try:
                    return await _aexchange(call)
                except Exception as error:
                    if not call.spend_retry(error):
                        raise
    finally:
        call.service.bulkhead.leave(turn)


def _exchange(call: Call) -> Answer:
    talk = call.begin()
    while True:
        request, send = talk.request, partial(_send, call, talk)
        if talk.errand:
            try:
                reply = share(talk.errand, call.get_left(), send)
            except TIMEOUTS:  # of whoever has sent it, and had less time
                call.get_left()
                continue
            if reply and talk.request is request:  # somebody else has sent it
                talk.go_on(reply.make_response())
        elif reply := send():
            return call.keep(reply)


async def _aexchange(call: Call) -> Answer:
    talk = call.begin()
    while True:
        request, send = talk.request, partial(_asend, call, talk)
        if talk.errand:
            try:
                reply = await ashare(talk.errand, call.get_left(), send)
            except TIMEOUTS:  # of whoever has sent it, and had less time
                call.get_left()
                continue
            if reply and talk.request is request:  # somebody else has sent it
                talk.go_on(reply.make_response())
        elif reply := await send():
            return call.keep(reply)


def _send(call: Call, talk: Talk) -> Reply | None:
    """Send the request of the moment. What comes, or nothing if `auth` wants another one."""
    response = get_transport().handle_request(call.give_time(talk.request))
    try:
        if not talk.errand and talk.go_on(response):
            return None
        body = call.receive(response, talk)
        for chunk in cast("httpx.SyncByteStream", response.stream):
            for _ in body.add(chunk):
                pass  # threads take turns by themselves
    finally:
        response.close()
    return call.take(response, body, talk)


async def _asend(call: Call, talk: Talk) -> Reply | None:
    async with get_async_transport() as transport:
        response = await transport.handle_async_request(call.give_time(talk.request))
        try:
            if not talk.errand and talk.go_on(response):
                return None
            body = call.receive(response, talk)
            async for chunk in cast("httpx.AsyncByteStream", response.stream):
                for _ in body.add(chunk):
                    await asyncio.sleep(0)
        finally:
            await response.aclose()
    return call.take(response, body, talk)
