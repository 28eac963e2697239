"""What the layers of a model make of an image: as pictures, as arrays, and in two files side by side."""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING

from edgecnn import __version__, run_directory
from edgecnn.console import log
from edgecnn.data.samples import samples_of, synthetic_images
from edgecnn.errors import InputError, UsageError
from edgecnn.files import staged
from edgecnn.inference.ort_model import PREFIX
from edgecnn.inference.predictor import DEFAULT_LAYERS, Predictor
from edgecnn.preprocessing.decode import prepare
from edgecnn.records import SCHEMA, Features
from edgecnn.visualization.feature_maps import draw_comparison, draw_input, draw_layer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    import PIL.Image

    from edgecnn.arrays import Floats
    from edgecnn.preprocessing.decode import Source
    from edgecnn.run_directory import Run

    Maps = Mapping[str, Floats]  # layer -> float32 [H, W, C], [T, C] or [N]

FOLDER = "features"  # of a run
INPUT = "input"
ARRAYS = "features.npz"
ALL = "all"


def features(
    predictor: Predictor, image: Source | None, out: Path, *, layers: Sequence[str], channel: int | None
) -> dict[str, Path]:
    """Draw what layers of a model make of an image; returns layer -> picture, in order.

    Writes `<out>/input.png`, the image as the model sees it, and `<out>/<layer>.png`, or with `channel` that
    channel alone as `<out>/<layer>-channel<N>.png`. `image` is as in :meth:`Predictor.predict`, None: synthetic.
    `layers` are names, none for the first six, `all` for all; of those not named the ones without channels are left out
    when a `channel` is given. Nothing is written unless everything could be drawn.
    """
    pixels = _pixels(predictor, image)
    names = _wanted(layers, [predictor], channel)
    maps = predictor.features(pixels, names)
    return _draw(
        pixels, names, out, _ending(channel), lambda layer: draw_layer(maps[layer], channel=channel, title=layer)
    )


def compare(
    pair: Mapping[str, Predictor], image: Source | None, out: Path, *, layers: Sequence[str], channel: int | None
) -> dict[str, Path]:
    """Draw what the same layers of two files make of an image, and the difference; returns layer -> picture.

    `pair` is name -> predictor. Writes `<out>/<layer>-compared.png`, the rest is as in :func:`features`; of layers not
    named only those are drawn that both files have.
    """
    (first, one), (second, other) = pair.items()
    if _takes(one) != _takes(other):
        raise UsageError(f"{first} and {second} take different images, so their maps cannot be compared.")
    pixels = _pixels(one, image)
    names = _wanted(layers, [one, other], channel)
    maps = [predictor.features(pixels, names) for predictor in (one, other)]
    return _draw(
        pixels, names, out, f"{_ending(channel)}-compared",
        lambda layer: draw_comparison(maps[0][layer], maps[1][layer], (first, second), channel=channel, title=layer),
    )  # fmt: skip


def _takes(predictor: Predictor) -> tuple[object, ...]:
    """What decides how an image becomes the input."""
    contract = predictor.contract
    return contract.input.shape, contract.resize


def save(
    pair: Mapping[str, Predictor], image: Source | None, out: Path, *, layers: Sequence[str], channel: int | None
) -> Path:
    """Write the maps as `<out>/features.npz`: float32 as the layer gives it under its name, [H, W] of one channel.

    With it goes `input`, the uint8 image as the model sees it. Of two files the arrays are called `<file>/<layer>`.
    """
    import numpy as np

    predictors = list(pair.values())
    pixels = _pixels(predictors[0], image)
    names = _wanted(layers, predictors, channel)
    arrays: dict[str, npt.NDArray[np.generic]] = {INPUT: pixels}
    for file, predictor in pair.items():
        for layer, values in predictor.features(pixels, names).items():
            name = layer if len(pair) == 1 else f"{file}/{layer}"
            arrays[_free(name, arrays)] = values if channel is None else _channel(values, channel, layer)
    with staged(out / ARRAYS) as draft:
        np.savez_compressed(draft, **arrays)  # type: ignore[arg-type]
    return out / ARRAYS


