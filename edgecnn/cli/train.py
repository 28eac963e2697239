"""`edgecnn train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgecnn.cli.options import options_of, print_accuracy, resumable, run_argument, training_options
from edgecnn.console import say


@click.command("train")
@run_argument()
@training_options
def command(run: Path, **options: Any) -> None:
    """Train a classifier into the directory RUN, with a checkpoint after each epoch.

    The same command resumes after a kill.
    """
    from edgecnn.run_directory import Run
    from edgecnn.stages.train import train as stage
    from edgecnn.training.checkpoint import STATE

    place = Run(run)
    with resumable(run, STATE), place.lock():
        record = stage(place, options_of(**options), say)
    print_accuracy(record)
