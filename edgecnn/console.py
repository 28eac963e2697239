"""What leaves the program as text: results on stdout; lines, progress bars and errors on stderr.

Results are printed by the command line alone, so a pipe carries nothing but results. Nothing that comes from a file or
a library reaches a terminal or a page other than through :func:`printable`. As a program of its own this file is the
heartbeat, which no other module may delay: it imports the standard library only.
"""

from __future__ import annotations

import errno
import os
import re
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

LATE_SECONDS = 2.0
REDRAW_SECONDS = 0.1
SILENCE_SECONDS = 4.0  # after so long a job says that it goes on
DEFAULT_COLUMNS, MAX_COLUMNS, DEFAULT_ROWS = 80, 100, 24
SAID, DRAWN = "a line was printed", "a bar is drawn"  # what the heartbeat is told, besides how far a job is

_heart: list[subprocess.Popen[bytes]] = []  # the heartbeat's process, where there is one


# What a terminal or a reader would obey instead of showing it: controls, line and paragraph separators, changes of
# direction, halves of characters (which stand for bytes of file names that are no text), and what XML has no place for.
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def printable(text: str, *, lines: bool = False) -> str:
    """A text to be shown anywhere, on one line, or with `lines` on its own: what is not to be shown is spelled, as
    Python spells it in strings."""
    return CONTROLS.sub(lambda found: found[0] if lines and found[0] == "\n" else ascii(found[0])[1:-1], text)


def prepare_streams() -> None:
    """Make the standard streams usable whatever they are: closed ones lead nowhere, and what an encoding has no place
    for is spelled."""
    for number in (0, 1, 2):  # or else the next files opened would be taken for them
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def say(text: str) -> None:
    """Print one line of results. Raises OSError, which names standard output, where that cannot take it."""
    with _results():
        if sys.stdout is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        sys.stdout.write(f"{printable(text)}\n")


def flush() -> None:
    """Hand over all results; raises OSError as :func:`say` does."""
    with _results():
        if sys.stdout is not None:
            sys.stdout.flush()


@contextmanager
def _results() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        error.filename = error.filename or "standard output"
        raise


def log(text: str) -> None:
    """Print one line of narration, above the bar where one is drawn. That it cannot be printed ends nothing, but that
    its reader has gone does: raises BrokenPipeError."""
    _tell(SAID)
    if sys.stderr is None:
        return
    try:
        if bars := sys.modules.get("tqdm"):
            bars.tqdm.write(printable(text), file=sys.stderr)
        else:
            print(printable(text), file=sys.stderr)
        sys.stderr.flush()
    except BrokenPipeError:
        raise
    except OSError:
        return


@contextmanager
def progress(label: str, total: float, done: int = 0, delay_seconds: float = 0.0) -> Iterator[Callable[[float], None]]:
    """Show a bar for a job of `total` units, `done` of them earlier; the yielded function takes the units done so far.
    Nothing is drawn for the first `delay_seconds`.

    Where stderr is no terminal nothing is drawn: :func:`heartbeat` says how far it is.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        told = ""

        def note(done: float) -> None:
            nonlocal told
            now = f"{label} {min(1.0, done / total):.0%}"
            if now != told:
                _tell(now)
                told = now

        _tell(label)
        yield note
        _tell("")
        return
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # no thread in addition to ours: processes are forked
    form = "{desc} {bar} {percentage:3.0f} %  {elapsed} passed, {remaining} left"
    _tell(DRAWN)
    with tqdm(
        desc=label, total=total, initial=done, leave=False, file=sys.stderr, bar_format=form, ncols=_columns(),
        nrows=DEFAULT_ROWS, delay=delay_seconds,
    ) as bar:  # fmt: skip

        def advance(done: float) -> None:
            bar.update(done - bar.n)

        yield advance
    _tell("")


@contextmanager
def heartbeat(name: str) -> Iterator[None]:
    """Print a line whenever none was logged for SILENCE_SECONDS: the name, how far it is where that is known, and for
    how long it has been running.

    A process does it: a thread would wait while TensorFlow's libraries are loaded. It ends with this one.
    """
    import subprocess

    words = [sys.executable, "-I", "-S", __file__, name, str(SILENCE_SECONDS)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, bufsize=0, start_new_session=True) as process:
        _heart.append(process)
        try:
            yield
        finally:
            _heart.pop()


def _tell(words: str) -> None:
    """Tell the heartbeat, where there is one."""
    for process in _heart:
        assert process.stdin is not None
        with suppress(OSError):
            process.stdin.write(f"{words}\n".encode())


def _beat(name: str, silence_seconds: float) -> None:
    """The heartbeat's process."""
    import queue
    import threading

    told: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            told.put(line.rstrip("\n"))
        told.put(None)

    threading.Thread(target=read, daemon=True).start()
    begun = time.monotonic()
    job, due = "", begun + silence_seconds
    while True:
        try:
            words = told.get(timeout=max(0.0, due - time.monotonic()))
        except queue.Empty:
            if job != DRAWN:
                print(f"[{name}] {job or 'working'}, {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
            due = time.monotonic() + silence_seconds
            continue
        if words is None:
            return
        if words == SAID:
            due = time.monotonic() + silence_seconds
        else:
            job = words


def _columns() -> int:
    """Of the terminal, as far as a bar needs them; a terminal that says 0, as those of containers do, has 80."""
    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        columns = 0
    return min(columns or DEFAULT_COLUMNS, MAX_COLUMNS)


@contextmanager
def late_progress(label: str, total: float) -> Iterator[Callable[[float], None]]:
    """The same for a job that prints its results as they come: nothing is drawn for its first two seconds, nor where
    its results go to the terminal, which then shows them."""
    with ExitStack() as stack:
        due, draw = time.monotonic() + LATE_SECONDS, None

        def advance(done: float) -> None:
            nonlocal due, draw
            if time.monotonic() < due or (sys.stdout and sys.stdout.isatty()):
                return
            if draw is None:
                draw = stack.enter_context(progress(label, total))
            draw(done)
            due = time.monotonic() + REDRAW_SECONDS

        yield advance


if __name__ == "__main__":
    _beat(sys.argv[1], float(sys.argv[2]))
