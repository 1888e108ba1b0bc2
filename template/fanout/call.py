"""One call of a service: bounded and measured, and always a section in the end."""

import logging

import httpx

from fanout.answer import MAX_BYTES, BadAnswer, read_answer
from fanout.deadline import Deadline
from fanout.section import Section
from fanout.service import Service
from fanout.viewer import Viewer

logger = logging.getLogger("fanout")


class Call:
    """What the sync and the async way of calling share: everything but the waiting."""

    def __init__(self, service: Service, deadline: Deadline, viewer: Viewer) -> None:
        """Start a call that may take `seconds`."""
        self.seconds = deadline.budget(service.timeout)
        self._service = service
        self._viewer = viewer
        self._deadline = deadline
        self._start = deadline.elapsed()
        self._body = bytearray()

    @property
    def url(self) -> httpx.URL:
        """Where to call. Only a personal service learns who the viewer is. Raises InvalidURL."""
        url = httpx.URL(self._service.url)
        if self._viewer is None or not self._service.personal:
            return url
        return url.copy_merge_params({"user": str(self._viewer.pk)})

    def check(self, response: httpx.Response) -> None:
        """Refuse with BadAnswer what is no 2xx, since redirects are not followed, or compressed.

        A few compressed bytes can hold any number of bytes, and nobody asked for them.
        """
        if not response.is_success:
            raise BadAnswer(f"answered with status {response.status_code}")
        if (coding := response.headers.get("content-encoding", "identity")) != "identity":
            raise BadAnswer(f"answered with the content coding {coding[:20]!r}")

    def receive(self, chunk: bytes) -> None:
        """Take a piece of the body; BadAnswer once there are more than MAX_BYTES."""
        self._body += chunk
        if len(self._body) > MAX_BYTES:
            raise BadAnswer(f"answered with more than {MAX_BYTES} bytes")

    def succeed(self) -> Section:
        """The section in the body that was received. Raises BadAnswer."""
        data = read_answer(bytes(self._body))
        return Section(
            name=self._service.name,
            title=data["title"] or self._service.label,
            state="ok",
            start=self._start,
            duration=self._deadline.elapsed() - self._start,
            data=data,
        )

    def fail(self, error: Exception) -> Section:
        """The section of a call that ended in `error`, whatever it was; logs one line."""
        expected = isinstance(error, BadAnswer | httpx.HTTPError | httpx.InvalidURL | TimeoutError)
        problem = self._describe(error)
        logger.warning(
            "%s %s",
            self._service.name,
            problem,
            extra={"service": self._service.name},
            exc_info=None if expected else error,
        )
        return Section(
            name=self._service.name,
            title=self._service.label,
            state="failed",
            start=self._start,
            duration=self._deadline.elapsed() - self._start,
            error=problem,
        )

    def _describe(self, error: Exception) -> str:
        match error:
            case BadAnswer():
                return str(error)
            case TimeoutError() | httpx.TimeoutException():
                return f"did not answer within {self.seconds:.2f} s"
            case httpx.ConnectError():
                return f"could not be reached: {error}"
            case httpx.NetworkError() | httpx.RemoteProtocolError():
                return f"broke off: {str(error) or type(error).__name__}"
            case _:
                return f"could not be called: {type(error).__name__}: {error}"
