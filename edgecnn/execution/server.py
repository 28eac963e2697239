"""A session in a process of its own, told what to do by JSON lines over a pipe.

One worker holds one session, so a runtime cannot disturb its neighbour, its memory is its own, and what it
prints cannot be mistaken for an answer: the pipe is taken off stdout before any runtime is loaded.

    -> {"command": "import_packages", "runtime": "litert"}
    <- {}
    -> {"command": "load", "runtime": "litert", "path": "model.tflite", "threads": 1, "provider": "xnnpack",
        "extra_outputs": [], "extras": []}
    <- {"load_ms": 1.2, "placement": {...}}
    -> {"command": "run", "images": "images.npy", "outputs": "outputs.npy", "batch": 64}     what the model gives
    <- {"seconds": 0.9}
    -> {"command": "observe", "images": "images.npy", "outputs": "outputs.npz"}     the extra outputs too
    <- {}
    -> {"command": "time", "images": "images.npy", "batch": 1, "skip": 5, "calls": 50, "repeat": 1,
        "slowdown": 0}
    <- {"samples_ns": [41200, ...], "busy_cores": 0.99}
    -> {"command": "first", "images": "images.npy", "batch": 1}     the first call after loading
    <- {"first_ms": 0.8}
    -> {"command": "prepare", "image": "photo.jpg", "height": 32, "width": 32, "calls": 20}
    <- {"decode_ms": 3.1, "resize_ms": 0.9}
    -> {"command": "noise_probe"}                                          a fixed loop, to see how quiet the machine is
    <- {"noise_probe_ns": 400000}
    -> {"command": "offers"}      what could be loaded here
    <- {"runtimes": {"litert": {"missing": "", "providers": ["xnnpack"]}, ...}, "machine": {...}, "versions": {...}}
    -> {"command": "facts"}
    <- {"cpu_affinity": [0, 1], "timer_resolution_ns": 40, "load": 0.2}
    -> {"command": "memory"}
    <- {"peak_bytes": 123456}

A failure answers {"error": sentence, "exit_code": code}. The process ends when its stdin does. It imports the
standard library, numpy, and the one runtime.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from edgecnn import bounds
from edgecnn.errors import EdgecnnError, InputError, MachineError, from_os_error, reason_of, too_many_files
from edgecnn.execution import timing
from edgecnn.files import save_array, size_of
from edgecnn.processes import end_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    import numpy.typing as npt

    from edgecnn.runtimes.runtime import Runtime, Session

RUN_BATCH = 64  # images per call at most when a whole data set is run


class _Server:
    """The worker process."""

    def __init__(self) -> None:
        self._session: Session | None = None
        self._inputs: tuple[tuple[str, int], list[Any]] = (("", 0), [])
        self._file: Path | None = None  # of a model whose memory is bounded

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        commands: dict[str, Callable[..., dict[str, Any]]] = {
            "import_packages": self.import_packages,
            "load": self.load,
            "run": self.run,
            "observe": self.observe,
            "first": self.first,
            "time": self.time,
            "prepare": timing.prepare,
            "noise_probe": timing.noise_probe,
            "facts": timing.facts,
            "memory": self.memory,
            "offers": self.offers,
        }
        command = request.pop("command")
        try:
            return commands[command](**request)
        except EdgecnnError as error:
            return {"error": str(error), "exit_code": error.exit_code}
        except ModuleNotFoundError as error:
            return {"error": f"{_not_installed(error.name or '')}.", "exit_code": MachineError.exit_code}
        except MemoryError:
            return {"error": "This machine's memory is too small for it.", "exit_code": MachineError.exit_code}
        except OSError as error:
            refused = from_os_error(error) or MachineError(f"{command} failed: {error}")
            return {"error": str(refused), "exit_code": refused.exit_code}
        except Exception as error:  # a runtime's own errors are of no common kind
            failed = too_many_files(error) or InputError(f"{command} failed: {reason_of(error)}")
            return {"error": str(failed), "exit_code": failed.exit_code}

    def import_packages(self, runtime: str) -> dict[str, Any]:
        """Import what the runtime needs, which is no part of a load."""
        from edgecnn.plugins import pick
        from edgecnn.runtimes.runtime import Runtime

        pick(Runtime, runtime).import_packages()
        return {}

    def load(
        self,
        runtime: str,
        path: str,
        threads: int,
        provider: str = "cpu",
        extra_outputs: Sequence[str] = (),
        extras: Sequence[str] = (),
    ) -> dict[str, Any]:
        from dataclasses import asdict

        from edgecnn.plugins import pick
        from edgecnn.runtimes.runtime import Runtime

        plugin = pick(Runtime, runtime)
        try:
            plugin.import_packages()
            self._file = Path(path) if provider in plugin.in_process else None
            with self._bounded():
                start = time.perf_counter()
                self._session = plugin.load(
                    Path(path), threads, provider, tuple(extra_outputs), **dict.fromkeys(extras, True)
                )
                seconds = time.perf_counter() - start
        except (ModuleNotFoundError, MachineError):
            raise
        except Exception as error:  # a runtime's own errors are of no common kind
            raise InputError(f"{runtime} cannot load {path}: {reason_of(error)}") from None
        return {"load_ms": seconds * 1e3, "placement": asdict(self._session.placement)}

    def run(self, images: str, outputs: str, batch: int = RUN_BATCH) -> dict[str, Any]:
        """Run a whole file of images and write the model's outputs, float32 [N, classes]."""
        import numpy as np

        pixels = np.load(images, mmap_mode="r")
        session = self._loaded()
        start = time.perf_counter()
        with self._bounded(pixels[:batch]):
            rows = [
                next(iter(session.run(np.ascontiguousarray(pixels[i : i + batch])).values()))
                for i in range(0, len(pixels), batch)
            ]
        seconds = time.perf_counter() - start
        save_array(Path(outputs), np.concatenate(rows))
        return {"seconds": seconds}

    def observe(self, images: str, outputs: str) -> dict[str, Any]:
        """Run a file of images as one batch and write each output under its number, the model's before extra ones."""
        import numpy as np

        pixels = np.load(images)
        with self._bounded(pixels):
            values = self._loaded().run(pixels)
        np.savez(outputs, *values.values())
        return {}

    def first(self, images: str, batch: int) -> dict[str, Any]:
        """Time the first call."""
        batches = self._batches(images, batch)
        with self._bounded(batches[0]):
            return timing.first(self._loaded().run, batches)

    def time(self, images: str, batch: int, slowdown: float = 0.0, **block: int) -> dict[str, Any]:
        """Time a block of calls of `batch` images each."""
        from edgecnn.runtimes.runtime import TimedSession

        session, batches = self._loaded(), self._batches(images, batch)
        if isinstance(session, TimedSession) and not slowdown:
            return {"samples_ns": session.time(batches, **block), "busy_cores": 0.0}
        return timing.block(session.run, batches, **block, slowdown=slowdown)

    def _bounded(self, *inputs: npt.NDArray[Any]) -> AbstractContextManager[None]:
        """While the model is loaded, or computes these inputs."""
        if self._file is None:
            return nullcontext()
        return bounds.running(self._file, size_of(self._file), inputs)

    def _batches(self, images: str, batch: int) -> list[Any]:
        if self._inputs[0] != (images, batch):
            self._inputs = (images, batch), timing.batches(images, batch)
        return self._inputs[1]

    def offers(self) -> dict[str, Any]:
        """Of every runtime: how to get the package it lacks here ("" for none), and its providers; and what is here."""
        from dataclasses import asdict

        from edgecnn.environment import installed_versions, this_machine
        from edgecnn.plugins import discover
        from edgecnn.runtimes.runtime import Runtime

        found = {name: _offered(runtime) for name, runtime in discover(Runtime).items()}
        return {"runtimes": found, "machine": asdict(this_machine()), "versions": installed_versions()}

    def memory(self) -> dict[str, Any]:
        """Peak resident memory of this process and of those it started, a browser's for instance, in bytes; pages that
        they share count several times.

        Linux hands ru_maxrss down from the parent across fork and exec, so there the kernel's own VmHWM is read.
        """
        if Path("/proc/self/status").is_file():
            return {"peak_bytes": sum(_peak_bytes(process) for process in _own_processes())}
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {"peak_bytes": peak if sys.platform == "darwin" else peak * 1024}

    def _loaded(self) -> Session:
        if self._session is None:
            raise InputError("The worker was asked to run before it was asked to load.")
        return self._session


