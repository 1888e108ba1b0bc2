"""Two processes behind nginx as fanout/README.md has it, with a real PostgreSQL and a real Redis."""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Lock, Thread

import httpx
import pytest
from redis import Redis

from config.generated import SERVICES
from engine.commands import find_free_ports
from engine.resilience.behaviours import Connection, run_upstream
from engine.resilience.programs import PROJECT, Process, Start, run_programs, wait_for

PASSWORD = "only-for-these-tests"  # noqa: S105
FORWARDED = {"X-Forwarded-Proto": "https"}  # as if through nginx
PREPARE = f"""
from django.contrib.auth.models import User
from django.core.management import call_command

call_command("migrate", verbosity=0)
call_command("collectstatic", interactive=False, verbosity=0)
for name in ("ann", "bob"):
    User.objects.create_user(name, password="{PASSWORD}")
"""
NGINX = """
daemon off;
pid nginx.pid;
events {{}}
http {{
    gzip on;  # as in Debian's nginx.conf
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    add_header X-Upstream $upstream_addr always;
    {site}
}}
"""


def say(name: str, user: str = "") -> str:
    """What a service says on a page."""
    return f"{name} says hello to {user or 'everybody'}."


class Services:
    """All services: they answer once `opened` is set, and well if `mended` is."""

    def __init__(self) -> None:
        """Open and whole."""
        self.opened, self.mended = Event(), Event()
        self.opened.set()
        self.mended.set()
        self.heard = ""  # the last request, in small letters

    def talk(self, connection: Connection) -> None:
        """Say who is asked, for whom."""
        request = connection.read().decode()
        self.opened.wait()
        if request and self.mended.is_set():
            self.heard = request.lower()
            name, user = re.findall(r"^GET /(\w+)/(?:\?user=)?(\S*)", request)[0]
            body = json.dumps({"items": [{"title": say(name, user)}]}).encode()
            head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length:"
            connection.send(f"{head} {len(body)}\r\n\r\n".encode() + body)


class Site:
    """Processes behind nginx, and their services and cache."""

    def __init__(self, start: Start, services: Services, redis: Redis, **variables: str) -> None:
        """Nothing runs yet; `variables` are the environment of the processes."""
        self.services, self._redis = services, redis
        self.ports = [find_free_ports(), find_free_ports()]
        self.http, self.https = find_free_ports(), find_free_ports()
        self.trust = ssl.create_default_context()
        self._start, self._variables = start, variables
        self._processes: dict[int, Process] = {}

    def serve(self, *ports: int) -> None:
        """Start a process at each port; they are ready when this returns."""
        for port in ports:
            command = ("python", "manage.py", "serve", "--port", str(port))
            self._processes[port] = self._start(*command, **self._variables)
        for port in ports:
            wait_for(f"http://127.0.0.1:{port}/readyz")

    def ask_to_stop(self, port: int) -> None:
        """Let a process finish what it has begun."""
        self._processes[port].terminate()

    def stop(self, port: int) -> int:
        """The exit code of a process that has been asked to stop, now or before."""
        self.ask_to_stop(port)
        return self._processes.pop(port).wait(60)

    def stop_all(self) -> None:
        """Stop every process that runs."""
        for port in list(self._processes):
            self.stop(port)

    def read_cache(self) -> str:
        """All last good answers that the processes share."""
        return "".join(repr(self._redis.get(key)) for key in self._redis.scan_iter("*fanout:*"))

    @contextmanager
    def visit(self, user: str = "") -> Iterator[httpx.Client]:
        """A browser that comes through nginx; a `user` logs in."""
        address = f"https://127.0.0.1:{self.https}"
        with httpx.Client(base_url=address, verify=self.trust, timeout=60) as client:
            if user:
                [token] = client.get("/accounts/login/").cookies.values()
                form = {"username": user, "password": PASSWORD, "csrfmiddlewaretoken": token}
                answer = client.post("/accounts/login/", data=form, headers={"Referer": address})
                assert (answer.status_code, answer.headers["Location"]) == (302, "/")
            yield client

    def ask(self, port: int, client: httpx.Client) -> httpx.Response:
        """The homepage as this process makes it for whoever is logged in."""
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        headers = {"Cookie": cookies, **FORWARDED}
        return httpx.get(f"http://127.0.0.1:{port}/", headers=headers, timeout=60)


