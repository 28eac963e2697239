"""Faults put into exported files, as a converter, a packer or a person might."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn import run_directory
from edgecnn.data.samples import samples_of
from edgecnn.export.exporter import load_model
from edgecnn.export.format import ExportOptions, ExportSource, Format
from edgecnn.files import sha256_of
from edgecnn.plugins import pick

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edgecnn.records import Contract
    from edgecnn.run_directory import Run

FACTOR = np.float32(1.05)


def accept(run: Run) -> None:
    """Make the record name the files as they are now, so that their hashes give nothing away."""
    record = run.artifacts()
    artifacts = tuple(replace(a, sha256=sha256_of(run.path(a.path))) for a in record.artifacts)
    run.save(run_directory.ARTIFACTS, replace(record, artifacts=artifacts))


def export_changed(
    run: Run,
    formats: list[str],
    change: Callable[[Any], None] = lambda model: None,
    contract: Callable[[Contract], Contract] = lambda contract: contract,
) -> None:
    """Put other files in the place of the exports: of the changed Keras model, with the changed contract inside."""
    own = run.contract()
    model = load_model(run, own)
    change(model)
    samples = samples_of(run, own)
    source = ExportSource(
        model=model, contract=own, calibration_images=samples.calibration, selection_images=samples.selection[:0],
        selection_labels=samples.selection_labels[:0], options=ExportOptions(max_accuracy_drop=100),
    )  # fmt: skip
    for artifact in run.artifacts().artifacts:
        if artifact.format in formats:
            path = run.path(artifact.path)
            if path.is_dir():
                shutil.rmtree(path)
            pick(Format, artifact.format).export(source).write(contract(own), path)
    accept(run)


def swap_channels(model: Any) -> None:
    """BGR for RGB, in the first convolution."""
    kernel, bias = model.get_layer("conv2d").get_weights()
    model.get_layer("conv2d").set_weights([kernel[:, :, ::-1], bias])


def scale_twice(model: Any) -> None:
    """Pixels divided by 255 once more."""
    kernel, bias = model.get_layer("conv2d").get_weights()
    model.get_layer("conv2d").set_weights([kernel / 255, bias])


def permute_logits(model: Any) -> None:
    """The outputs in another order than the labels."""
    kernel, bias = model.get_layer("dense_1").get_weights()
    model.get_layer("dense_1").set_weights([np.roll(kernel, 1, axis=1), np.roll(bias, 1)])


def scale_layer(path: Path, layer: str) -> None:
    """Multiply the weights of one layer inside an exported file by FACTOR, or the scale they are stored with."""
    if path.suffix == ".onnx":
        _scale_onnx(path, layer)
    elif path.suffix == ".tflite":
        edit_tflite(path, lambda graph, buffers: _scale_tflite(graph, buffers, layer))
    else:
        _scale_saved_model(path, layer)


def _scale_onnx(path: Path, layer: str) -> None:
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    names = {tensor.name for tensor in model.graph.initializer}
    quantized = f"{layer}/kernel_scale" in names
    wanted = {f"{layer}/kernel_scale", f"{layer}/bias_quantized_scale"} if quantized else {f"{layer}/kernel"}
    assert wanted <= names
    for tensor in model.graph.initializer:
        if tensor.name in wanted:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * FACTOR, tensor.name))
    onnx.save(model, path)


def edit_tflite(path: Path, edit: Callable[[Any, Any], None]) -> None:
    """Change the graph and the buffers of a .tflite file in place."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    edit(model.subgraphs[0], model.buffers)
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(bytes(builder.Output()))


def _scale_tflite(graph: Any, buffers: Any, layer: str) -> None:
    tensors = {tensor.name.decode(): tensor for tensor in graph.tensors}
    kernel = tensors[f"{layer}/kernel"]
    if kernel.quantization is not None and kernel.quantization.scale is not None:
        for part in ("kernel", "bias"):
            parameters = tensors[f"{layer}/{part}"].quantization
            if parameters is not None and parameters.scale is not None:
                parameters.scale = np.asarray(parameters.scale, np.float32) * FACTOR
        return
    if buffers[kernel.buffer].data is None:  # float16: the stored tensor is dequantized to this one
        made = next(o for o in graph.operators if graph.tensors[o.outputs[0]] is kernel)
        kernel = graph.tensors[made.inputs[0]]
    dtype = {0: np.float32, 1: np.float16}[kernel.type]
    values = np.frombuffer(bytes(buffers[kernel.buffer].data), dtype) * dtype(FACTOR)
    buffers[kernel.buffer].data = np.frombuffer(values.astype(dtype).tobytes(), np.uint8)


def _scale_saved_model(path: Path, layer: str) -> None:
    """Only the variables are put back: saving a loaded SavedModel names its graph anew."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    kernel = next(v for v in loaded.variables if v.name == f"{layer}/kernel:0")
    kernel.assign(kernel * FACTOR)
    other = path.with_name("changed")
    tf.saved_model.save(loaded, str(other), signatures=loaded.signatures)
    shutil.rmtree(path / "variables")
    shutil.move(other / "variables", path / "variables")
    shutil.rmtree(other)
