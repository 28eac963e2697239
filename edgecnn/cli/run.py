"""`edgecnn run`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgecnn.cli.options import options_of, training_options
from edgecnn.errors import GateFailed

DEFAULT_RUN = "edgecnn-run"


@click.command("run")
@click.argument("run", type=click.Path(path_type=Path), default=DEFAULT_RUN)
@training_options
def command(run: Path, **options: Any) -> None:
    """Train, export, check, measure and report, all in the directory RUN.

    Resumes where it stopped and skips what is up to date. Exit 1 when parity fails, 0 when it is not proven.
    """
    from edgecnn.pipeline import run_all
    from edgecnn.run import Run

    page, verdict = run_all(Run(run), options_of(**options), click.echo)
    if verdict == "not proven":
        click.echo("Parity is not proven: the report says why.")
    click.echo(f"Report: {page.resolve()}")
    if verdict == "fail":
        raise GateFailed("Parity failed: the report says which exports do not answer as trained.")
