"""`edgecnn parity`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecnn.cli.options import formats_option, json_option, print_json, run_argument
from edgecnn.errors import GateFailed

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command("parity")
@run_argument
@formats_option
@click.option("--data", metavar="auto|cifar10|synthetic|PATH", help="Judge on this test split. Default: RUN's own.")
@json_option
def command(run: Path, formats: Sequence[str], data: str | None, as_json: bool) -> None:
    """Check that every export of RUN answers as Keras does; exit 1 when one does not."""
    from edgecnn.run import Run
    from edgecnn.stages.parity import describe
    from edgecnn.stages.parity import parity as stage

    place = Run.at(run)
    with place.lock():
        record = stage(place, data, formats)
    if as_json:
        print_json(record)
    else:
        for row in record.rows:
            click.echo(f"{row.format} on {row.runtime}: {describe(row)}")
    if not record.passed:
        failed = [f"{row.format} on {row.runtime}" for row in record.rows if not row.passed]
        raise GateFailed(f"Parity failed: {', '.join(failed) or 'no export could be asked on this machine'}.")
