"""`edgecnn features`."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgecnn.cli import completion
from edgecnn.cli.sources import source_of
from edgecnn.console import say
from edgecnn.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgecnn.inference.predictor import Predictor


def _channel(context: click.Context, option: click.Parameter, word: str) -> int | None:
    """A channel's number, None for all."""
    if word == "all":
        return None
    if word.isdecimal():
        return int(word)
    raise click.BadParameter(f"'{word}' is neither a channel number, counted from 0, nor all.")


@click.command("features")
@click.argument("model", shell_complete=completion.models)
@click.argument("image", required=False, shell_complete=completion.files)
@click.option(
    "--layer", "layers", multiple=True, metavar="NAME|all", shell_complete=completion.layers,
    help="Repeatable. Default: the first six layers.",
)  # fmt: skip
@click.option(
    "--channel", metavar="N|all", default="all", show_default=True, callback=_channel,
    help="This channel alone, large; or all, as a grid.",
)  # fmt: skip
@click.option(
    "--output", type=click.Choice(["png", "npz"]), default="png", show_default=True,
    help="Pictures, or one file of float32 arrays [H, W, C].",
)  # fmt: skip
@click.option(
    "--format", "export", metavar="NAME", shell_complete=completion.onnx_exports,
    help="ONNX export of the run, for instance int8. Default: float32.",
)  # fmt: skip
@click.option(
    "--compare", nargs=2, metavar="NAME NAME", shell_complete=completion.onnx_exports,
    help="Two exports side by side with their difference, for instance float32 and int8; or two .onnx files.",
)  # fmt: skip
@click.option("--list", "only_list", is_flag=True, help="List the layers and exit.")
@click.option("--out", type=click.Path(path_type=Path), help="Output folder. Default: features.")
def command(
    model: str,
    image: str | None,
    layers: Sequence[str],
    channel: int | None,
    output: str,
    export: str | None,
    compare: tuple[str, str] | None,
    only_list: bool,
    out: Path | None,
) -> None:
    """Draw the activations inside MODEL for an image.

    MODEL is a run, an .onnx file, or the name of a pretrained run. IMAGE may be - for standard input. Default: a
    synthetic image.

    `edgecnn features RUN` alone draws one of the run's own samples and saves the pictures in the run, for the report.
    """
    from edgecnn.inference.predictor import Predictor
    from edgecnn.pretrained import pretrained_runs
    from edgecnn.run_directory import Run
    from edgecnn.stages import features as stage

    if export is not None and compare is not None:
        raise UsageError("--compare names the exports itself; leave out --format.")
    asked = image or out or layers or channel is not None or export or compare or only_list or output != "png"
    if not asked and model not in pretrained_runs() and Path(model).is_dir():
        place = Run(Path(model))
        with place.lock():
            for name in stage.draw_run(place).pictures.values():
                say(str(place.path(name)))
        return
    with ExitStack() as stack:
        if compare is None:
            pair = {model: Predictor(model, format=export)}
        else:
            pair = {Path(name).stem: _compared(model, name) for name in compare}
            if len(pair) < 2:
                raise UsageError(
                    f"--compare needs two exports of different names, and both are {Path(compare[0]).stem}."
                )
        for predictor in pair.values():
            stack.enter_context(predictor)
        if only_list:
            for predictor in pair.values():
                _print_layers(predictor)
            return
        source, folder = None if image is None else source_of(image), out or Path("features")
        if output == "npz":
            say(str(stage.save(pair, source, folder, layers=layers, channel=channel)))
            return
        if compare is not None:
            pictures = stage.compare(pair, source, folder, layers=layers, channel=channel)
        else:
            pictures = stage.features(pair[model], source, folder, layers=layers, channel=channel)
        for picture in pictures.values():
            say(str(picture))


def _compared(model: str, name: str) -> Predictor:
    """One of the two to compare: a file of its own, or an export of the run."""
    from edgecnn.inference.predictor import Predictor

    return Predictor(name) if os.path.isfile(name) else Predictor(model, format=name)


def _print_layers(predictor: Predictor) -> None:
    """Every layer with its shape, then those that have no maps of their own."""
    for name, shape in predictor.shapes.items():
        say(f"{name:32} {' x '.join(str(side) for side in shape)}")
    for name, other in predictor.fused_into.items():
        say(f"{name:32} fused into {other}")
