"""`edgecnn features`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command("features")
@click.argument("model")
@click.argument("image", required=False)
@click.option("--layer", "layers", multiple=True, metavar="NAME", help="Repeatable. Default: the first six layers.")
@click.option("--channel", type=click.IntRange(min=0), help="Draw this channel alone, large. Default: all, as a grid.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to fill. Default: features.")
def command(model: str, image: str | None, layers: Sequence[str], channel: int | None, out: Path | None) -> None:
    """Draw the activations inside MODEL for an image, as PNG pictures.

    MODEL is a run, an .onnx file, or the name of a published run. Without IMAGE a drawn one is used.

    `edgecnn features RUN` alone draws one of the run's samples into the run, where the report finds it.
    """
    from edgecnn.run import Run
    from edgecnn.stages.features import draw_run
    from edgecnn.stages.features import features as stage

    if Path(model).is_dir() and not (image or out or layers or channel is not None):
        place = Run(Path(model))
        with place.lock():
            for name in draw_run(place).pictures.values():
                click.echo(place.path(name))
        return

    source = None if image is None else Path(image)
    for picture in stage(model, source, out or Path("features"), layers=layers or None, channel=channel).values():
        click.echo(picture)
