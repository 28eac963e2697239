"""`edgecnn predict`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command("predict")
@click.argument("model")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--top", default=3, show_default=True, type=click.IntRange(min=1), help="How many labels to print.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(model: str, images: Sequence[str], top: int, as_json: bool) -> None:
    """Print labels and probabilities of image files.

    MODEL is a run, an .onnx file, or the name of a published run such as cifar10-cnn.
    """
    from edgecnn.predictor import Predictor

    predictor = Predictor(model)
    for image in images:
        best = predictor.predict(Path(image)).top(top)
        if as_json:
            answers = [{"label": label, "probability": round(share, 6)} for label, share in best]
            click.echo(json.dumps({"image": image, "answers": answers}))
        else:
            click.echo(f"{image}: " + ", ".join(f"{label} {share:.1%}" for label, share in best))
