"""`edgecnn import`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from edgecnn.cli import completion
from edgecnn.cli.options import RunDirectory, print_accuracy


def _numbers(context: click.Context, option: click.Parameter, text: str | None) -> tuple[float, ...]:
    """Numbers with commas between, none for an option not given."""
    try:
        numbers = tuple(float(number) for number in (text or "").split(",") if text)
    except ValueError:
        raise click.BadParameter(f"{text} is neither a number nor a list of numbers separated by commas.") from None
    if not all(math.isfinite(number) for number in numbers):
        raise click.BadParameter(f"{text} is not finite.")
    return numbers


@click.command("import")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--labels", required=True, type=click.Path(path_type=Path), help="UTF-8 text, one class name per line.")
@click.option(
    "--data",
    required=True,
    metavar="auto|cifar10|synthetic|PATH",
    shell_complete=completion.data_sets,
    help="Data set with the model's classes.",
)
@click.option(
    "--input-range",
    type=click.Choice(["0..255", "0..1", "-1..1"]),
    help="Pixel range that MODEL expects. Default: the one that clearly classifies more training images correctly.",
)
@click.option("--mean", callback=_numbers, metavar="R,G,B", help="Subtracted next, in units of the input range.")
@click.option("--std", callback=_numbers, metavar="R,G,B", help="Divisor, applied last, in units of the input range.")
@click.option("--out", "run", required=True, type=RunDirectory(pretrained=False), help="Run directory to create.")
def command(run: Path, **options: Any) -> None:
    """Create a run from MODEL, a .keras or .h5 classifier trained elsewhere.

    Nothing in MODEL is executed: Lambda layers and classes that are not Keras' own are refused.
    """
    from edgecnn.run_directory import Run
    from edgecnn.stages.import_model import ImportOptions, adopt

    place = Run(run)
    with place.lock():
        record = adopt(place, ImportOptions(**options))
    print_accuracy(record)