def _own_processes() -> list[Path]:
    """This process's folder in /proc, and those of its descendants."""
    found, parents = [Path("/proc/self")], {str(os.getpid())}
    everyone = {place: fields for place in Path("/proc").glob("[0-9]*") if (fields := _status(place))}
    while children := [place for place, fields in everyone.items() if fields["PPid"] in parents]:
        found += children
        parents = {place.name for place in children}
    return found


def _peak_bytes(process: Path) -> int:
    return int(_status(process).get("VmHWM", "0 kB").split()[0]) * 1024


def _status(process: Path) -> dict[str, str]:
    """What Linux says of a process; nothing of one that has ended."""
    try:
        lines = (process / "status").read_text().splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _offered(runtime: Runtime) -> dict[str, Any]:
    missing = runtime.missing()
    return {
        "missing": _not_installed(missing) if missing else "",
        "providers": [] if missing else list(runtime.default_providers()),
    }


def _not_installed(package: str) -> str:
    from edgecnn.environment import not_installed

    return not_installed(package)


def serve(requests: IO[str], answers: IO[str]) -> None:
    """Answer requests until there are no more."""
    server = _Server()
    for line in requests:
        answers.write(json.dumps(server.answer(json.loads(line))) + "\n")
        answers.flush()


def main() -> None:
    """Take the pipe off stdout, so that nothing a runtime prints can get into it, and serve."""
    end_with_parent()
    bounds.enforce()
    if len(sys.argv) > 1:
        try:
            os.sched_setaffinity(0, {int(core) for core in sys.argv[1].split(",")})
        except (AttributeError, OSError):
            cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
            allowed = f"; it may use {', '.join(map(str, cores))}" if cores else ""
            sys.exit(f"this system does not let it run on the cores {sys.argv[1]}{allowed}")
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(sys.stdin, pipe)
    pipe.flush()
    os._exit(0)  # the runtimes' own ends take up to half a second, and nothing is left to be saved


if __name__ == "__main__":
    main()
