"""ONNX Runtime on its CPU execution provider."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from edgecnn.plugins import Runtime
from edgecnn.records import Placement

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from edgecnn.plugins import Pixels, Session

COMPUTE_WORDS = ("Conv", "Gemm", "MatMul", "Pool")


class OnnxRuntimeSession:
    """An inference session whose nodes' execution providers were asked for and are kept."""

    def __init__(self, path: Path, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]
        self.placement = _placement(self._session)

    def run(self, pixels: Pixels) -> dict[str, npt.NDArray[np.float32]]:
        """uint8 [N, H, W, C] to {output name: float32 [N, classes]}."""
        return dict(zip(self._outputs, self._session.run(self._outputs, {self._input: pixels}), strict=True))


def _placement(session: Any) -> Placement:
    compute: Counter[str] = Counter()
    other: Counter[str] = Counter()
    for part in session.get_provider_graph_assignment_info():
        for node in part.get_nodes():
            counter = compute if any(word in node.op_type for word in COMPUTE_WORDS) else other
            counter[part.ep_name] += 1
    return Placement(device="cpu", compute_nodes=dict(compute), other_nodes=dict(other))


def load(path: Path, threads: int) -> Session:
    """A ready session with that many intra-op threads."""
    return OnnxRuntimeSession(path, threads)


PLUGIN = Runtime(
    name="onnxruntime",
    summary="ONNX Runtime, CPU execution provider",
    file_kinds=("onnx",),
    packages=("onnxruntime",),
    load=load,
)