class Load:
    """Visitors who load the homepage again and again."""

    def __init__(self, clients: list[httpx.Client], is_whole: Callable[[str], bool]) -> None:
        """Begin, one thread for each of the clients."""
        self.wrong: list[str] = []
        self._pages: Counter[str] = Counter()  # by the port that they came from
        self._lock, self._over = Lock(), Event()
        self._is_whole = is_whole
        self._threads = [Thread(target=self._run, args=(client,)) for client in clients]
        for thread in self._threads:
            thread.start()

    def count(self, port: int | None = None) -> int:
        """How many pages have come, from `port` if there is one."""
        return self._pages[str(port)] if port else self._pages.total()

    def wait_for(self, more: int, port: int | None = None) -> None:
        """Return when so many more have come. AssertionError if one is wrong."""
        enough = self.count(port) + more
        wait_until(lambda: self.count(port) >= enough or bool(self.wrong))
        assert not self.wrong

    def end(self) -> None:
        """Let all visitors get their last page."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self, client: httpx.Client) -> None:
        for _ in range(5000):
            if self._over.is_set():
                return
            try:
                page = client.get("/")
            except httpx.HTTPError as error:
                port, wrong = "", repr(error)
            else:
                port = page.headers["X-Upstream"].rpartition(":")[2]
                whole = page.status_code == 200 and self._is_whole(page.text)
                wrong = "" if whole else f"{page.status_code}: {page.text}"
            with self._lock:
                self._pages[port] += 1
                if wrong:
                    self.wrong.append(wrong)


def wait_until(condition: Callable[[], bool]) -> None:
    """Return once that is so."""
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("It never came to that.")


def is_refused(port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) != 0


@contextmanager
def run_postgres(folder: Path) -> Iterator[str]:
    """The address of a database, for DATABASE_URL. PostgreSQL does not run as root."""
    user = "postgres" if os.geteuid() == 0 else None
    (folder / "password").write_text(PASSWORD)
    data, port = folder / "data", find_free_ports()

    def pg_ctl(*arguments: str) -> None:
        command = [str(shutil.which("pg_ctl")), "--silent", "--pgdata", str(data), *arguments]
        subprocess.run(command, cwd=folder, user=user, check=True, timeout=120)  # noqa: S603

    pg_ctl("init", "-o", "-U bookshop -A scram-sha-256 --pwfile=password --no-sync")
    options = f"-p {port} -h 127.0.0.1 -c unix_socket_directories=''"
    pg_ctl("start", "--log", "postgres.log", "-o", options)
    try:
        yield f"postgres://bookshop:{PASSWORD}@127.0.0.1:{port}/postgres"
    finally:
        pg_ctl("stop", "--mode", "fast")


@contextmanager
def run_nginx(start: Start, site: Site, folder: Path) -> Iterator[None]:
    """Put the nginx of fanout/README.md before the processes, but at other ports and with a new certificate."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(  # noqa: S603
        [
            *(str(shutil.which("openssl")), "req", "-x509", "-newkey", "rsa:2048", "-nodes"),
            *("-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-out", certificate, "-keyout", key),
        ],
        capture_output=True,
        check=True,
    )
    site.trust.load_verify_locations(certificate)
    readme = (PROJECT / "fanout/README.md").read_text(encoding="utf-8")
    [example] = re.findall(r"^```nginx\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    for old, new in {
        "listen 80;": f"listen 127.0.0.1:{site.http};",
        "listen 443 ssl;": f"listen 127.0.0.1:{site.https} ssl;",
        "127.0.0.1:8000": f"127.0.0.1:{site.ports[0]}",
        "127.0.0.1:8001": f"127.0.0.1:{site.ports[1]}",
        "server_name shop.example;": "server_name 127.0.0.1;",
        "/etc/ssl/certs/shop.example.pem": str(certificate),
        "/etc/ssl/private/shop.example.pem": str(key),
    }.items():
        assert example.count(old) == 1, old
        example = example.replace(old, new)
    (folder / "nginx.conf").write_text(NGINX.format(site=example))
    process = start("nginx", "-e", "stderr", "-p", str(folder), "-c", "nginx.conf")
    try:
        wait_for(f"http://127.0.0.1:{site.http}/readyz")
        yield
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Everything, running."""
    services = Services()
    with ExitStack() as stack:
        start = stack.enter_context(run_programs())
        folder = Path(stack.enter_context(TemporaryDirectory()))
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        folder.chmod(0o755)  # nginx has a user of its own, too
        database = stack.enter_context(run_postgres(folder))
        redis_port = find_free_ports()
        start("redis-server", "--port", str(redis_port), "--save", "", "--dir", str(folder))
        stack.callback(services.opened.set)
        services_port = stack.enter_context(run_upstream(services.talk))
        variables = {
            "DJANGO_SETTINGS_MODULE": "engine.resilience.patient",
            "DJANGO_DEBUG": "false",
            "DJANGO_SECRET_KEY": PASSWORD * 3,
            "DJANGO_ALLOWED_HOSTS": "127.0.0.1",
            "FANOUT_COMPARE": "true",
            "FORWARDED_ALLOW_IPS": "127.0.0.1",
            "DATABASE_URL": database,
            "CACHE_URL": f"redis://127.0.0.1:{redis_port}/0",
            **{f"{n.upper()}_URL": f"http://127.0.0.1:{services_port}/{n}/" for n in SERVICES},
        }
        prepare = [sys.executable, "manage.py", "shell", "--no-imports", "-c", PREPARE]
        subprocess.run(prepare, cwd=PROJECT, env=os.environ | variables, check=True)  # noqa: S603
        site = Site(start, services, Redis(port=redis_port), **variables)
        stack.callback(site.stop_all)
        site.serve(*site.ports)
        stack.enter_context(run_nginx(start, site, folder))
        yield site


def test_http_becomes_https(site: Site) -> None:
    answer = httpx.get(f"http://127.0.0.1:{site.http}/", headers=FORWARDED)  # no visitor decides
    assert (answer.status_code, answer.headers["Location"][:8]) == (301, "https://")


def test_the_ids_of_a_stranger_end_at_the_proxy(site: Site) -> None:
    ids = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "x-request-id": "a-stranger"}
    httpx.get(f"http://127.0.0.1:{site.ports[0]}/", headers=FORWARDED | ids, timeout=60)
    assert all(f"\r\n{name}: {value}\r\n" in site.services.heard for name, value in ids.items())
    with site.visit() as client:
        page = client.get("/", headers=ids | {"tracestate": "a=b"})
    assert page.status_code == 200
    assert re.findall(r"^(x-request-id|trace.*?): (.*)\r$", site.services.heard, re.MULTILINE) == [
        ("x-request-id", page.headers["X-Request-ID"])
    ]
    assert re.fullmatch(r"[\da-f]{32}", page.headers["X-Request-ID"])


def test_an_address_that_a_visitor_made_up_does_not_count(site: Site) -> None:
    with site.visit() as client:
        [token] = client.get("/accounts/login/").cookies.values()
        form = {"username": "nobody", "csrfmiddlewaretoken": token}
        client.headers["Referer"] = str(client.base_url)
        answers = [
            client.post(
                "/accounts/login/", data=form, headers={"X-Forwarded-For": f"198.51.100.{number}"}
            )
            for number in range(21)  # ten fail in a window, and these are in two of them at most
        ]
    assert 429 in [answer.status_code for answer in answers]


def test_whoever_has_logged_in_is_known_to_every_process(site: Site) -> None:
    with site.visit("ann") as client:
        pages = [client.get("/") for _ in range(2)]
        assert {page.headers["X-Upstream"] for page in pages} == {
            f"127.0.0.1:{port}" for port in site.ports
        }
        for page in pages:
            assert page.headers["X-Fanout-Complete"] == "true"
            assert "Hello, ann" in page.text
            assert all(f"{name} says hello" in page.text for name in SERVICES)
    assert not (PROJECT / "db.sqlite3").exists()  # it was PostgreSQL that knew


def test_an_answer_that_one_process_has_seen_is_shown_by_the_other(site: Site) -> None:
    seeing, blind = site.ports
    with site.visit("bob") as client:
        [said] = re.findall(r"recco says hello to \d+\.", site.ask(seeing, client).text)
        wait_until(lambda: said in site.read_cache())
        site.services.mended.clear()
        try:
            page = site.ask(blind, client)
        finally:
            site.services.mended.set()
    assert page.status_code == 200
    assert re.search(r"recco;[^,]*desc=stale", page.headers["Server-Timing"])
    assert said in page.text


def test_a_section_is_sent_on_while_the_next_is_awaited(site: Site) -> None:
    site.services.opened.clear()
    try:
        with site.visit() as client, client.stream("GET", "/compare/stream/") as page:
            parts = page.iter_text()
            shell = ""
            while shell.count("On its way") < len(SERVICES):
                shell += next(parts)
            assert "says hello" not in shell
            site.services.opened.set()
            rest = "".join(parts)
    finally:
        site.services.opened.set()
    assert page.headers["Content-Encoding"] == "gzip"
    assert all(say(name) in rest for name in SERVICES)


def test_a_process_that_stops_leaves_all_but_its_last_pages_to_the_other(site: Site) -> None:
    stopping = site.ports[0]
    last_page = f"http://127.0.0.1:{stopping}/compare/stream/"
    site.services.opened.clear()
    try:
        with httpx.stream("GET", last_page, headers=FORWARDED, timeout=60) as page:
            site.ask_to_stop(stopping)
            wait_until(lambda: is_refused(stopping))
            with site.visit("ann"):  # a form is sent, too
                site.services.opened.set()
            rest = page.read().decode()
    finally:
        site.services.opened.set()
    assert all(say(name) in rest for name in SERVICES)
    assert site.stop(stopping) == 0
    site.serve(stopping)


def test_processes_restart_one_by_one_and_no_page_is_lost(site: Site) -> None:
    def is_whole(page: str) -> bool:
        said = [f"{name} says hello" for name in SERVICES]
        return all(text in page for text in ("Hello, ann", *said, "</html>"))

    with ExitStack() as stack:
        clients = [stack.enter_context(site.visit("ann")) for _ in range(4)]
        load = Load(clients, is_whole)
        stack.callback(load.end)
        for port in site.ports:
            load.wait_for(20, port)
            assert site.stop(port) == 0
            before = load.count(port)
            load.wait_for(50)
            assert load.count(port) - before <= len(clients)  # that came before, but count now
            site.serve(port)
        for port in site.ports:
            load.wait_for(20, port)
    assert not load.wrong
