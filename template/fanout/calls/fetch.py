"""Call a service and get its section, in the two ways of waiting.

Both go the same way: an answer that is still fresh, else a call that equal ones share, through the
bulkhead and the breaker, with a second try; and if all that fails, the last good answer.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from concurrent.futures import wait
from functools import partial

from fanout.calls.answer import Answer, Reply
from fanout.calls.call import TIMEOUTS, Call
from fanout.calls.last_good import CACHE_SECONDS
from fanout.calls.request import Talk
from fanout.calls.section import Section
from fanout.calls.service import Service
from fanout.calls.transport import arun, get_transport, run
from fanout.calls.visit import Visit
from fanout.policies.bulkhead import AT_ONCE
from fanout.policies.coalescing import share
from fanout.telemetry import load_tracing


def fetch(service: Service, visit: Visit, call: Call | None = None) -> Section:
    """Call `service`, blocking this thread. Never raises: what goes wrong is a failed section."""
    section = visit.sections[service.name] = _fetch(call or _start(service, visit), visit)
    return section


async def afetch(service: Service, visit: Visit) -> Section:
    """Call `service`, leaving the event loop to others. Raises nothing but a cancellation.

    What it comes `after` is awaited first, if that was begun before.
    """
    visit.arrivals.setdefault(service.name, None)
    try:
        for needed in service.after:
            if needed in visit.arrivals:
                visit.arrivals[needed] = arrival = visit.arrivals[needed] or asyncio.Event()
                await arrival.wait()
        section = visit.sections[service.name] = await _afetch(_start(service, visit), visit)
        return section
    finally:
        if awaited := visit.arrivals.pop(service.name, None):
            awaited.set()


async def afetch_as_completed(
    services: Iterable[Service], visit: Visit
) -> AsyncGenerator[list[Section], None]:
    """Call all `services` at once; lists of their sections, as they come. To close it ends the calls."""
    calls = [asyncio.create_task(afetch(service, visit)) for service in services]
    done: asyncio.Queue[asyncio.Task[Section]] = asyncio.Queue()
    for call in calls:
        call.add_done_callback(done.put_nowait)
    try:
        left = len(calls)
        while left:
            sections = [(await done.get()).result()]
            while not done.empty():
                sections.append(done.get_nowait().result())
            left -= len(sections)
            yield sections
    finally:
        for task in calls:
            task.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


def _fetch(call: Call, visit: Visit) -> Section:
    try:
        answer = call.find_known()
        if answer is None:
            answer = run(partial(share, call.flight, call.seconds, partial(_call, call)))
        return call.succeed(answer)
    except Exception as error:
        return _fall_back(call, error, visit.deadline.budget(CACHE_SECONDS))


async def _afetch(call: Call, visit: Visit) -> Section:
    try:
        try:
            answer = call.find_known()
            if answer is None:
                answer = await arun(partial(share, call.flight, call.seconds, partial(_call, call)))
            return call.succeed(answer)
        except Exception as error:
            return await _afall_back(call, error, visit.deadline.budget(CACHE_SECONDS))
    except asyncio.CancelledError:
        call.abandon()
        raise


# With frames of their own: those in the traceback of an error may outlive it for long, with all that
# they know, since tasks make cycles.


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


async def _call(call: Call) -> Answer:
    turn = call.service.bulkhead.enter()
    try:
        if turn is not AT_ONCE and not turn.done():
            await asyncio.wait([asyncio.wrap_future(turn)], timeout=call.seconds / 2)
        with call.guard(turn):
            while True:
                try:
                    talk, reply = call.begin(), None
                    while not reply:
                        reply = await (_run_errand if talk.errand else _send)(call, talk)
                    return call.keep(reply)
                except Exception as error:
                    if not call.spend_retry(error):
                        raise
    finally:
        call.service.bulkhead.leave(turn)


async def _run_errand(call: Call, talk: Talk) -> None:
    message = talk.message
    try:
        reply = await share(talk.errand, call.get_left(), partial(_send, call, talk))
    except TIMEOUTS:  # of whoever has sent it, and had less time
        call.get_left()
        return
    if reply and talk.message is message:  # somebody else has sent it
        talk.go_on(reply.make_response())


async def _send(call: Call, talk: Talk) -> Reply | None:
    """Send the message of the moment. What comes, or nothing if `auth` wants another one."""
    left = call.get_left()
    incoming = await get_transport().send(talk.message, talk.more, seconds=left, fresh=call.again)
    try:
        if not talk.errand and talk.hears(incoming):
            return None
        body = call.receive(incoming, talk)
        async for chunk in incoming:
            for _ in body.add(chunk):
                await asyncio.sleep(0)
    finally:
        await incoming.aclose()
    return call.take(incoming, body, talk)
