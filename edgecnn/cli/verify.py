"""`edgecnn verify`."""

from __future__ import annotations

from pathlib import Path

import click

from edgecnn.cli.options import gate_failed, json_option, print_json, run_argument
from edgecnn.console import say


@click.command("verify")
@run_argument(pretrained=True)
@json_option
def command(run: Path, as_json: bool) -> None:
    """Check that RUN's files are those its records name, and that its figures follow from them.

    Every SHA-256 is computed again, every record read, and every figure that follows from predictions.npz, the samples
    of latency.json and the confusion matrix computed again, with the report's pages. No model is run. Exit 1 with what
    does not fit.
    """
    from edgecnn.run_directory import Run
    from edgecnn.stages.verify import verify

    found = verify(Run.at(run))
    if as_json:
        print_json(found)
    if found.misfits:
        raise gate_failed(f"{found.run} does not fit together", [f"{one.file}: {one.reason}" for one in found.misfits])
    if not as_json:
        say(f"{found.run} fits together: {found.records} records, {found.hashes} hashes, {found.figures} figures.")
