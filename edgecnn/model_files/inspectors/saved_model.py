"""What a SavedModel is made of: its serving graph, flattened by TensorFlow; nothing in it is loaded or run."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from edgecnn.errors import InputError, damaged
from edgecnn.model_files.inlining_limit import check_unfolding
from edgecnn.model_files.inspector import Inspector
from edgecnn.records import GraphLayer, GraphTensor, Inspection
from edgecnn.tensorflow_setup import configure_tensorflow, quiet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    Shape = tuple[int | str | None, ...]

GRAPH = "saved_model.pb"
SIGNATURE = "serving_default"
MAX_NODES = 20_000  # once functions are written out, which takes TensorFlow half a millisecond a node
WEIGHTED = {"Conv2D", "Conv3D", "DepthwiseConv2dNative", "Conv2DBackpropInput", "MatMul", "BatchMatMulV2"}
BOOKKEEPING = {"Const", "Placeholder", "VarHandleOp", "ReadVariableOp", "Identity", "NoOp"}
SEE_THROUGH = ("Identity", "ReadVariableOp", "Cast")


def read(path: Path) -> tuple[Inspection, bytes | None]:
    """What the folder holds; raises InputError where it is no SavedModel or lacks its variables."""
    content = (path / GRAPH).read_bytes()
    configure_tensorflow()
    from tensorflow.core.protobuf import saved_model_pb2

    try:
        with quiet():
            model = saved_model_pb2.SavedModel.FromString(content)
            meta = next((graph for graph in model.meta_graphs if "serve" in graph.meta_info_def.tags), None)
            meta = meta or model.meta_graphs[0]
            signature = meta.signature_def.get(SIGNATURE) or meta.signature_def[min(meta.signature_def)]
            check_unfolding(_calls(meta.graph_def.node), _bodies(meta.graph_def), MAX_NODES)
            operations = list(_reached(_flat(meta, signature), signature))
            found = _facts(meta, signature, operations)
    except Exception as error:  # a broken graph breaks whatever reads it first
        if strange := re.search(r"Op type not registered '(\w+)'", str(error)):
            raise InputError(
                f"{path} needs the operator {strange[1]}, which this TensorFlow does not have; export it without."
            ) from None
        raise damaged(path, "SavedModel", error) from None
    _check_variables(path, operations)
    return found, None


def _calls(nodes: Iterable[Any]) -> list[str]:
    """The operators and functions that nodes call, by name."""
    found = []
    for node in nodes:
        found.append(node.op)
        for attribute in node.attr.values():
            found += [function.name for function in (attribute.func, *attribute.list.func) if function.name]
    return found


def _bodies(graph: Any) -> dict[str, list[str]]:
    return {function.signature.name: _calls(function.node_def) for function in graph.library.function}


def _flat(meta: Any, signature: Any) -> Any:
    """The signature's graph with every function call replaced by what it calls, and all shapes inferred."""
    import tensorflow as tf
    from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
    from tensorflow.python.grappler import tf_optimizer

    config = config_pb2.ConfigProto()
    config.graph_options.rewrite_options.min_graph_nodes = -1
    config.graph_options.rewrite_options.optimizers.append("function")
    wanted = meta_graph_pb2.MetaGraphDef()
    wanted.CopyFrom(meta)
    wanted.ClearField("collection_def")
    wanted.ClearField("signature_def")
    ends = [tensor.name for side in (signature.inputs, signature.outputs) for tensor in side.values()]
    wanted.collection_def["train_op"].node_list.value.extend(ends)  # what the optimizer has to keep
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(tf_optimizer.OptimizeGraph(config, wanted), name="")
    return graph


def _reached(graph: Any, signature: Any) -> Iterator[Any]:
    """The operations the outputs depend on, in the graph's order."""
    todo = [graph.get_tensor_by_name(tensor.name).op for tensor in signature.outputs.values()]
    seen = set()
    while todo:
        operation = todo.pop()
        if operation.name not in seen:
            seen.add(operation.name)
            todo += [tensor.op for tensor in operation.inputs]
    return (operation for operation in graph.get_operations() if operation.name in seen)


