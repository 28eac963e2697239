"""A session in a process of its own, told what to do by JSON lines over a pipe.

One worker holds one session, so a runtime cannot disturb its neighbour, its memory is its own, and what it
prints cannot be mistaken for an answer: the pipe is taken off stdout before any runtime is loaded.

    -> {"command": "load", "runtime": "litert", "path": "model.tflite", "threads": 1, "provider": "xnnpack",
        "exposed": []}
    <- {"load_ms": 1.2, "placement": {...}}
    -> {"command": "run", "images": "images.npy", "answers": "answers.npy"}     what the model answers
    <- {"seconds": 0.9}
    -> {"command": "observe", "images": "images.npy", "answers": "answers.npz"}     the exposed tensors too
    <- {}
    -> {"command": "time", "images": "images.npy", "skip": 5, "calls": 50}
    <- {"samples_ns": [41200, ...]}
    -> {"command": "memory"}
    <- {"peak_bytes": 123456}

A failure answers {"error": sentence, "exit_code": code}. The process ends when its stdin does. It imports the
standard library, numpy, and the one runtime.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from edgecnn.errors import EdgecnnError, InputError, MachineError, from_os_error, missing_package
from edgecnn.run import import_path, save_array

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from edgecnn.plugins import Session

RUN_BATCH = 64  # images a call when a whole data set is run
STDERR_LINES = 5
STOP_SECONDS = 5.0


class Worker:
    """The near end: starts a process, loads a session in it, and asks it things.

    Use as a context manager. Every request raises what the far end reports, InputError or MachineError, and
    MachineError when the process dies.
    """

    def __init__(
        self, runtime: str, path: Path, *, threads: int, provider: str = "cpu", exposed: Iterable[str] = ()
    ) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "edgecnn.worker"],  # -P: no module of the current directory is imported
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env={**os.environ, "PYTHONPATH": import_path()},
            text=True,
        )
        self._what = f"{runtime} with {path.name}"
        self._settings = {"runtime": runtime, "path": str(path), "threads": threads, "provider": provider}
        try:
            self.load(exposed)
        except BaseException:
            self.close()
            raise

    def load(self, exposed: Iterable[str]) -> None:
        """Load the artifact, in the place of what was loaded, with these tensors as further outputs."""
        self.loaded = self.ask("load", **self._settings, exposed=list(exposed))

    def ask(self, command: str, **arguments: object) -> dict[str, Any]:
        """Send one command and wait for its answer."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"command": command, **arguments}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise MachineError(f"The worker for {self._what} died{self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            kind = InputError if answer["exit_code"] == InputError.exit_code else MachineError
            raise kind(answer["error"])
        return answer

    def _last_words(self) -> str:
        self._process.wait()
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()[-STDERR_LINES:]
        return f" (exit code {self._process.returncode}): " + (" | ".join(lines) or "it said nothing.")

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stderr.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class _Server:
    """The far end."""

    def __init__(self) -> None:
        self._session: Session | None = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        commands: dict[str, Callable[..., dict[str, Any]]] = {
            "load": self.load,
            "run": self.run,
            "observe": self.observe,
            "time": self.time,
            "memory": self.memory,
        }
        command = request.pop("command")
        try:
            return commands[command](**request)
        except EdgecnnError as error:
            return {"error": str(error), "exit_code": error.exit_code}
        except ModuleNotFoundError as error:
            missing = missing_package(error) or MachineError(f"The package {error.name} is missing.")
            return {"error": str(missing), "exit_code": missing.exit_code}
        except MemoryError:
            return {"error": "This machine's memory is too small for it.", "exit_code": MachineError.exit_code}
        except OSError as error:
            refused = from_os_error(error) or MachineError(f"{command} failed: {error}")
            return {"error": str(refused), "exit_code": refused.exit_code}
        except Exception as error:  # a runtime's own errors are of no common kind
            text = str(error).strip().splitlines() or [type(error).__name__]
            return {"error": f"{command} failed: {text[0]}", "exit_code": InputError.exit_code}

    def load(self, runtime: str, path: str, threads: int, provider: str, exposed: list[str]) -> dict[str, Any]:
        from dataclasses import asdict

        from edgecnn.plugins import Runtime, pick

        plugin = pick(Runtime, runtime)
        start = time.perf_counter()
        try:
            self._session = plugin.load(Path(path), threads, provider, tuple(exposed))
        except (ModuleNotFoundError, MachineError):
            raise
        except Exception as error:  # a runtime's own errors are of no common kind
            text = str(error).strip().splitlines()
            raise InputError(f"{runtime} cannot load {path}: {text[0] if text else type(error).__name__}") from None
        seconds = time.perf_counter() - start
        return {"load_ms": seconds * 1e3, "placement": asdict(self._session.placement)}

    def run(self, images: str, answers: str) -> dict[str, Any]:
        """Run a whole file of images and write what the model answers, float32 [N, classes]."""
        import numpy as np

        pixels = np.load(images, mmap_mode="r")
        session = self._loaded()
        start = time.perf_counter()
        rows = [
            next(iter(session.run(np.ascontiguousarray(pixels[i : i + RUN_BATCH])).values()))
            for i in range(0, len(pixels), RUN_BATCH)
        ]
        seconds = time.perf_counter() - start
        save_array(Path(answers), np.concatenate(rows))
        return {"seconds": seconds}

    def observe(self, images: str, answers: str) -> dict[str, Any]:
        """Run a file of images as one batch and write every output under its number: the answers, the exposed."""
        import numpy as np

        outputs = self._loaded().run(np.load(images))
        np.savez(answers, *outputs.values())
        return {}

    def time(self, images: str, skip: int, calls: int) -> dict[str, Any]:
        """Time single calls, one image each, after `skip` calls that are not kept."""
        import numpy as np

        pixels = [np.ascontiguousarray(image[np.newaxis]) for image in np.load(images)]
        run = self._loaded().run
        samples = []
        for i in range(skip + calls):
            image = pixels[i % len(pixels)]
            start = time.perf_counter_ns()
            run(image)
            samples.append(time.perf_counter_ns() - start)
        return {"samples_ns": samples[skip:]}

    def memory(self) -> dict[str, Any]:
        """Peak resident memory of this process, in bytes.

        Linux hands ru_maxrss down from the parent across fork and exec, so there the kernel's own VmHWM is read.
        """
        status = Path("/proc/self/status")
        if status.is_file():
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
            return {"peak_bytes": int(fields["VmHWM"].split()[0]) * 1024}
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {"peak_bytes": peak if sys.platform == "darwin" else peak * 1024}

    def _loaded(self) -> Session:
        if self._session is None:
            raise InputError("The worker was asked to run before it was asked to load.")
        return self._session


def serve(requests: IO[str], answers: IO[str]) -> None:
    """Answer requests until there are no more."""
    server = _Server()
    for line in requests:
        answers.write(json.dumps(server.answer(json.loads(line))) + "\n")
        answers.flush()


def main() -> None:
    """Take the pipe off stdout, so that nothing a runtime prints can get into it, and serve."""
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(sys.stdin, pipe)
    pipe.flush()
    os._exit(0)  # the runtimes' own ends take up to half a second, and nothing is left to be saved


if __name__ == "__main__":
    main()
