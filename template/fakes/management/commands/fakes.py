"""`manage.py fakes`: the fake services alone; recording what real ones say, and whether they still do."""

from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from fakes.app import create_app, get_latencies_ms
from fakes.exchanges import (
    Exchange,
    Finding,
    add_exchange,
    compare,
    describe,
    find_exchange,
    make_exchange,
    read_exchanges,
    show,
    write_exchanges,
)
from fakes.visiting import SeenCall, add_arguments, call, choose, find_viewer, make_visit
from fanout.calls.answer import Reply
from fanout.calls.mistake import BadAnswer
from fanout.calls.request import prepare
from fanout.calls.service import Service, services
from fanout.calls.visit import Visit
from fanout.serving.serve import listen

FILE = "homepage/fakes/{}.json"
Visits = Callable[[str], Visit]  # of the page at a path


class Command(BaseCommand):
    """Runs until Ctrl-C, unless it records or checks."""

    help = "Runs a fake service for every service; or records what real ones say, or checks that."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to listen: at the port of FAKES_URL, unless another one is given."""
        port = None
        with suppress(ValueError):  # of what is no address: the checks say so
            port = urlsplit(settings.FAKES_URL).port
        parser.add_argument("--host", default="127.0.0.1", help="in a container 0.0.0.0")
        parser.add_argument("--port", type=int, default=port or 8001)
        actions = parser.add_subparsers(dest="action", metavar="record | check")
        to_record = actions.add_parser("record", help="keep what real services say")
        to_check = actions.add_parser("check", help="compare what they say with what was recorded")
        for action in (to_record, to_check):
            action.add_argument("names", nargs="*", metavar="NAME", help="of services; else all")
            add_arguments(action)
        to_record.add_argument("--noinput", "--no-input", action="store_false", dest="interactive")

    def handle(self, *, action: str | None, **options: Any) -> None:
        """Do one of the three."""
        if action:
            self.call_services(action, **options)
        else:
            self.run_fakes(**options)

    def run_fakes(self, *, host: str, port: int, **options: Any) -> None:
        """Listen and serve."""
        classes = {service.name: type(service) for service in services(everywhere=True)}
        plain = (Service.request, Service.read)
        special = [name for name, cls in classes.items() if (cls.request, cls.read) != plain]
        try:
            latencies_ms = get_latencies_ms(classes, settings.FAKES_LATENCY_MS)
        except ValueError as error:
            raise CommandError(f"FAKES_LATENCY_MS: {error}") from None
        app = create_app(latencies_ms, settings.BASE_DIR / "homepage/fakes", special)
        with listen(host, port, "fakes --port") as sock, suppress(KeyboardInterrupt):
            self.stdout.write(f"Fake services at http://{host}:{port}/ until Ctrl-C.")
            self.stdout.flush()
            config = uvicorn.Config(
                app, log_level="warning", access_log=False, timeout_keep_alive=75, workers=1
            )
            uvicorn.Server(config).run(sockets=[sock])

    def call_services(
        self, action: str, *, names: list[str], user: str, path: str, **options: Any
    ) -> None:
        """Record or check the services with these names, or all, but for those that are faked."""
        chosen, failed = choose(path, names), []
        faked = [service for service in chosen if service.faked]
        if (names and faked) or (action == "record" and faked == chosen):
            unset = ", ".join(f"{service.name.upper()}_URL" for service in faked)
            raise CommandError(f"There is no address but that of the fake: set {unset}.")
        act = partial(record, ask=options["interactive"]) if action == "record" else check
        viewer = find_viewer(user)
        visits = cache(lambda where: make_visit(where, viewer))
        for service in chosen:
            if service.faked:
                continue
            try:
                findings = [*act(service, path, visits)]
            except (BadAnswer, OSError, RecursionError, ValueError) as error:
                findings = [(str(error), True)]
            for words, _ in findings:
                self.stdout.write(f"{service.name}: {words}")
            if any(serious for _, serious in findings):
                failed.append(service.name)
        if action == "record":
            self.stdout.write("Read what is new in homepage/fakes/ before you commit it.")
        if failed:
            raise CommandError(f"Not {'as ' * (action == 'check')}recorded: {', '.join(failed)}.")


def record(service: Service, path: str, visits: Visits, *, ask: bool) -> Iterator[Finding]:
    """Keep what a service says. Raises BadAnswer, ValueError or OSError if that cannot be."""
    seen = call(service, visit := visits(path or "/"))
    if not seen.reply:
        yield seen.problem, bool(seen.section.error)
        return
    new = see(seen, seen.reply, visit)
    words, file = show(service.name, new), FILE.format(service.name)
    after = add_exchange(before := read(file), new)
    if before and after != before and ask and not confirm(f"Overwrite {file}?"):
        yield f"{words} is not recorded", False
        return
    write_exchanges(settings.BASE_DIR / file, after)
    yield f"{words} is recorded; {seen.problem}".removesuffix("; "), False


def check(service: Service, path: str, visits: Visits) -> Iterator[Finding]:
    """How the shape differs from what was recorded, on those pages or the one at `path`."""
    if not (exchanges := read(FILE.format(service.name))):
        yield "nothing is recorded", False
    for page in dict.fromkeys(path or one.get("page", "/") for one in exchanges):
        seen = call(service, visit := visits(page))
        if not seen.reply:
            yield seen.problem, seen.state in ("stale", "failed")
            continue
        now = see(seen, seen.reply, visit)
        words = show(service.name, now)
        if (was := find_exchange(exchanges, now)) is None:
            yield f"{words} is not recorded", True
        else:
            yield from compare(was, now) or [(f"{words} is as recorded", False)]


def see(seen: SeenCall, reply: Reply, visit: Visit) -> Exchange:
    """What a call has sent and got, as the fake would. Raises BadAnswer, or ValueError."""
    service = seen.service
    twin = type(service)(service.name, f"http://fakes/{service.name}/")
    sent = prepare(twin, visit)
    if not sent or not str(sent.url).startswith(twin.address):
        raise BadAnswer("does not make its address from self.url, so no fake can be asked")
    path, _, query = seen.mask(sent.url.raw_path.decode()).split("/", 2)[2].partition("?")
    # The fake gets other secrets, so it cannot know one in a query.
    query = "&".join(pair for pair in query.split("&") if "***" not in pair)
    where = f"{path.replace('***', 'fake')}?{query}".removesuffix("?")
    asked, page = describe(sent.method, where, sent.body), visit.request.get_full_path()
    asked = {"page": page, **asked} if page != "/" else asked
    return make_exchange(asked, reply.make_response(), seen.mask)


def read(file: str) -> list[Exchange]:
    """Those of a file of the project, if there is one. Raises ValueError or OSError."""
    path = settings.BASE_DIR / file
    try:
        return read_exchanges(path) if path.exists() else []
    except ValueError as error:
        raise ValueError(f"{file} {error}") from None


def confirm(question: str) -> bool:
    """Ask whoever sits there. Raises CommandError if nobody does."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        raise CommandError("Nobody answers. With --noinput nobody is asked.") from None
