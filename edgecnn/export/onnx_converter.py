"""The Keras model as tf2onnx converts it, with what tf2onnx lacks made of what ONNX has."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from edgecnn.export import layer_map
from edgecnn.export.saved_model import input_signature, serving_function
from edgecnn.model_files.onnx_graph import nodes_of
from edgecnn.tensorflow_setup import quiet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgecnn.export.format import ExportSource

OPSETS = (17, 18)  # both with IR 8; the runtimes found on devices read 17, 18 brings the bitwise operators


def convert(source: ExportSource) -> Any:
    """The ModelProto, by way of a frozen function: tf2onnx's `from_keras` fails on Keras 3. onnxslim folds what shape
    arithmetic the converter leaves behind and keeps the batch dynamic.

    Its opset is the first of `OPSETS` that suffices. Raises InputError, with the layer's name, for an operator of
    TensorFlow that none has a counterpart of.
    """
    import onnx
    import onnxslim
    import tf2onnx

    contract = source.contract
    with quiet():
        frozen = _frozen(source)
    image, output = frozen.inputs[0].name, frozen.outputs[0].name
    for opset in OPSETS:
        with quiet():
            proto, _ = tf2onnx.convert.from_graph_def(
                frozen.graph.as_graph_def(add_shapes=True),
                input_names=[image],
                output_names=[output],
                tensors_to_rename={image: contract.input.name, output: contract.output.name},
                opset=opset,
                custom_op_handlers={"Erfc": (_erfc, [])},
            )
        unknown = [node for node in nodes_of(proto.graph) if not _is_known(node, opset)]
        if not unknown:
            break
    else:
        raise layer_map.no_counterpart(source, unknown[0].name, unknown[0].op_type, f"ONNX opset {opset}")
    with quiet():
        proto = onnxslim.slim(proto)
    for value, spec in ((proto.graph.input[0], contract.input), (proto.graph.output[0], contract.output)):
        kind = value.type.tensor_type.elem_type
        value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, kind, ("batch", *spec.shape[1:])))
    used = {node.domain for node in nodes_of(proto.graph)}
    for entry in [entry for entry in proto.opset_import if entry.domain not in used]:
        proto.opset_import.remove(entry)
    _fuse_dense(proto)
    del proto.graph.value_info[:]
    proto.graph.name = contract.model
    return proto


def _frozen(source: ExportSource) -> Any:
    """The serving function with its weights as constants, and those tensors that a layer holds in addition to its
    weights: tf2onnx's `from_function` makes inputs of the latter."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    signature = input_signature(source, raw_pixels=True, batch=None)
    function = tf.function(serving_function(source, raw_pixels=True), input_signature=signature)
    with _plain_groups(source.model):
        concrete = function.get_concrete_function()
    return convert_variables_to_constants_v2(concrete, lower_control_flow=False, aggressive_inlining=True)


def _is_known(node: Any, opset: int) -> bool:
    import onnx

    try:
        onnx.defs.get_schema(node.op_type, opset, node.domain)
    except onnx.defs.SchemaError:
        return False
    return True


def _erfc(ctx: Any, node: Any, name: str, arguments: Any) -> None:
    """1 - Erf, for the exact GELU; a handler of tf2onnx."""
    import numpy as np

    shapes, dtypes = node.output_shapes, node.output_dtypes
    one = ctx.make_const(f"{name}_one", np.array(1, np.float32))
    erf = ctx.make_node("Erf", [node.input[0]], name=f"{name}_erf")
    ctx.remove_node(name)
    ctx.make_node("Sub", [one.output[0], erf.output[0]], name=name, outputs=node.output, shapes=shapes, dtypes=dtypes)


@contextmanager
def _plain_groups(model: Any) -> Iterator[None]:
    """Grouped convolutions as single operators: Keras wraps them in a function for XLA, which no converter opens."""
    layers = [x for x in model._flatten_layers() if hasattr(x, "convolution_op") and getattr(x, "groups", 1) > 1]
    for layer in layers:
        layer.convolution_op = partial(_convolve, layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.convolution_op


def _convolve(layer: Any, inputs: Any, kernel: Any) -> Any:
    import tensorflow as tf

    return tf.nn.convolution(
        inputs, kernel, strides=layer.strides, padding=layer.padding.upper(), dilations=layer.dilation_rate
    )


def _fuse_dense(proto: Any) -> None:
    """MatMul and Add of a dense layer become one Gemm, the operator that quantization and runtimes know."""
    import onnx

    constants = {tensor.name: tensor for tensor in proto.graph.initializer}
    nodes = list(proto.graph.node)
    users = {name: [node for node in nodes if name in node.input] for node in nodes for name in node.output}
    for product in [node for node in nodes if node.op_type == "MatMul"]:
        kernel, after = constants.get(product.input[1]), users[product.output[0]]
        if kernel is None or len(kernel.dims) != 2 or len(after) != 1 or after[0].op_type != "Add":
            continue
        bias = next((name for name in after[0].input if name != product.output[0]), "")
        if bias not in constants or list(constants[bias].dims) != [kernel.dims[1]] or _rank(proto, product) != 2:
            continue
        fused = onnx.helper.make_node("Gemm", [*product.input, bias], after[0].output, product.name)
        nodes[nodes.index(product)] = fused
        nodes.remove(after[0])
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)


def _rank(proto: Any, product: Any) -> int:
    """How many dimensions a node's first input has."""
    import onnx

    inferred = onnx.shape_inference.infer_shapes(proto)
    for value in (*inferred.graph.value_info, *inferred.graph.input):
        if value.name == product.input[0]:
            return len(value.type.tensor_type.shape.dim)
    return 0
