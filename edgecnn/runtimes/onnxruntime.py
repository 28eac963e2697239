"""ONNX Runtime on the execution provider asked for, never silently on another."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from edgecnn.errors import MachineError
from edgecnn.onnx_outputs import with_outputs
from edgecnn.plugins import Runtime
from edgecnn.records import Placement

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from edgecnn.plugins import Pixels, Session

COMPUTE_WORDS = ("Conv", "Gemm", "MatMul", "Pool")
PROVIDERS = {
    "cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider", "coreml": "CoreMLExecutionProvider", "directml": "DmlExecutionProvider",
    "webgpu": "WebGpuExecutionProvider", "xnnpack": "XnnpackExecutionProvider",
}  # fmt: skip


class OnnxRuntimeSession:
    """An inference session whose nodes' execution providers were asked for and are kept."""

    def __init__(self, path: Path, threads: int, provider: str, exposed: tuple[str, ...]) -> None:
        import onnxruntime

        wanted = PROVIDERS[provider]
        if wanted not in onnxruntime.get_available_providers():
            raise MachineError(f"The ONNX Runtime of this environment has no {wanted}.")

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        model = with_outputs(path.read_bytes(), exposed)
        self._session: Any = onnxruntime.InferenceSession(model, options, providers=[wanted])
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]
        self.placement = _placement(self._session)
        if set(self.placement.compute_nodes) - {wanted}:
            nodes = ", ".join(f"{name} {count}" for name, count in self.placement.compute_nodes.items())
            raise MachineError(f"ONNX Runtime did not run all of {path.name} on {wanted}: compute nodes on {nodes}.")

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


def load(path: Path, threads: int, provider: str, exposed: tuple[str, ...]) -> Session:
    """A ready session with that many intra-op threads."""
    return OnnxRuntimeSession(path, threads, provider, exposed)


def offered() -> tuple[str, ...]:
    """The execution providers that the installed ONNX Runtime was built with."""
    import onnxruntime

    built_in = onnxruntime.get_available_providers()
    return tuple(name for name, provider in PROVIDERS.items() if provider in built_in)


PLUGIN = Runtime(
    name="onnxruntime",
    summary="ONNX Runtime on its execution providers",
    file_kinds=("onnx",),
    packages=("onnxruntime",),
    load=load,
    providers=tuple(PROVIDERS),
    offered=offered,
    fuses=True,
)
