"""A Python process that is talked to by lines: how workers are started, here and on a device.

It needs the standard library only: it is copied to devices.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from typing import TYPE_CHECKING

from edgecnn.processes import spawn

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

STDERR_LINES = 5
MOST_LINE, MOST_NOISE = 1 << 26, 1 << 20  # characters of an answer, and of what is none
STOP_SECONDS = 0.5  # for a worker to end by itself; all that it wrote is written by then


class Process:
    """A worker as a child process: one line in, one line out."""

    def __init__(
        self, python: Sequence[str], search_path: str, cpu_affinity: str = "", without: Collection[str] = ()
    ) -> None:
        """`python` is the command that starts the interpreter, `search_path` its PYTHONPATH, `cpu_affinity` the cores
        it may use, as in "0,1" ("": all), `without` the environment variables it does not inherit."""
        self._noise = False
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        try:
            self.process = spawn(
                [
                    *python,
                    "-P",
                    "-m",
                    "edgecnn.execution.server",
                    *([cpu_affinity] if cpu_affinity else []),
                ],  # -P: nothing of the current directory
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env={**{k: v for k, v in os.environ.items() if k not in without}, "PYTHONPATH": search_path},
                text=True,
                errors="replace",
            )
        except BaseException:
            self._stderr.close()
            raise

    def exchange(self, line: str) -> str:
        """Send a line and wait for the answer; "" when the process has died."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            return self._answer()
        except (BrokenPipeError, ValueError):  # ValueError: closed meanwhile, from another thread
            return ""

    def _answer(self) -> str:
        """The next line that may be an answer, past what the interpreter's own start prints; a process that goes on
        with other text is killed."""
        assert self.process.stdout is not None
        left = MOST_NOISE
        while left > 0:
            line: str = self.process.stdout.readline(MOST_LINE)
            if not line or (line.startswith("{") and line.endswith("\n")):
                return line
            left -= len(line)
        self._noise = True
        self.process.kill()
        return ""

    def last_words(self) -> str:
        """How a process that died ended, and the last it said."""
        self.process.wait()
        if self._noise:
            return ": it prints other text than a worker's answers."
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()[-STDERR_LINES:]
        return f" (exit code {self.process.returncode}): " + (" | ".join(lines) or "it said nothing.")

    def close(self) -> None:
        """End the process."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._stderr.close()
