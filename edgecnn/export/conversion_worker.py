"""Conversion of a run's model in a process of its own, since a converter's native code may end it.

One process converts one format after another, so that TensorFlow starts once and what formats share is computed once.
When it dies, the format it was at is lost, and a new process goes on with the next. Lines of JSON, one request at a
time:

    -> {"command": "load", "run": PATH, "options": {...}}    an ExportOptions: the model and the images
    <- {}
    -> {"command": "convert", "format": NAME, "draft": PATH}          writes the file or folder at PATH
    <- an Artifact

or {"error": sentence, "exit_code": code}. What it narrates goes to the stderr of the process that started it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.environment import import_path, missing_package
from edgecnn.errors import EdgecnnError, InputError, MachineError, from_os_error, reason_of, too_many_files
from edgecnn.export.exporter import artifact_of, source_of
from edgecnn.export.format import ExportOptions, Format
from edgecnn.files import TEMPORARY
from edgecnn.model_files.keras_archive import recurrent_layers
from edgecnn.plugins import pick
from edgecnn.processes import end_with_parent, spawn
from edgecnn.records import Artifact, Calibration, decode, encode
from edgecnn.run_directory import MODEL, Run

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from edgecnn.export.format import ExportSource


class Converter:
    """Client of the conversion process; use as a context manager.

    Raises InputError for a model or images that cannot be used, MachineError where this machine cannot convert.
    """

    def __init__(self, run: Run, options: ExportOptions) -> None:
        self._run, self._options = run, options
        self._scratch = tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=run.root)  # goes however the process ends
        self._process: subprocess.Popen[str] | None = None
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def convert(self, format: Format, draft: Path) -> Artifact:
        """Write the model as a file or folder at `draft`; the artifact as it will be in its place.

        Raises InputError where the model cannot be converted, or the converter dies of it.
        """
        if self._process is None:
            self._start()
        return decode(self._ask("convert", format=format.name, draft=str(draft)), Artifact, "the converter's answer")

    def _start(self) -> None:
        self._process = spawn(
            [sys.executable, "-P", "-m", "edgecnn.export.conversion_worker"],  # -P: nothing of the current directory
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": import_path(), "TMPDIR": os.path.abspath(self._scratch.name)},
            text=True,
        )
        self._ask("load", run=str(self._run.root), options=asdict(self._options))

    def _ask(self, command: str, **arguments: object) -> bytes:
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps({"command": command, **arguments}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._stop()
            raise InputError(self._death(process.returncode))
        answer = json.loads(line)
        if "error" in answer:
            kind = InputError if answer["exit_code"] == InputError.exit_code else MachineError
            raise kind(answer["error"])
        return line.encode()

    def _death(self, code: int) -> str:
        """How the process ended, and what of the model is the likely cause."""
        end = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        died = f"the converter died ({end}) while converting"
        if -code == signal.SIGKILL:
            return f"{died}; the machine's memory may be too small for it"
        layers = recurrent_layers(self._run.path(MODEL))
        if layers:
            return f"{died}, likely because of the recurrent layers: {', '.join(layers)}"
        return died

    def close(self) -> None:
        """End the process."""
        self._stop()
        self._scratch.cleanup()

    def _stop(self) -> None:
        """End the process, whatever it is at, if it has not ended; another is started when it is needed."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class _Server:
    """The conversion process."""

    def __init__(self) -> None:
        self._loaded: tuple[ExportSource, Calibration] | None = None

    def answer(self, request: dict[str, Any]) -> str:
        """The answer to a request, as a line."""
        command = request.pop("command")
        try:
            return self.load(**request) if command == "load" else self.convert(**request)
        except EdgecnnError as error:
            refused: EdgecnnError = error
        except ModuleNotFoundError as error:
            refused = missing_package(error) or InputError(reason_of(error))
        except OSError as error:
            refused = from_os_error(error) or MachineError(reason_of(error))
        except Exception as error:  # converters raise errors of no common kind
            refused = too_many_files(error) or InputError(reason_of(error))
        return json.dumps({"error": str(refused), "exit_code": refused.exit_code})

    def load(self, run: str, options: dict[str, Any]) -> str:
        """Load the model and what it is calibrated with."""
        self._loaded = source_of(Run(Path(run)), ExportOptions(**options))
        return "{}"

    def convert(self, format: str, draft: str) -> str:
        """Write one format."""
        assert self._loaded is not None
        return encode(artifact_of(pick(Format, format), Path(draft), *self._loaded), indent=0).decode().strip()


def main() -> None:
    """Answer requests. The pipe is taken off stdout, so that nothing a converter prints can get into it."""
    end_with_parent()
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    server = _Server()
    for line in sys.stdin:
        pipe.write(server.answer(json.loads(line)) + "\n")
        pipe.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
