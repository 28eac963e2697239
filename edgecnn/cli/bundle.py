"""`edgecnn bundle`."""

from __future__ import annotations

from pathlib import Path

import click

from edgecnn.cli.options import list_option, run_argument


@click.command("bundle")
@run_argument
@click.option("--target", required=True, metavar="NAME", help="Target of the bundle, for instance tflite-micro.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Output folder. Default: RUN/bundles/NAME, for a pretrained run ./RUN-NAME.",
)
@list_option("bundle", "targets")
def command(run: Path, target: str, out: Path | None) -> None:
    """Write what a device developer needs from RUN: the model, its contract, code, and a test.

    RUN may be the name of a pretrained run.
    """
    from edgecnn.pretrained import pretrained_path
    from edgecnn.run_directory import Run
    from edgecnn.stages.bundle import bundle as stage

    if known := pretrained_path(run):
        click.echo(stage(Run(known), target, out or Path(f"{run}-{target}")))
        return
    place = Run.at(run)
    with place.lock():
        click.echo(stage(place, target, out))
