"""What runs on a device: it keeps files in a folder of its own, starts workers, and passes lines to and from them.

    -> {"id": 1, "do": "put", "path": "model.onnx", "data": base64}         a file, or with "tar" a folder
    -> {"id": 2, "do": "start", "cpu_affinity": ""}                                <- {"id": 2, "worker": 0}
    -> {"id": 3, "do": "ask", "worker": 0, "line": "..."}                   <- {"id": 3, "line": "..."}
    -> {"id": 4, "do": "get", "path": "answers.npy"}                        <- {"id": 4, "data": base64}
    -> {"id": 5, "do": "stop", "worker": 0}
    -> {"id": 0, "do": "ping"}                                              no answer

When the connection ends, or nothing was heard for a minute, it stops the workers, removes the folder, and ends.
Standard library only: it is copied to devices.
"""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import signal
import sys
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from edgecnn.execution.process import Process

SILENCE_SECONDS = 60.0
LOOK_SECONDS = 2.0
MOST_AT_ONCE = 64


class _Hub:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._workers: list[Process] = []
        self._writing = threading.Lock()
        self._ending = threading.RLock()
        self._heard = time.monotonic()
        self._pipe = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)

    def serve(self) -> None:
        """Answer until the connection ends."""
        threading.Thread(target=self._watch, daemon=True).start()
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self.end())
        with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
            for line in sys.stdin.buffer:
                self._heard = time.monotonic()
                request = json.loads(line)
                if request["do"] != "ping":
                    pool.submit(self._answer, request)
            self.end()

    def end(self) -> None:
        """Stop everything and leave nothing behind."""
        with self._ending:
            for worker in self._workers:
                worker.process.kill()
            for worker in self._workers:
                worker.process.wait()
            shutil.rmtree(self._folder, ignore_errors=True)
            os._exit(0)

    def _watch(self) -> None:
        while time.monotonic() - self._heard < SILENCE_SECONDS:
            time.sleep(LOOK_SECONDS)
        self.end()

    def _answer(self, request: dict[str, Any]) -> None:
        number, do = request.pop("id"), request.pop("do")
        try:
            answer = getattr(self, f"do_{do}")(**request)
        except OSError as error:
            answer = {"errno": error.errno, "error": error.strerror or str(error)}
        except Exception as error:
            answer = {"errno": None, "error": f"{type(error).__name__}: {error}"}
        with self._writing:
            try:
                self._pipe.write(json.dumps({"id": number, **answer}).encode() + b"\n")
                self._pipe.flush()
            except OSError:
                self.end()

    def do_start(self, cpu_affinity: str) -> dict[str, Any]:
        self._workers.append(Process([sys.executable], str(self._folder), cpu_affinity))
        return {"worker": len(self._workers) - 1}

    def do_ask(self, worker: int, line: str) -> dict[str, Any]:
        answer = self._workers[worker].exchange(line)
        return {"line": answer} if answer else {"line": "", "last_words": self._workers[worker].last_words()}

    def do_stop(self, worker: int) -> dict[str, Any]:
        self._workers[worker].close()
        return {}

    def do_put(self, path: str, data: str, tar: bool = False) -> dict[str, Any]:
        content = base64.b64decode(data)
        place = self._folder / path
        if tar:
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                archive.extractall(place, filter="data")
        else:
            place.write_bytes(content)
        return {"path": str(place)}

    def do_get(self, path: str) -> dict[str, Any]:
        return {"data": base64.b64encode((self._folder / path).read_bytes()).decode()}


def main(folder: str) -> None:
    """Serve in this folder, which holds the package too."""
    _Hub(Path(folder)).serve()
