"""What the ONNX formats share: the converted graph with the layers' names in it, and the contract inside."""

from __future__ import annotations

from collections import ChainMap
from typing import TYPE_CHECKING, Any

from edgecnn.export import layer_map
from edgecnn.export.format import cached
from edgecnn.export.onnx_converter import convert
from edgecnn.model_files.activations import activations, images_per_batch
from edgecnn.model_files.int8_overflow import EXACT_INT8
from edgecnn.records import LayerTensor, encode
from edgecnn.records.contract import CONTRACT_KEY

if TYPE_CHECKING:
    from edgecnn.arrays import Floats, Pixels
    from edgecnn.export.format import ExportSource
    from edgecnn.records import Contract


MAX_BATCH = 64  # images in one call
WEIGHTS = {1: "kernel", 2: "bias"}  # the inputs of a convolution or a dense layer
WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@cached
def float_graph(source: ExportSource) -> tuple[bytes, dict[str, LayerTensor]]:
    """The model as an ONNX file in float32, without contract, and its layer map.

    Nodes are named `<layer>/<operator>`, a layer's output tensor as the layer, its weights `<layer>/kernel` and
    `<layer>/bias`; so the same model gives the same bytes in every process, which the converter's own names do not.
    """
    import onnx

    proto = convert(source)
    found = layer_map.match(source, all_tensors(proto.SerializeToString(), layer_map.probe(source)))
    layers = _rename(source, proto, found)
    onnx.checker.check_model(proto, full_check=True)
    return proto.SerializeToString(), layers


def all_tensors(model: bytes, images: Pixels) -> dict[str, Floats]:
    """Every float node output of an ONNX file on uint8 images, in graph order, run without graph optimisation."""
    import onnx
    import onnxruntime

    exposed = onnx.ModelProto.FromString(model)
    names = [name for node in exposed.graph.node for name in node.output if name]
    del exposed.graph.output[:]
    exposed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(exposed.SerializeToString(), options, providers=["CPUExecutionProvider"])
    values = dict(zip(names, session.run(names, {exposed.graph.input[0].name: images}), strict=True))
    return {name: value for name, value in values.items() if value.dtype.name == "float32"}


def _rename(source: ExportSource, proto: Any, found: dict[str, LayerTensor]) -> dict[str, LayerTensor]:
    """Name nodes and tensors for the layers they belong to; the layer map in the new names, without the input layer."""
    graph = proto.graph
    layer_of: dict[str, str] = {}
    for layer, place in found.items():
        layer_of.setdefault(place.tensor, layer)
    owners = layer_map.owners([(list(node.input), list(node.output)) for node in graph.node], layer_of)
    fixed = {value.name for value in (*graph.input, *graph.output)}
    names, nodes = layer_map.Names(fixed), layer_map.Names([])
    new: ChainMap[str, str] = ChainMap({"": ""} | {n: n for n in fixed})
    new.update({name: names.give(layer) for name, layer in layer_of.items() if name not in fixed})
    constants = {tensor.name for tensor in graph.initializer}
    carriers = layer_map.carriers(source, layer_of.values())
    for node, after in zip(graph.node, owners, strict=True):
        owner = carriers[after] if node.op_type in WEIGHTED else after
        node.name = nodes.give(f"{owner}/{node.op_type}")
        for i, name in enumerate(node.input):
            if name in constants and name not in new:
                part = WEIGHTS.get(i) if node.op_type in WEIGHTED else None
                new[name] = names.give(f"{owner}/{part}" if part else f"{node.name}_{i}")
            node.input[i] = new[name]
        _rename_bodies(node, new, names, nodes)
        for i, name in enumerate(node.output):
            node.output[i] = new.setdefault(name, names.give(node.name)) if name not in new else new[name]
    for tensor in graph.initializer:
        tensor.name = new[tensor.name]
    ours = layer_map.input_layer(source)
    return {
        layer: LayerTensor(tensor=new[place.tensor], layout=place.layout)
        for layer, place in found.items()
        if layer != ours
    }


def _rename_bodies(node: Any, new: ChainMap[str, str], names: layer_map.Names, nodes: layer_map.Names) -> None:
    """The same inside the graphs that a node holds, the body of a loop for instance; they see the names around them."""
    for body in [graph for attribute in node.attribute for graph in (attribute.g, *attribute.graphs) if graph.node]:
        body.name = node.name
        _settle_copies(body)
        inside = new.new_child()
        owner = node.name.split("/")[0]
        for value in (*body.input, *body.initializer):
            inside.maps[0].setdefault(value.name, names.give(f"{node.name}_input"))
            value.name = inside[value.name]
        for inner in body.node:
            inner.name = nodes.give(f"{owner}/{inner.op_type}")
            if not inner.domain:
                inner.ClearField("domain")  # set to nothing now and then, which other bytes are
            for i, name in enumerate(inner.input):
                if name not in inside:  # a constant of the graph around, which nothing read so far
                    new.maps[-1][name] = names.give(f"{inner.name}_{i}")
                inner.input[i] = inside[name]
            _rename_bodies(inner, inside, names, nodes)
            for i, name in enumerate(inner.output):
                if name:
                    inner.output[i] = inside[name] = names.give(inner.name)
        for value in body.output:
            value.name = inside[value.name]
        for dim in [dim for value in (*body.input, *body.output) for dim in value.type.tensor_type.shape.dim]:
            if dim.dim_param:  # a number that tf2onnx counts up from model to model
                dim.Clear()
        del body.value_info[:]


def _settle_copies(body: Any) -> None:
    """Of two outputs, one a copy of the other, the copy comes last: tf2onnx takes now one, now the other order."""
    place = {value.name: i for i, value in enumerate(body.output)}
    for node in body.node:
        if node.op_type == "Identity" and node.input[0] in place and node.output[0] in place:
            one, copy = place[node.input[0]], place[node.output[0]]
            if copy < one:
                body.output[one].name, body.output[copy].name = node.output[0], node.input[0]


def weighted_nodes(model: bytes) -> dict[str, list[str]]:
    """Layer -> its nodes that multiply with weights, by the names :func:`float_graph` gives."""
    import onnx

    found: dict[str, list[str]] = {}
    for node in onnx.ModelProto.FromString(model).graph.node:
        if node.op_type in WEIGHTED:
            found.setdefault(node.name.split("/")[0], []).append(node.name)
    return found


def run_batch(source: ExportSource) -> int:
    """The largest number of images per call, by the size of the model's widest layer."""
    model: Any = source.model
    return images_per_batch(activations(model.get_config()).widest_bytes, MAX_BATCH)


def outputs_of(model: bytes, images: Pixels, batch: int = MAX_BATCH, *, exact: bool = False) -> Floats:
    """The first output for uint8 images [N, H, W, C], float32 [N, classes], at the optimisation level that ships;
    `batch` images a call.

    With `exact`, int8 products are added in 32 bits whatever the CPU, which is slower where it has no VNNI.
    """
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if exact:
        options.add_session_config_entry(*EXACT_INT8)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: images[i : i + batch]})[0] for i in range(0, len(images), batch)])


def finished(model: bytes, contract: Contract) -> bytes:
    """The file with the contract in its metadata_props, checked by ONNX's own checker."""
    import onnx

    proto = onnx.ModelProto.FromString(model)
    onnx.helper.set_model_props(proto, {CONTRACT_KEY: encode(contract, indent=0).decode().strip()})
    onnx.checker.check_model(proto, full_check=True)
    content: bytes = proto.SerializeToString()
    return content
