"""What a person sees while a command works: lines and progress bars, all on stderr.

Results go to stdout and are printed by the command line alone, so a pipe carries nothing but results.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def say(text: str) -> None:
    """Print one line of narration."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def progress(label: str, total: float, done: int = 0) -> Iterator[Callable[[float], None]]:
    """Show a bar for a job of `total` units, `done` of them earlier; the yielded function takes the units done so far.

    Where stderr is no terminal nothing is drawn: the stages' own lines say what goes on.
    """
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total, completed=done)
        yield lambda done: bar.update(task, completed=done)