def _channel(values: Floats, channel: int, layer: str) -> Floats:
    if values.ndim != 3 or channel >= values.shape[2]:
        raise UsageError(f"Layer {layer} has no channel {channel}; its maps are {list(values.shape)}.")
    return values[:, :, channel]


def _wanted(layers: Sequence[str], predictors: Sequence[Predictor], channel: int | None) -> list[str]:
    """The layers to show; those not named are the first six, or all, that each file has."""
    if layers and ALL not in layers:
        return list(dict.fromkeys(layers))
    common = [name for name in predictors[0].layers if all(name in other.layers for other in predictors)]
    if not common:
        raise InputError("The model has no layer with feature maps; export it again.")
    names = common if layers else common[:DEFAULT_LAYERS]
    return names if channel is None else [name for name in names if len(predictors[0].shapes[name]) == 3]


def _pixels(predictor: Predictor, image: Source | None) -> npt.NDArray[np.uint8]:
    """uint8 [H, W, C]: the image as the model sees it."""
    return prepare(synthetic_images(1, predictor.contract)[0] if image is None else image, predictor.contract)


def _ending(channel: int | None) -> str:
    return "" if channel is None else f"-channel{channel}"


def _draw(
    pixels: npt.NDArray[np.uint8],
    layers: Sequence[str],
    out: Path,
    ending: str,
    draw: Callable[[str], PIL.Image.Image],
) -> dict[str, Path]:
    """Write the input's picture and one a layer, once all are drawn."""
    pictures = {INPUT: _png(draw_input(pixels))}
    paths: dict[str, Path] = {}
    for layer in layers:
        name = _free(re.sub(r"[^\w.-]", "_", f"{layer}{ending}"), pictures)
        pictures[name] = _png(draw(layer))
        paths[layer] = out / f"{name}.png"
    for name, content in pictures.items():
        with staged(out / f"{name}.png") as draft:
            draft.write_bytes(content)
    return paths


def _png(picture: PIL.Image.Image) -> bytes:
    """As a file's content, which is a hundredth of the pixels': a deep model has hundreds of pictures."""
    content = BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def _free(name: str, taken: Mapping[str, object]) -> str:
    """The name, made longer until it is not taken."""
    while name in taken:
        name += "_"
    return name


def inputs(run: Run) -> dict[str, str]:
    """What decides the pictures of a run: its ONNX file and its samples."""
    hashes = {
        name: run.hash_of(name) for name in (run_directory.CONTRACT, run_directory.ARTIFACTS, run_directory.SAMPLES)
    }
    return {**hashes, "edgecnn": __version__}


def is_current(run: Run) -> bool:
    """Whether the run already holds these pictures."""
    return run.is_current(run_directory.FEATURES, Features, inputs(run))


def drawn_from(run: Run) -> str | None:
    """The format whose export the run's pictures are drawn from, None where the model could be exported to none."""
    return next((artifact.format for artifact in run.artifacts().artifacts if artifact.format.startswith(PREFIX)), None)


def draw_run(run: Run) -> Features:
    """Draw the first six layers for the first of the run's samples into `features/`, and write features.json.

    A run without samples gets a synthetic image. Raises InputError where there is no ONNX export to draw from.
    """
    contract = run.contract()
    for artifact in run.artifacts().artifacts:
        run.artifact_path(artifact)
    samples = samples_of(run, contract)
    log(f"Feature maps of one of the {samples.words()}")
    with Predictor(run.root, format=drawn_from(run)) as predictor:
        pictures = features(predictor, samples.images[0], run.path(FOLDER), layers=(), channel=None)
    shown = {layer: f"{FOLDER}/{path.name}" for layer, path in pictures.items()}
    picture_of_input = f"{FOLDER}/{INPUT}.png"
    record = Features(
        schema=SCHEMA,
        origin=run.origin("features", inputs(run), [picture_of_input, *shown.values()]),
        data=contract.data,
        image=f"one of the {samples.words()}",
        input=picture_of_input,
        pictures=shown,
    )
    run.save(run_directory.FEATURES, record)
    return record
