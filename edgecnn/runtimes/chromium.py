"""A page in a headless Chromium, driven through Playwright. What it may load is given: it needs no server."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

from edgecnn.errors import InputError, MachineError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
VARIABLE = "EDGECNN_CHROMIUM"
ORIGIN = "http://localhost"  # a secure context, and nothing is asked of it
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


class Page:
    """A page of these files, by name; `index.html` is opened. Everything else that it asks for is refused."""

    def __init__(self, files: Mapping[str, Path | bytes], flags: tuple[str, ...] = ()) -> None:
        from playwright.sync_api import Error, sync_playwright

        self._files, self._error = files, Error
        program = find_chromium()
        self._playwright: Any = sync_playwright().start()
        try:
            self._browser: Any = self._playwright.chromium.launch(executable_path=program, args=list(flags))
        except Error as error:
            self._playwright.stop()
            raise MachineError(f"{program} does not start: {_first_line(error)}.") from None
        self.version = f"Chromium {self._browser.version}"
        self._page: Any = self._browser.new_page()
        self._page.set_default_timeout(TIMEOUT_MS)
        self._page.route("**/*", self._answer)
        self._page.goto(f"{ORIGIN}/index.html")

    def _answer(self, route: Any) -> None:
        name = route.request.url.removeprefix(f"{ORIGIN}/")
        content = self._files.get(name)
        if content is None:
            route.fulfill(status=404)
            return
        body = content if isinstance(content, bytes) else content.read_bytes()
        kind = TYPES.get(name[name.rfind(".") :], "application/octet-stream")
        route.fulfill(body=body, headers={"Content-Type": kind, **ISOLATED})

    def call(self, function: str, argument: object = None) -> Any:
        """What a function of the page returns, which may be a promise; raises InputError with the page's own error."""
        try:
            return self._page.evaluate(f"argument => {function}(argument)", argument)
        except self._error as error:
            raise InputError(f"{self.version}: {_first_line(error)}") from None

    def close(self) -> None:
        """End the browser."""
        self._browser.close()
        self._playwright.stop()


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[0].removeprefix("Page.evaluate: ").removeprefix("Error: ").rstrip(".")
