"""`edgecnn report`."""

from __future__ import annotations

from pathlib import Path

import click

from edgecnn.cli.options import run_argument
from edgecnn.console import say


@click.command("report")
@run_argument()
def command(run: Path) -> None:
    """Write RUN's report.html, report.md and report.json from the records of the other commands."""
    from edgecnn.run_directory import Run
    from edgecnn.stages.report import report as stage

    place = Run.at(run)
    with place.lock():
        page = stage(place)
    say(f"Report: {page.resolve()}")
