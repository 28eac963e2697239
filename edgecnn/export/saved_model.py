"""What several formats share of TensorFlow's converters."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.errors import EdgecnnError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgecnn.plugins import ExportSource


def configure_tensorflow(threads: int | None = None) -> None:
    """Silence TensorFlow's start-up lines and set its threads (None leaves them); call before its first use."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with quiet():
        import tensorflow as tf
    if threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back what native code prints to stdout and stderr; show it only when the block fails.

    TensorFlow's converters write dozens of lines past Python's own streams.
    """
    with tempfile.TemporaryFile() as held:
        saved = {fd: os.dup(fd) for fd in (1, 2)}
        try:
            for fd in saved:
                os.dup2(held.fileno(), fd)
            yield
        except EdgecnnError:
            raise
        except Exception as error:
            held.seek(0)
            error.add_note(held.read().decode(errors="replace")[-4000:])
            raise
        finally:
            for fd, copy in saved.items():
                os.dup2(copy, fd)
                os.close(copy)


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

    image = source.contract.image
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


def representatives(source: ExportSource, white: float = 1.0) -> Iterator[dict[str, Any]]:
    """A black and a white image, so that the input's range is exactly [0, white], then the calibration images.

    Each {input name: float32 [1, H, W, C] in [0, white]}, as quantizers want them.
    """
    import numpy as np

    name = source.contract.image.name
    images = source.calibration_images
    ends = [np.zeros_like(images[0]), np.full_like(images[0], 255)]
    for image in [*ends, *images]:
        yield {name: image[np.newaxis].astype(np.float32) / np.float32(255 / white)}


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
