"""What several formats share of TensorFlow's converters."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.contract import CONTRACT_KEY, LAYERS_KEY
from edgecnn.errors import EdgecnnError
from edgecnn.records import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from edgecnn.plugins import ExportSource
    from edgecnn.records import Contract, LayerTensor


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


def to_tflite(source: ExportSource, *, raw_pixels: bool, configure: Callable[[Any], None]) -> bytes:
    """Convert for a batch of one, which lets the converter fold the shape arithmetic away.

    By way of a SavedModel: converting a Keras 3 model through a bare function gives files without weights.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder, quiet():
        write_saved_model(source, Path(folder), raw_pixels=raw_pixels, batch=1)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        configure(converter)
        converted: bytes = converter.convert()
    return converted


def finish_tflite(flatbuffer: bytes, contract: Contract) -> bytes:
    """Name the input and output tensors as the contract does and embed the contract as a metadata buffer.

    The buffer is a named entry of the file's metadata table (TFLite schema: Model.metadata).
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
    graph = model.subgraphs[0]
    graph.tensors[graph.inputs[0]].name = contract.image.name.encode()
    graph.tensors[graph.outputs[0]].name = contract.output.name.encode()

    buffer = schema.BufferT()
    buffer.data = list(encode(contract))
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name = CONTRACT_KEY.encode()
    entry.buffer = len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]

    builder = flatbuffers.Builder(len(flatbuffer) + 8192)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def embed_in_onnx(proto: Any, contract: Contract, layers: Mapping[str, LayerTensor]) -> None:
    """Put the contract and the layer map into an ONNX model's metadata_props."""
    for key, value in (
        (CONTRACT_KEY, encode(contract, indent=0).decode().strip()),
        (LAYERS_KEY, json.dumps({name: asdict(tensor) for name, tensor in layers.items()})),
    ):
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value
