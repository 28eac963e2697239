"""A SavedModel's serving signature on TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgecnn.model_files.compute_nodes import is_compute_node
from edgecnn.records import Placement
from edgecnn.runtimes.runtime import Runtime
from edgecnn.tensorflow_setup import configure_tensorflow

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from edgecnn.arrays import Pixels
    from edgecnn.runtimes.runtime import Session


class SavedModelSession:
    """The function behind `serving_default`."""

    def __init__(self, path: Path, threads: int, extra_outputs: tuple[str, ...]) -> None:
        configure_tensorflow(threads)
        import tensorflow as tf

        self._model = tf.saved_model.load(str(path))  # holds the variables the function refers to
        self._function: Any = self._model.signatures["serving_default"]
        self._input = next(iter(self._function.structured_input_signature[1]))
        self._constant = tf.constant
        self.placement = Placement(
            device="cpu",
            compute_nodes={"TensorFlow": _compute_nodes(self._function.graph.as_graph_def())},
            other_nodes={},
        )
        self._outputs = tuple(self._function.structured_outputs)
        if extra_outputs:
            self._outputs, self._function = _exposing(self._function, extra_outputs)

    def run(self, pixels: Pixels) -> dict[str, npt.NDArray[np.float32]]:
        """uint8 [N, H, W, C] to {output name: float32 [N, classes]}."""
        outputs = self._function(**{self._input: self._constant(pixels)})
        return {name: outputs[name].numpy() for name in self._outputs}


def _exposing(function: Any, tensors: tuple[str, ...]) -> tuple[tuple[str, ...], Any]:
    """The signature's graph, frozen as layer maps name it, giving these tensors in addition to its only output."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    frozen = convert_variables_to_constants_v2(function)
    names = (next(iter(function.structured_outputs)), *tensors)
    pruned = frozen.prune(frozen.inputs[0].name, [frozen.outputs[0].name, *tensors])
    return names, lambda **inputs: dict(zip(names, pruned(next(iter(inputs.values()))), strict=True))


def _compute_nodes(graph: Any) -> int:
    bodies = [graph.node, *(function.node_def for function in graph.library.function)]
    counts = [sum(is_compute_node(node.op) for node in body) for body in bodies]
    return max(counts)  # the same operators stand in the wrappers' bodies again


def load(path: Path, threads: int, provider: str, extra_outputs: tuple[str, ...]) -> Session:
    """A ready session; threads is TensorFlow's intra-op setting."""
    return SavedModelSession(path, threads, extra_outputs)


PLUGIN = Runtime(
    name="saved_model",
    title="TensorFlow",
    summary="SavedModel on TensorFlow",
    file_kinds=("saved_model",),
    packages=("tensorflow",),
    load=load,
    set_up=configure_tensorflow,
    in_process=("cpu",),
)
