"""`edgecnn export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecnn.cli.options import formats_option, json_option, list_option, print_json, run_argument
from edgecnn.codegen.rounding import ROUNDINGS
from edgecnn.codegen.target import TARGETS
from edgecnn.console import say
from edgecnn.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command("export")
@run_argument()
@formats_option
@click.option(
    "--max-accuracy-drop",
    type=click.FloatRange(min=0),
    default=0.5,
    show_default=True,
    metavar="POINTS",
    help="Accuracy that quantization may cost on training images before layers are excluded from it.",
)
@click.option(
    "--rounding",
    type=click.Choice(list(ROUNDINGS)),
    help="Of c_int8: the runtime whose outputs it gives to the bit. Default: as before, or tflite-micro.",
)
@click.option(
    "--target",
    type=click.Choice(list(TARGETS)),
    help="Of c_int8: the instructions it is written for. Default: as before, or portable.",
)
@click.option(
    "--check", is_flag=True, help="Export again to a temporary folder and compare; exit 1 when a file differs."
)
@list_option("format", "formats")
@json_option
def command(
    run: Path,
    formats: Sequence[str],
    max_accuracy_drop: float,
    rounding: str | None,
    target: str | None,
    check: bool,
    as_json: bool,
) -> None:
    """Export RUN's model to the formats of devices.

    A format that fails does not stop the others; the exit code is then 4, with the reason.
    """
    from edgecnn.export.format import Format
    from edgecnn.plugins import pick
    from edgecnn.run_directory import Run
    from edgecnn.stages import export as stage

    if check and (rounding or target):
        raise UsageError("--check exports as before: leave out --rounding and --target.")
    place = Run.at(run)
    with place.lock():
        if check:
            same = stage.check(place, formats)
            say(f"Reproduced: {', '.join(same)}")
            return
        given = {"rounding": rounding, "target": target}
        for option in (name for name, value in given.items() if value):
            if not any(option in pick(Format, name).options for name in formats):
                raise UsageError(f"--{option} is for generated C: add --format c_int8.")
        options = stage.held_options(place, max_accuracy_drop=max_accuracy_drop, **given)
        record = stage.export(place, formats, options)
    if as_json:
        print_json(record)
    else:
        for artifact in record.artifacts:
            say(f"{artifact.size_bytes:>12,} bytes  {place.path(artifact.path)}")
    stage.require(record, formats)
