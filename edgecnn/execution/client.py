"""Client of a worker: a process that answers requests, here or on a remote host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.errors import InputError, MachineError
from edgecnn.execution.hosts import LocalHost
from edgecnn.execution.server import RUN_BATCH

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType
    from typing import Self

    from edgecnn.execution.hosts import Host


class WorkerClient:
    """Client of a process that answers requests; use as a context manager.

    Every request raises what the server reports, InputError or MachineError, and MachineError when the
    process dies.
    """

    def __init__(self, what: str, host: Host | None = None, cpu_affinity: str = "") -> None:
        self._what, self._host = what, host or LocalHost()
        self._channel = self._host.start(cpu_affinity)

    def ask(self, command: str, **arguments: object) -> dict[str, Any]:
        """Send one command and wait for its answer."""
        line = self._channel.exchange(json.dumps({"command": command, **arguments}))
        if not line:
            end, cause = self._channel.last_words(), self._cause()
            end = f"{end.rstrip('.')}; {cause}." if cause else end
            raise MachineError(f"The worker for {self._what} died{end}")
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise MachineError(f"The worker for {self._what} gives answers that cannot be read; look at its Python.")
        if "error" in answer:
            kind = InputError if answer.get("exit_code") == InputError.exit_code else MachineError
            raise kind(answer["error"])
        return answer

    def _cause(self) -> str:
        """Why the process died, in words; "" where that cannot be found out."""
        return ""

    def close(self) -> None:
        """End the process."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class ModelWorker(WorkerClient):
    """Client of a session: the artifact is loaded when it starts, or with `load` False the runtime's packages alone are
    imported. Paths are of this machine, wherever it runs.

    `extras` are names of `Runtime.extras` that are wanted; `cpu_affinity` are the cores it may use, as in "0,1" ("":
    all).
    """

    def __init__(
        self,
        runtime: str,
        path: Path,
        *,
        threads: int,
        provider: str = "cpu",
        extra_outputs: Iterable[str] = (),
        extras: Iterable[str] = (),
        host: Host | None = None,
        cpu_affinity: str = "",
        load: bool = True,
    ) -> None:
        super().__init__(f"{runtime} with {path.name}", host, cpu_affinity)
        self._runtime, self._path = runtime, path
        try:
            self._settings: dict[str, Any] = {
                "runtime": runtime, "threads": threads, "provider": provider, "extras": list(extras)
            }  # fmt: skip
            if load:
                self.load(extra_outputs)
            else:
                self.ask("import_packages", runtime=runtime)
        except BaseException:
            self.close()
            raise

    def load(self, extra_outputs: Iterable[str] = (), extras: Iterable[str] = ()) -> None:
        """Load the artifact, in the place of what was loaded, with these tensors as further outputs.

        `extras` are used in addition to those named at the start.
        """
        wanted = [*self._settings["extras"], *extras]
        settings = {**self._settings, "path": self._host.put(self._path), "extras": wanted}
        self.loaded = self.ask("load", **settings, extra_outputs=list(extra_outputs))

    def replace(self, path: Path) -> None:
        """Load another artifact in the place of what was loaded, as that was."""
        self._path = path
        self.load()

    def run(self, images: Path, outputs: Path, batch: int = RUN_BATCH) -> float:
        """Run a file of images, `batch` a call, and write the model's outputs; returns seconds."""
        paths = {"images": self._host.put(images), "outputs": self._host.result(outputs)}
        seconds: float = self.ask("run", **paths, batch=batch)["seconds"]
        self._host.fetch(outputs)
        return seconds

    def _cause(self) -> str:
        from edgecnn.plugins import pick
        from edgecnn.runtimes.runtime import Runtime

        return pick(Runtime, self._runtime).why_died(self._path)

    def put(self, path: Path) -> str:
        """Where the worker finds a file of ours."""
        return self._host.put(path)
