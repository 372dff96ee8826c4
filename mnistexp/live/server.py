"""The live page: read-only, for this machine only, protected by a secret in its address.

A request is accepted if its host is 127.0.0.1 or localhost (other names that resolve to this machine are refused), it
has no foreign origin, and it has the secret, in the address or in the cookie set by the address.
"""

import asyncio
import errno
import hmac
import logging
import secrets
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from markupsafe import Markup
from tornado.httpserver import HTTPServer
from tornado.httputil import split_host_and_port
from tornado.web import Application, HTTPError, RequestHandler

from mnistexp.errors import MnistexpError, RunError
from mnistexp.live.served_runs import ServedRuns
from mnistexp.report.html import content_policy, page_template, report_policy, template_text

ADDRESS = "127.0.0.1"
HOSTS = (ADDRESS, "localhost")
LARGEST_BODY = 4096
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
FILE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox"
"""For figures: allows the style attributes of SVG, but no scripts."""
TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".yaml": "text/plain; charset=utf-8",
}


class Server:
    """The page of one runs folder. It listens from the start; `run` serves until Ctrl-C, or `stop` in another thread.

    `url`: the page's address with the secret. Raises `MnistexpError` if the port is not available.
    """

    def __init__(self, runs_dir: Path, port: int = 0) -> None:
        self._runs_dir = runs_dir
        self._token = secrets.token_urlsafe()
        try:
            self._socket = socket.create_server((ADDRESS, port))
        except OSError as error:
            raise MnistexpError(f"can't listen at {ADDRESS}:{port}: {_reason(error)}") from error
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://{ADDRESS}:{self.port}/?token={self._token}"
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = asyncio.Event()

    def run(self, ready: Callable[[], object] = lambda: None) -> None:
        """Serve until stopped; calls `ready` once Ctrl-C is handled."""
        asyncio.run(self._serve(ready))

    def stop(self) -> None:
        """Make `run` return; for other threads, once it serves."""
        if self._loop:
            self._loop.call_soon_threadsafe(self._stopped.set)

    async def _serve(self, ready: Callable[[], object]) -> None:
        self._loop = asyncio.get_running_loop()
        # Bad requests are not logged; our own errors still are.
        logging.getLogger("tornado.general").addHandler(logging.NullHandler())
        # One report at a time: drawing changes process-wide settings temporarily.
        drawing = ThreadPoolExecutor(1)
        given = {"runs": ServedRuns(self._runs_dir), "token": self._token, "port": self.port, "drawing": drawing}
        server = HTTPServer(_application(given, self._runs_dir), max_body_size=LARGEST_BODY)
        self._socket.setblocking(False)
        server.add_socket(self._socket)
        try:
            ready()
            await self._stopped.wait()
        finally:
            drawing.shutdown(wait=False, cancel_futures=True)
            server.stop()
            await server.close_all_connections()


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program uses this port; --port 0 takes any free port"
    if error.errno == errno.EACCES:
        return "permission denied; --port 0 takes any free port"
    return error.strerror or str(error)


def _application(given: dict[str, Any], runs_dir: Path) -> Application:
    style, script = (template_text(f"report.{kind}") + template_text(f"live.{kind}") for kind in ("css", "js"))
    page = page_template("live.html").render(style=Markup(style), script=Markup(script), runs_dir=str(runs_dir))
    policy = f"{content_policy(style, script)}; connect-src 'self'; frame-ancestors 'none'"
    return Application(
        [
            (r"/", _Page, given | {"page": page, "policy": policy}),
            (r"/live\.json", _Live, given),
            (r"/runs/([^/]+)/report", _Report, given),
            (r"/runs/([^/]+)/files/([^/]+)", _File, given),
        ],
        default_handler_class=_Handler,
        default_handler_args=given,
        log_function=lambda _: None,
    )


class _Refusal(HTTPError):
    """A refused request, with the reason."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status)
        self.message = message


class _Handler(RequestHandler):
    """The base of all handlers; also the answer for unknown paths."""

    SUPPORTED_METHODS = ("GET", "HEAD")

    def initialize(self, runs: ServedRuns, token: str, port: int, drawing: ThreadPoolExecutor, **page: str) -> None:
        self.runs, self.token, self.drawing, self.page = runs, token, drawing, page
        self.cookie = f"mnistexp-{port}"

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        """Refuse requests that are not allowed."""
        headers, host = self.request.headers, self.request.host
        if split_host_and_port(host.lower())[0] not in HOSTS:
            raise _Refusal(403, f"This page is available at {' and '.join(HOSTS)} only.")
        own = f"http://{host}"
        # Links from other pages are allowed; their scripts, frames and images are not.
        foreign = headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
        if headers.get("Origin", own) != own or (foreign and headers.get("Sec-Fetch-Mode") != "navigate"):
            raise _Refusal(403, "Requests from other pages are not allowed.")
        given = self.get_query_argument("token", None)
        known = self.get_cookie(self.cookie, "") if given is None else given
        if not hmac.compare_digest((known or "").encode(), self.token.encode()):
            raise _Refusal(403, "Open the address that `mnistexp serve` printed, with its token.")
        if given is not None:
            self.set_cookie(self.cookie, self.token, httponly=True, samesite="Strict")

    def get(self, *_: str) -> Any:
        raise _Refusal(404, "Page not found.")

    def head(self, *arguments: str) -> Any:
        return self.get(*arguments)

    def compute_etag(self) -> None:
        """None: the browser doesn't cache."""

    def log_exception(self, kind: Any, error: Any, trace: Any) -> None:
        if not isinstance(error, HTTPError | MnistexpError):
            super().log_exception(kind, error, trace)

    def write_error(self, status_code: int, **about: Any) -> None:
        error = about["exc_info"][1] if "exc_info" in about else None
        if status_code == 405:
            self.set_header("Allow", ", ".join(self.SUPPORTED_METHODS))
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        said = str(error) if isinstance(error, MnistexpError) else getattr(error, "message", self._reason)
        self.finish(f"{status_code} {said}\n")


class _Page(_Handler):
    def get(self, *_: str) -> Any:
        self.set_header("Content-Security-Policy", self.page["policy"])
        self.finish(self.page["page"])


class _Live(_Handler):
    def get(self, *_: str) -> Any:
        self.finish(self.runs.snapshot())


class _Report(_Handler):
    async def get(self, *arguments: str) -> Any:
        try:
            html = await asyncio.get_running_loop().run_in_executor(self.drawing, self.runs.report, arguments[0])
        except RunError as error:
            raise _Refusal(404, str(error)) from error
        self.set_header("Content-Security-Policy", f"{report_policy()}; frame-ancestors 'none'")
        self.finish(html.encode("utf-8", "backslashreplace"))


class _File(_Handler):
    def get(self, *arguments: str) -> Any:
        run_id, name = arguments
        content = self.runs.read(run_id, name)
        if content is None:
            raise _Refusal(404, "File not found.")
        self.set_header("Content-Security-Policy", FILE_POLICY)
        self.set_header("Content-Type", TYPES[PurePosixPath(name).suffix])
        self.finish(content)
