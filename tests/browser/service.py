"""A service that says what a test wants, when the test wants it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any


@contextmanager
def run_service(answer: Any, opened: Event | None = None) -> Iterator[str]:
    """The address of a service that gives this answer, but none before `opened` is set."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if opened:
                opened.wait()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            if opened:
                opened.set()
            server.shutdown()
            thread.join()
