"""`edgecnn bench`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecnn.cli.options import formats_option, json_option, print_json, run_argument

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command("bench")
@run_argument
@formats_option
@json_option
def command(run: Path, formats: Sequence[str], as_json: bool) -> None:
    """Measure the latency of RUN's exports on this machine: one image, one thread and all cores."""
    from edgecnn.run import Run
    from edgecnn.stages.bench import bench as stage

    place = Run.at(run)
    with place.lock():
        record = stage(place, formats)
    if as_json:
        print_json(record)
        return
    for row in record.rows:
        click.echo(
            f"{row.format:16} {row.runtime:12} {row.threads} thread{'s' if row.threads > 1 else ' '}  "
            f"p50 {row.p50_ms:.3f}  p90 {row.p90_ms:.3f}  p99 {row.p99_ms:.3f} ms"
        )
