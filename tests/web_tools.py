"""What tests of JavaScript need: Node and its packages, ONNX Runtime Web, a Chromium driven by Playwright, a server."""

from __future__ import annotations

import functools
import http.server
import shutil
import subprocess
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock

from edgecnn.environment import user_cache
from edgecnn.environment.onnxruntime_web import web_runtime
from edgecnn.errors import MachineError
from edgecnn.runtimes.chromium import driver, find_chromium

if TYPE_CHECKING:
    from collections.abc import Iterator

NPM_SECONDS = 600
WAIT_MS = 60_000
NODE_PACKAGES = {"typescript": "5.9.3", "@biomejs/biome": "2.6.8", "axe-core": "4.14.1", "vite": "8.3.4"}


def require_node() -> None:
    """Skip the test where Node or ONNX Runtime Web is not to be had."""
    if not shutil.which("node"):
        pytest.skip("no node: install Node.js")
    with FileLock(f"{user_cache()}.lock"):  # or each of pytest's processes would fetch it
        try:
            web_runtime()
        except MachineError as error:
            pytest.skip(str(error))


def require_browser() -> None:
    """Skip the test where there is no browser to drive."""
    require_node()
    pytest.importorskip("playwright", reason="no Playwright: pip install playwright")
    try:
        find_chromium()
    except MachineError as error:
        pytest.skip(str(error))


def npm_folder() -> Path:
    """The folder with node_modules of NODE_PACKAGES, installed once; skips the test where npm cannot do it."""
    if not shutil.which("npm"):
        pytest.skip("no npm: install Node.js")
    wanted = [f"{name}@{version}" for name, version in sorted(NODE_PACKAGES.items())]
    place = user_cache() / "tests" / "-".join(word.replace("/", "_") for word in wanted)
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"):
        if not place.is_dir():
            draft = Path(tempfile.mkdtemp(dir=place.parent))
            words = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(draft), *wanted]
            done = subprocess.run(words, capture_output=True, text=True, timeout=NPM_SECONDS, check=False)
            if done.returncode:
                shutil.rmtree(draft)
                pytest.skip(f"npm cannot install {', '.join(wanted)}: {done.stderr.strip()[-200:]}")
            draft.rename(place)
    return place


def node(*words: object, code: int = 0, cwd: Path | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run Node, and check how it ends."""
    command = ["node", *(str(word) for word in words)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False, **options)
    assert done.returncode == code, done.stdout + done.stderr
    return done


class _Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = {  # noqa: RUF012 - as the standard library has it
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
        ".webmanifest": "application/manifest+json",
    }

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a web server of that folder on this machine."""
    handler = functools.partial(_Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@contextmanager
def browser(*flags: str) -> Iterator[Any]:
    """A headless Chromium."""
    opened = driver().chromium.launch(executable_path=find_chromium(), args=list(flags))
    yield opened
    opened.close()


def open_page(context: Any, address: str) -> Any:
    """A page of a bundle that has started; `page.said` is what it wrote to the console, `page.asked` what it loaded."""
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.said, page.asked = [], []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(address)
    page.wait_for_selector("#state.good, #state.bad")
    return page