def _facts(meta: Any, signature: Any, operations: list[Any]) -> Inspection:
    operators = Counter(operation.type for operation in operations if operation.type not in BOOKKEEPING)
    parameters = sum(math.prod(shape) for _, shape in _variables(operations)) + sum(
        _count(operation.outputs[0])
        for operation in operations
        if operation.type == "Const" and operation.outputs[0].dtype.is_floating and _count(operation.outputs[0]) > 1
    )
    missing = []
    if SIGNATURE not in meta.signature_def:
        missing.append(f"It has no signature {SIGNATURE}, which servers look for.")
    return Inspection(
        kind="SavedModel",
        producer=f"TensorFlow {meta.meta_info_def.tensorflow_version}",
        inputs=tuple(_tensor(name, tensor) for name, tensor in sorted(signature.inputs.items())),
        outputs=tuple(_tensor(name, tensor) for name, tensor in sorted(signature.outputs.items())),
        operators=dict(sorted(operators.items(), key=lambda pair: (-pair[1], pair[0]))),
        parameters=parameters,
        layers=tuple(_layer(operation) for operation in operations if operation.type in WEIGHTED),
        warnings=tuple(missing),
    )


def _tensor(name: str, tensor: Any) -> GraphTensor:
    import tensorflow as tf

    sides = [None if dim.size < 0 else int(dim.size) for dim in tensor.tensor_shape.dim]
    shape: Shape = ("batch", *sides[1:]) if sides and sides[0] is None else tuple(sides)
    return GraphTensor(name=name, dtype=tf.as_dtype(tensor.dtype).name, shape=shape)


def _sides(tensor: Any) -> Shape:
    """A tensor's shape, with 1 for an open batch."""
    if tensor.shape.rank is None:
        return ()
    sides = tensor.shape.as_list()
    return (1 if sides[0] is None else sides[0], *sides[1:]) if sides else ()


def _count(tensor: Any) -> int:
    count = tensor.shape.num_elements()
    return int(count or 0)


def _variables(operations: list[Any]) -> list[tuple[int, tuple[int, ...]]]:
    """Bytes a value and shape of every variable the outputs depend on."""
    found = {}
    for operation in operations:
        if operation.type in ("VarHandleOp", "VariableV2"):
            shape = tuple(int(dim.size) for dim in operation.get_attr("shape").dim)
            found[operation.name] = (int(operation.get_attr("dtype").size), shape)
    return list(found.values())


def _layer(operation: Any) -> GraphLayer:
    source = operation.inputs[1].op
    while source.type in SEE_THROUGH and source.inputs and source.type != "ReadVariableOp":
        source = source.inputs[0].op
    constant = source.type in ("Const", "ReadVariableOp", "VariableV2")
    words = operation.name.split("/")
    while len(words) > 1 and "PartitionedCall" in words[0]:
        words.pop(0)
    bias = next(
        (_count(user.inputs[1]) for user in operation.outputs[0].consumers() if user.type in ("BiasAdd", "AddV2")), 0
    )
    return GraphLayer(
        name="/".join(words[:-1] or words),
        operator=operation.type,
        output_shape=_sides(operation.outputs[0]),
        weights=source.outputs[0].dtype.name if constant else "",
        parameters=_count(operation.inputs[1]) + bias if constant else 0,
        multiply_adds=_multiply_adds(operation),
    )


def _multiply_adds(operation: Any) -> int | None:
    """For one image: the weights, or a matrix product's inner side, times how often they are used."""
    made = _sides(operation.outputs[0])
    if "Conv" in operation.type:
        back = operation.type == "Conv2DBackpropInput"
        shape = _sides(operation.inputs[2]) if back else made
        positions = shape[2:] if operation.get_attr("data_format").startswith(b"NC") else shape[1:-1]
        sides, weights = positions, operation.inputs[1].shape.num_elements()
    else:
        turned = operation.type == "MatMul" and operation.get_attr("transpose_a")
        seen = _sides(operation.inputs[0])
        sides, weights = made, seen[-2 if turned else -1] if len(seen) > 1 else None
    numbers = [side for side in sides if isinstance(side, int)]
    if not sides or len(numbers) < len(sides) or not isinstance(weights, int):
        return None
    return math.prod(numbers) * weights


def _check_variables(path: Path, operations: list[Any]) -> None:
    """Raise InputError where the folder holds fewer bytes of variables than its graph needs."""
    needed = sum(size * math.prod(shape) for size, shape in _variables(operations))
    folder = path / "variables"
    there = sum(file.stat().st_size for file in folder.glob("variables.data-*"))
    if needed and (there < needed or not (folder / "variables.index").is_file()):
        raise InputError(f"{path} is damaged (its variables are missing or cut off); export or copy it again.")


PLUGIN = Inspector(
    name="saved_model",
    summary="a SavedModel folder",
    packages=("tensorflow",),
    read=read,
    recognizes=lambda path, head: (path / GRAPH).is_file(),
    carries_contract=False,
)
