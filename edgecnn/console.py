"""What a person sees while a command works: lines and progress bars, all on stderr.

Results go to stdout and are printed by the command line alone, so a pipe carries nothing but results.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LATE_SECONDS = 2.0
REDRAW_SECONDS = 0.1
SILENCE_SECONDS = 4.0  # after so long a job says that it goes on
DEFAULT_COLUMNS, MAX_COLUMNS, DEFAULT_ROWS = 80, 100, 24


_said_at = 0.0  # when the last line was printed
_jobs: list[str] = []  # those that show their progress, and how far they are; the last is the innermost


def log(text: str) -> None:
    """Print one line of narration, above the bar where one is drawn."""
    global _said_at
    _said_at = time.monotonic()
    if bars := sys.modules.get("tqdm"):
        bars.tqdm.write(text, file=sys.stderr)
        sys.stderr.flush()
    else:
        print(text, file=sys.stderr, flush=True)


@contextmanager
def progress(label: str, total: float, done: int = 0, delay_seconds: float = 0.0) -> Iterator[Callable[[float], None]]:
    """Show a bar for a job of `total` units, `done` of them earlier; the yielded function takes the units done so far.
    Nothing is drawn for the first `delay_seconds`.

    Where stderr is no terminal nothing is drawn: :func:`heartbeat` says how far it is.
    """
    with _noted(label, total) as note:
        if not sys.stderr.isatty():
            yield note
            return
        from tqdm import tqdm

        tqdm.monitor_interval = 0  # no thread in addition to ours: processes are forked
        form = "{desc} {bar} {percentage:3.0f} %  {elapsed} passed, {remaining} left"
        with tqdm(
            desc=label, total=total, initial=done, leave=False, file=sys.stderr, bar_format=form, ncols=_columns(),
            nrows=DEFAULT_ROWS, delay=delay_seconds,
        ) as bar:  # fmt: skip

            def advance(done: float) -> None:
                bar.update(done - bar.n)

            yield advance


@contextmanager
def _noted(label: str, total: float) -> Iterator[Callable[[float], None]]:
    """Keep how far a job is for the heartbeat."""
    _jobs.append(label)

    def advance(done: float) -> None:
        _jobs[-1] = f"{label} {min(1.0, done / total):.0%}"

    try:
        yield advance
    finally:
        _jobs.pop()


@contextmanager
def heartbeat(name: str) -> Iterator[None]:
    """Log a line whenever none was printed for SILENCE_SECONDS: the name, how far it is where that is known, and for
    how long it has been running."""
    begun, ended = time.monotonic(), threading.Event()

    def beat() -> None:
        while not ended.wait(max(0.1, SILENCE_SECONDS - (time.monotonic() - _said_at))):
            drawn = bool(_jobs) and sys.stderr.isatty()
            if time.monotonic() - _said_at >= SILENCE_SECONDS and not drawn:
                log(f"[{name}] {_jobs[-1] if _jobs else 'working'}, {time.monotonic() - begun:.0f} s")

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


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
            if time.monotonic() < due or sys.stdout.isatty():
                return
            if draw is None:
                draw = stack.enter_context(progress(label, total))
            draw(done)
            due = time.monotonic() + REDRAW_SECONDS

        yield advance
