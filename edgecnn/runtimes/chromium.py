"""A page in a headless Chromium, driven through Playwright, whose files a small web server on this machine gives it."""

from __future__ import annotations

import os
import shutil
import threading
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from edgecnn.errors import InputError, MachineError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
VARIABLE = "EDGECNN_CHROMIUM"
TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".html": "text/html"}
ISOLATED = {  # a finer clock, and threads
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
TIMEOUT_MS = 120_000


def find_chromium() -> str:
    """The browser's program; raises MachineError where there is none."""
    named = os.environ.get(VARIABLE, "")
    found = next((path for name in ([named] if named else PROGRAMS) if (path := shutil.which(name))), None)
    if found is None:
        what = f"{named}, which {VARIABLE} names, is no program" if named else "Chromium is not installed"
        raise MachineError(f"{what}; install Debian's package chromium, or name a Chromium in {VARIABLE}.")
    return found


@cache
def driver() -> Any:
    """Playwright, started once in a process; it ends, and all its browsers with it, when the process does."""
    from playwright.sync_api import sync_playwright

    return sync_playwright().start()


class Page:
    """A page of these files, by name; `index.html` is opened. Nothing else is there to be loaded."""

    def __init__(self, files: Mapping[str, Path | bytes], flags: tuple[str, ...] = ()) -> None:
        from playwright.sync_api import Error

        self._error = Error
        program = find_chromium()
        try:
            self._browser: Any = driver().chromium.launch(executable_path=program, args=list(flags))
        except Error as error:
            raise MachineError(f"{program} does not start: {_first_line(error)}.") from None
        self.version = f"Chromium {self._browser.version}"
        self._server = _serve(files)
        self._page: Any = self._browser.new_page()
        self._page.set_default_timeout(TIMEOUT_MS)
        self._page.goto(f"http://localhost:{self._server.server_port}/index.html")  # a secure context

    def call(self, function: str, argument: object = None) -> Any:
        """What a function of the page returns, which may be a promise; raises InputError with the page's own error."""
        try:
            return self._page.evaluate(f"argument => {function}(argument)", argument)
        except self._error as error:
            raise InputError(f"{self.version}: {_first_line(error)}") from None

    def close(self) -> None:
        """End the browser."""
        self._browser.close()
        self._server.shutdown()
        self._server.server_close()


def _serve(files: Mapping[str, Path | bytes]) -> ThreadingHTTPServer:
    """A web server of these files, on a free port of this machine alone, that has started."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = files.get(self.path.lstrip("/"))
            if content is None:
                self.send_error(404)
                return
            body = content if isinstance(content, bytes) else content.read_bytes()
            kind = TYPES.get(self.path[self.path.rfind(".") :], "application/octet-stream")
            self.send_response(200)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **ISOLATED}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("localhost", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[0].removeprefix("Page.evaluate: ").removeprefix("Error: ").rstrip(".")
