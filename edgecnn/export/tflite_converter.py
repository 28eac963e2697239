"""What the TFLite formats share: conversion, quantization, the layers' names in the file, the contract inside."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.errors import InputError
from edgecnn.export import layer_map, tflite_metadata
from edgecnn.export.format import cached
from edgecnn.export.quantization.calibration import representatives
from edgecnn.export.saved_model import write_saved_model
from edgecnn.model_files.tflite_model import File, packed
from edgecnn.records import LayerTensor, encode
from edgecnn.records.contract import CONTRACT_KEY
from edgecnn.tensorflow_setup import quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edgecnn.arrays import Floats, Pixels
    from edgecnn.export.format import ExportSource
    from edgecnn.records import Contract

WEIGHTED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "BATCH_MATMUL"})
WEIGHTS = {1: "kernel", 2: "bias"}  # the inputs of these
LACKING = re.compile(r'fused\["(?P<operator>\w+):", "(?P<scope>[^"@]+)@[^\n]*op is neither a custom op nor a flex op')


@cached
def _saved_model(source: ExportSource, raw_pixels: bool) -> tempfile.TemporaryDirectory[str]:
    """For a batch of one, which lets the converter fold the shape arithmetic away.

    By way of a SavedModel, since converting a Keras 3 model through a bare function gives files without weights.
    """
    folder = tempfile.TemporaryDirectory(prefix="edgecnn-")
    write_saved_model(source, Path(folder.name), raw_pixels=raw_pixels, batch=1)
    return folder


def converted(source: ExportSource, configure: Callable[[Any], None], *, raw_pixels: bool = True) -> bytes:
    """What TensorFlow's converter makes of the model, with built-in operators only; raises InputError, with the layer's
    name, where those do not suffice."""
    import tensorflow as tf

    try:
        with quiet():
            converter = tf.lite.TFLiteConverter.from_saved_model(_saved_model(source, raw_pixels).name)
            configure(converter)
            flatbuffer: bytes = converter.convert()
    except Exception as error:  # of no public class
        lacking = LACKING.search(str(error))
        if lacking is None:
            raise
        raise layer_map.no_counterpart(source, lacking["scope"], lacking["operator"], "TFLite") from None
    return flatbuffer


@cached
def float_file(source: ExportSource) -> bytes:
    """The model in float32 behind uint8 pixels."""
    return converted(source, lambda converter: None)


@cached
def calibrated_file(source: ExportSource) -> bytes:
    """The model in float32 behind [0, 1] floats, with each tensor's range over the calibration images noted in it.

    Raises InputError for a recurrent layer that is a loop: calibrating one kills the process.
    """
    import keras
    import tensorflow as tf

    model: Any = source.model
    for layer in model.layers:
        if any(isinstance(part, keras.layers.RNN) and not part.unroll for part in layer._flatten_layers()):
            raise InputError(
                f"The layer '{layer.name}' ({type(layer).__name__}) is a loop (operator WHILE), which TensorFlow's "
                "converter cannot quantize; build it with unroll=True."
            )

    def configure(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: representatives(source)
        converter._experimental_calibrate_only = True

    return converted(source, configure, raw_pixels=False)


def quantized(source: ExportSource, output: str, in_float: Iterable[str] = ()) -> bytes:
    """Full integer, uint8 pixels in, `output` ("float32" or "int8") out, but for the tensors made `in_float`.

    The quantizer is given the model that takes [0, 1] and told that its input type is uint8: the input then has
    scale 1/255 and zero point 0, so raw pixels go in without a cast. It is the converter's own last step, called by
    itself so that the calibration is done once. Raises InputError where the input got another scale.
    """
    import tensorflow as tf
    from tensorflow.lite.python.convert import mlir_quantize

    with quiet():
        flatbuffer: bytes = mlir_quantize(
            calibrated_file(source),
            input_data_type=tf.uint8,
            output_data_type=tf.as_dtype(output),
            denylisted_nodes=set(in_float),
        )
    scale, zero_point = interpreter(flatbuffer).get_input_details()[0]["quantization"]
    if abs(scale * 255 - 1) > 1e-6 or zero_point != 0:
        raise InputError(
            f"The converter gave the int8 input a scale of {scale} and zero point {zero_point} where 1/255 and 0 "
            "are needed, so raw pixels would be misread; this model cannot be exported in full integer."
        )
    return flatbuffer


def interpreter(flatbuffer: bytes) -> Any:
    """A LiteRT interpreter as it ships, on one thread."""
    from ai_edge_litert.interpreter import Interpreter

    with quiet():
        ready = Interpreter(model_content=flatbuffer, num_threads=1)
        ready.allocate_tensors()
    return ready


def inspecting_interpreter(flatbuffer: bytes) -> Any:
    """A LiteRT interpreter, without delegates, whose every tensor can be read after a call."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    with quiet():
        ready = Interpreter(
            model_content=flatbuffer,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        ready.allocate_tensors()
    return ready


def outputs_of(flatbuffer: bytes, images: Pixels) -> Floats:
    """The output for uint8 images [N, H, W, C], float32 [N, classes], on LiteRT."""
    import numpy as np

    ready = interpreter(flatbuffer)
    image, output = ready.get_input_details()[0]["index"], ready.get_output_details()[0]
    rows = []
    for i in range(len(images)):
        ready.set_tensor(image, images[i : i + 1])
        ready.invoke()
        rows.append(ready.get_tensor(output["index"])[0])
    scale, zero_point = output["quantization"]
    values: Floats = np.asarray(rows, np.float32)
    return (values - np.float32(zero_point)) * np.float32(scale) if scale else values


@cached
def float_answers(source: ExportSource) -> Floats:
    """Outputs of the float file for the selection images."""
    return outputs_of(float_file(source), source.selection_images)


@cached
def _float_layers(source: ExportSource, raw_pixels: bool) -> tuple[list[str], dict[str, int]]:
    """Of the float file of that input: its computing operators, and which of them makes each layer's output."""
    import numpy as np

    flatbuffer = float_file(source) if raw_pixels else calibrated_file(source)
    file = File(flatbuffer)
    ready = inspecting_interpreter(flatbuffer)
    image = ready.get_input_details()[0]["index"]
    steps = file.steps()
    seen: dict[str, list[Any]] = {str(number): [] for number in range(len(steps))}
    for pixels in layer_map.probe(source):
        ready.set_tensor(image, pixels[None] if raw_pixels else pixels[None].astype(np.float32) / np.float32(255))
        ready.invoke()
        for number, step in enumerate(steps):
            seen[str(number)].append(ready.get_tensor(file.outputs_of(step)[0]))
    tensors = {number: np.concatenate(values) for number, values in seen.items() if values[0].shape[:1] == (1,)}
    found = layer_map.match(source, tensors)
    return [file.kinds[step] for step in steps], {layer: int(place.tensor) for layer, place in found.items()}


def layer_tensors(source: ExportSource, file: File, *, raw_pixels: bool) -> dict[str, int]:
    """Layer -> tensor number, in any file converted from that input.

    Quantization adds border operators and changes values, but leaves the order of those that compute: so a layer's
    output is made by the same step as in the float file, where it was found by value.
    """
    kinds, found = _float_layers(source, raw_pixels)
    steps = file.steps()
    if [file.kinds[step] for step in steps] != kinds:
        raise InputError("The converter made another graph of the quantized model than of the float one.")
    return {layer: file.outputs_of(steps[number])[0] for layer, number in found.items()}


@cached
def weighted_layers(source: ExportSource) -> dict[str, list[int]]:
    """Layer -> its operators with weights, by their number in the calibrated file."""
    file = File(calibrated_file(source))
    found: dict[str, list[int]] = {}
    for i, owner in enumerate(_owners(source, file, layer_tensors(source, file, raw_pixels=False))):
        if file.kinds[i] in WEIGHTED:
            found.setdefault(owner, []).append(i)
    return found


def float_tensors(source: ExportSource, layers: Iterable[str]) -> set[str]:
    """The names, in the calibrated file, of what is computed in float32 when these layers are to be.

    An operator without weights, a pooling for instance, follows what it reads: quantizing what lies between two
    layers in float32 would undo what keeping them is for.
    """
    file = File(calibrated_file(source))
    weighted = weighted_layers(source)
    kept = {i for layer in layers for i in weighted[layer]}
    of_weights = {i for operators in weighted.values() for i in operators}
    tensors: set[int] = set()
    for i in range(len(file.operators)):
        read = {tensor for tensor in file.inputs_of(i) if not file.is_constant(tensor)}
        if i in kept or (i not in of_weights and read and read <= tensors):
            tensors.update(file.outputs_of(i))
    return {file.graph.tensors[tensor].name.decode() for tensor in tensors}


def _owners(source: ExportSource, file: File, layers: dict[str, int]) -> list[str]:
    """The layer each operator works for; one with weights counts for the layer that carries them."""
    layer_of: dict[int, str] = {}
    for layer, tensor in layers.items():
        layer_of.setdefault(tensor, layer)
    nodes = [(file.inputs_of(i), file.outputs_of(i)) for i in range(len(file.operators))]
    carriers = layer_map.carriers(source, layer_of.values())
    owners = layer_map.owners(nodes, layer_of)
    return [carriers[o] if kind in WEIGHTED else o for o, kind in zip(owners, file.kinds, strict=True)]


def named(source: ExportSource, flatbuffer: bytes, *, raw_pixels: bool) -> tuple[File, dict[str, LayerTensor]]:
    """The file with the contract's and the layers' names for its tensors, and its layer map."""
    file = File(flatbuffer)
    graph = file.graph
    layers = layer_tensors(source, file, raw_pixels=raw_pixels)
    fixed = {int(graph.inputs[0]): source.contract.input.name, int(graph.outputs[0]): source.contract.output.name}
    names = layer_map.Names(fixed.values())
    new = dict(fixed)
    for layer, tensor in layers.items():
        if tensor not in new:
            new[tensor] = names.give(layer)
    owners = _owners(source, file, layers)
    for i, owner in enumerate(owners):
        for position, part in WEIGHTS.items() if file.kinds[i] in WEIGHTED else ():
            tensor = int(file.operators[i].inputs[position]) if position < len(file.operators[i].inputs) else -1
            if tensor >= 0 and tensor not in new:
                new[tensor] = names.give(f"{owner}/{part}")
    for i, owner in enumerate(owners):
        for tensor in (*file.inputs_of(i), *file.outputs_of(i)):
            if tensor not in new:
                new[tensor] = names.give(f"{owner}/{file.kinds[i].lower()}")
    for tensor, name in new.items():
        graph.tensors[tensor].name = name.encode()
    shapes = layer_map.layer_outputs(source)
    ours = layer_map.input_layer(source)
    return file, {
        layer: LayerTensor(tensor=new[tensor], layout="NHWC" if shapes[layer].ndim == 4 else "N")
        for layer, tensor in layers.items()
        if layer != ours
    }


def finished(file: File, contract: Contract, *, standard_metadata: bool = True) -> bytes:
    """The file's bytes, with the contract as a metadata buffer: a named entry of Model.metadata in TFLite's schema.

    With `standard_metadata` also what TFLite's own tools read, see :mod:`edgecnn.export.tflite_metadata`.
    """
    model = file.model
    model.description = b"edgecnn"
    _add_metadata(model, CONTRACT_KEY, encode(contract, indent=0).strip())
    if not standard_metadata:
        return packed(model)
    numbers = file.graph.tensors[int(file.graph.inputs[0])].quantization
    quantized = numbers is not None and numbers.scale is not None and len(numbers.scale)
    scale, zero_point = (float(numbers.scale[0]), int(numbers.zeroPoint[0])) if quantized else (None, 0)
    _add_metadata(model, tflite_metadata.NAME, tflite_metadata.metadata(contract, scale, zero_point))
    return tflite_metadata.with_labels(packed(model), contract)


def _add_metadata(model: Any, name: str, content: bytes) -> None:
    import numpy as np
    from ai_edge_litert import schema_py_generated as schema

    buffer = schema.BufferT()
    buffer.data = np.frombuffer(content, np.uint8)
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name = name.encode()
    entry.buffer = len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]
