"""TensorFlow's own serving format, a folder."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.export.format import Exported, Format, Gate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgecnn.export.format import ExportSource
    from edgecnn.records import Contract, LayerTensor


def export(source: ExportSource) -> Exported:
    """A SavedModel folder whose signature `serving_default` takes uint8 `image` of any batch.

    It has no place for a contract: that lies beside it, in the run's contract.json.
    """
    from edgecnn.export.saved_model import write_saved_model
    from edgecnn.tensorflow_setup import quiet

    folder = tempfile.TemporaryDirectory(prefix="edgecnn-")
    with quiet():
        write_saved_model(source, Path(folder.name), raw_pixels=True, batch=None)
        frozen = _frozen(Path(folder.name))
        layers = _layers(source, frozen)

    def write(contract: Contract, path: Path) -> None:
        shutil.copytree(folder.name, path)

    return Exported(layers=layers, write=write, content_sha256=_content_hash(frozen))


def _layers(source: ExportSource, frozen: Any) -> dict[str, LayerTensor]:
    """The layer map in the names of the frozen graph of `serving_default`."""
    import tensorflow as tf

    from edgecnn.export import layer_map

    outputs = [op.outputs[0] for op in frozen.graph.get_operations() if len(op.outputs) == 1 and op.inputs]
    names = [output.name for output in outputs if output.dtype == tf.float32]
    values = frozen.prune(frozen.inputs[0].name, names)(tf.constant(layer_map.probe(source)))
    found = layer_map.match(source, {name: value.numpy() for name, value in zip(names, values, strict=True)})
    return {layer: tensor for layer, tensor in found.items() if layer != layer_map.input_layer(source)}


def _frozen(path: Path) -> Any:
    """The function behind `serving_default` as one graph, its variables made constants."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    loaded = tf.saved_model.load(str(path))  # holds the variables until they are constants
    serve = loaded.signatures["serving_default"]
    return convert_variables_to_constants_v2(serve, lower_control_flow=False)  # a lowered loop cannot be pruned


def _content_hash(frozen: Any) -> str:
    """SHA-256 over the graph behind `serving_default`, the functions it calls (a loop's body), and its weights."""
    graph = frozen.graph.as_graph_def()
    functions = {function.signature.name: function for function in graph.library.function}
    digest = hashlib.sha256()
    _hash_nodes(graph.node, functions, digest)
    return digest.hexdigest()


def _hash_nodes(nodes: Any, functions: Mapping[str, Any], digest: Any) -> None:
    """Two exports of one model differ in generated names and in the order of their files' parts. So each node counts
    with its operator, its attributes and the numbers of its inputs, but not with its name; a function it calls with
    the nodes in it."""
    number = {node.name: i for i, node in enumerate(nodes)}
    for node in nodes:
        inputs = [(number.get(name.lstrip("^").split(":")[0]), name.partition(":")[2]) for name in node.input]
        digest.update(f"{node.op} {inputs}\n".encode())
        for key in sorted(node.attr):
            called = node.attr[key].func.name
            if called:
                _hash_nodes(functions[called].node_def, functions, digest)
            elif not key.startswith("_"):
                digest.update(key.encode() + node.attr[key].SerializeToString(deterministic=True))


PLUGIN = Format(
    name="saved_model",
    summary="SavedModel, for servers that have TensorFlow already: TensorFlow, TensorFlow Serving",
    suffix="",
    file_kind="saved_model",
    batched=True,
    packages=("tensorflow", "keras"),
    devices=("server",),
    gate=Gate(tolerance_points=0.05, min_agreement=0.999),
    export=export,
)
