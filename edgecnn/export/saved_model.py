"""The function that every export stands for, as a SavedModel; and .keras files."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgecnn.export.format import ExportSource


def serving_function(source: ExportSource, *, raw_pixels: bool) -> Callable[[Any], dict[str, Any]]:
    """The function every export stands for: `image` to {output name: float32 [N, classes]}.

    With `raw_pixels` it takes uint8 and scales by 1/255 as training did; without, float32 in [0, 1].
    """
    import tensorflow as tf

    model: Any = source.model
    output = source.contract.output.name

    def serve(image: Any) -> dict[str, Any]:
        pixels = tf.cast(image, tf.float32) / 255.0 if raw_pixels else image
        return {output: model(pixels, training=False)}

    return serve


def input_signature(source: ExportSource, *, raw_pixels: bool, batch: int | None) -> list[Any]:
    """The TensorSpec list of :func:`serving_function`."""
    import tensorflow as tf

    image = source.contract.input
    dtype = tf.uint8 if raw_pixels else tf.float32
    return [tf.TensorSpec((batch, *image.shape[1:]), dtype, name=image.name)]


def write_saved_model(source: ExportSource, path: Path, *, raw_pixels: bool, batch: int | None) -> None:
    """Write a SavedModel with one serving endpoint."""
    import keras

    archive = keras.export.ExportArchive()
    archive.track(source.model)
    archive.add_endpoint(
        "serve",
        serving_function(source, raw_pixels=raw_pixels),
        input_signature=input_signature(source, raw_pixels=raw_pixels, batch=batch),
    )
    archive.write_out(str(path), verbose=False)


def copy_weights(original: Any, copy: Any) -> None:
    """Give a layer or model the weights of one built alike, and what some layers compute from them.

    `Normalization` answers with a mean and a variance that it derives from its weights when it is adapted or loaded;
    setting the weights alone leaves those of a layer that has seen nothing.
    """
    copy.set_weights(original.get_weights())
    for layer in copy._flatten_layers():
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


def save_model(model: Any, path: Path) -> None:
    """Write a Keras model without its optimizer, which is twice its size and of use to training only.

    The same weights give the same bytes: Keras writes the time of day into the archive, which is taken out here.
    """
    bare = type(model).from_config(model.get_config())  # keras.models.clone_model would copy the optimizer too
    copy_weights(model, bare)
    bare.save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in sorted(archive.namelist())}
    parts["metadata.json"] = json.dumps({**json.loads(parts["metadata.json"]), "date_saved": ""}).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name), content)
