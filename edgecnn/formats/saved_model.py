"""TensorFlow's own serving format, a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgecnn.plugins import Exported, Format, Gate

if TYPE_CHECKING:
    from pathlib import Path

    from edgecnn.plugins import ExportSource
    from edgecnn.records import Contract


def export(source: ExportSource) -> Exported:
    """A SavedModel folder whose signature `serving_default` takes uint8 `image` of any batch.

    Its graph names no tensor that could be fetched by itself, so it has no layer map, and no place for a contract:
    that lies beside it, in the run's contract.json.
    """
    from edgecnn.conversion import quiet, write_saved_model

    def write(contract: Contract, path: Path) -> None:
        with quiet():
            write_saved_model(source, path, raw_pixels=True, batch=None)

    return Exported(layers={}, write=write)


def content_hash(path: Path) -> str:
    """SHA-256 over the graph behind `serving_default` and its weights.

    Two exports of one model differ in generated names and in the order of their files' parts. So the graph is frozen,
    and each node counts with its operator, its attributes and the numbers of its inputs, but not with its name.
    """
    import hashlib

    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    from edgecnn.conversion import quiet

    with quiet():
        loaded = tf.saved_model.load(str(path))
        graph: Any = convert_variables_to_constants_v2(loaded.signatures["serving_default"]).graph.as_graph_def()
    digest = hashlib.sha256()
    number = {node.name: i for i, node in enumerate(graph.node)}
    for node in graph.node:
        inputs = [(number[name.lstrip("^").split(":")[0]], name.partition(":")[2]) for name in node.input]
        digest.update(f"{node.op} {inputs}\n".encode())
        for key in sorted(node.attr):
            if not key.startswith("_"):
                digest.update(key.encode() + node.attr[key].SerializeToString(deterministic=True))
    return digest.hexdigest()


PLUGIN = Format(
    name="saved_model",
    summary="SavedModel, for servers that have TensorFlow already: TensorFlow, TensorFlow Serving",
    suffix="",
    file_kind="saved_model",
    batched=True,
    gate=Gate(max_drop_points=0.05, min_agreement=0.9998),
    export=export,
    content_hash=content_hash,
)
