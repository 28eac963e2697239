"""ONNX Runtime on the chosen execution provider, never silently on another."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, TypeAlias

from edgecnn.errors import MachineError, reason_of
from edgecnn.model_files.compute_nodes import is_compute_node
from edgecnn.model_files.int8_overflow import EXACT_INT8
from edgecnn.model_files.onnx_protobuf import with_outputs
from edgecnn.records import Placement
from edgecnn.runtimes.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from edgecnn.arrays import Pixels
    from edgecnn.runtimes.runtime import Session

Provider: TypeAlias = "str | tuple[str, dict[str, Any]]"  # a name, or a name and the provider's own options

CPU = "CPUExecutionProvider"
DEVICES = {"cuda": "cuda", "tensorrt": "cuda", "directml": "dml"}  # where tensors are bound; others: the CPU's memory
PROVIDERS = {
    "cpu": CPU, "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider", "coreml": "CoreMLExecutionProvider", "directml": "DmlExecutionProvider",
    "webgpu": "WebGpuExecutionProvider", "xnnpack": "XnnpackExecutionProvider",
}  # fmt: skip


PACKAGES = {
    "cuda": "onnxruntime-gpu", "tensorrt": "onnxruntime-gpu and NVIDIA's TensorRT", "openvino": "onnxruntime-openvino",
    "coreml": "onnxruntime on a Mac", "directml": "onnxruntime-directml on Windows", "webgpu": "onnxruntime-webgpu",
    "xnnpack": "an onnxruntime built with --use_xnnpack", "cpu": "onnxruntime",
}  # fmt: skip


class OnnxRuntimeSession:
    """An inference session whose nodes run on the chosen execution providers only."""

    def __init__(
        self,
        path: Path,
        threads: int,
        provider: str,
        extra_outputs: tuple[str, ...],
        *,
        allow_fallback: bool = False,
        exact_int8: bool = False,
    ) -> None:
        providers = (PROVIDERS[provider],)
        check_available(providers)
        _find_libraries(provider)
        accepted = (*providers, CPU) if allow_fallback and provider != "cpu" else providers
        content = with_outputs(path.read_bytes(), extra_outputs)
        self._session: Any = _opened(content, threads, accepted, provider, exact_int8)
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]
        self.placement = placement_of(self._session)
        check_placement(self.placement, accepted)
        if PROVIDERS[provider] not in self.placement.compute_nodes:
            raise _nothing_ran(provider, self.placement)

    def run(self, pixels: Pixels) -> dict[str, npt.NDArray[np.float32]]:
        """uint8 [N, H, W, C] to {output name: float32 [N, classes]}."""
        return dict(zip(self._outputs, self._session.run(self._outputs, {self._input: pixels}), strict=True))


class BoundSession(OnnxRuntimeSession):
    """The same with I/O binding: the input is copied to the device once for each array, the output stays there.

    A call on an array seen before invokes and nothing else; `read` brings the answer.
    """

    def __init__(self, path: Path, threads: int, provider: str, extra_outputs: tuple[str, ...], **extras: bool) -> None:
        super().__init__(path, threads, provider, extra_outputs, **extras)
        self._device = DEVICES.get(provider, "cpu")
        self._bound: dict[int, tuple[Any, Any]] = {}

    def run(self, pixels: Pixels) -> dict[str, npt.NDArray[np.float32]]:
        """uint8 [N, H, W, C] to {output name: the answer where it lies, on the device}."""
        known = self._bound.get(id(pixels))
        if known is None or known[1] is not pixels:
            known = self._bound[id(pixels)] = self._binding(pixels), pixels
        self._session.run_with_iobinding(known[0])
        return dict(zip(self._outputs, known[0].get_outputs(), strict=True))

    def _binding(self, pixels: Pixels) -> Any:
        import onnxruntime

        binding = self._session.io_binding()
        binding.bind_ortvalue_input(self._input, onnxruntime.OrtValue.ortvalue_from_numpy(pixels, self._device, 0))
        for name in self._outputs:
            binding.bind_output(name, self._device)
        return binding


def _find_libraries(provider: str) -> None:
    """Let NVIDIA's libraries be found that pip installed with ONNX Runtime."""
    import onnxruntime

    if DEVICES.get(provider) == "cuda" and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()


def _opened(model: bytes, threads: int, accepted: tuple[str, ...], provider: str, exact_int8: bool) -> Any:
    """A session; raises MachineError where the provider fails with a file that the CPU takes."""
    try:
        return open_session(model, threads, accepted, exact_int8=exact_int8)
    except Exception as error:
        if provider != "cpu":
            open_session(model, threads)
            raise MachineError(
                f"{PROVIDERS[provider]} does not start on this machine ({reason_of(error)}); it needs its "
                f"device and driver, and {PACKAGES[provider]}."
            ) from None
        raise


def _nothing_ran(provider: str, placement: Placement) -> MachineError:
    where = ", ".join(f"{name} {count}" for name, count in placement.compute_nodes.items()) or "none"
    return MachineError(
        f"{PROVIDERS[provider]} is there and takes no compute node on this machine (they run on: {where}); it needs "
        f"its device and driver, and {PACKAGES[provider]}."
    )


def open_session(
    model: str | bytes,
    threads: int,
    providers: Sequence[Provider] = (CPU,),
    weights: Path | None = None,
    *,
    exact_int8: bool = False,
) -> Any:
    """An InferenceSession of a file, or of a file's content, that says where its nodes run.

    `weights` is the folder where a content's external weights lie. With `exact_int8` products of int8 weights are
    added in 32 bits whatever the CPU, which is slower where it has no VNNI. Whatever ONNX Runtime raises is passed on;
    left to itself it would print that a provider failed, and use the CPU.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if exact_int8:
        options.add_session_config_entry(*EXACT_INT8)
    if weights is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(weights))
    return onnxruntime.InferenceSession(model, options, providers=list(providers), enable_fallback=0)


def check_available(providers: Sequence[Provider]) -> None:
    """Raises MachineError for a provider this ONNX Runtime lacks: itself it would only warn, and use the CPU."""
    import numpy  # noqa: F401 - first, since onnxruntime makes an ImportError of a Ctrl-C during this
    import onnxruntime

    there = onnxruntime.get_available_providers()
    for name in names_of(providers):
        if name not in there:
            package = next(
                (PACKAGES[key] for key, value in PROVIDERS.items() if value == name), "the build that has it"
            )
            raise MachineError(
                f"This ONNX Runtime has no {name}, only {', '.join(there)}; install {package}, in an environment of "
                "its own."
            )


def check_placement(placement: Placement, providers: Sequence[Provider]) -> None:
    """Raises MachineError where a compute node runs on a provider that was not chosen."""
    elsewhere = {name: n for name, n in placement.compute_nodes.items() if name not in names_of(providers)}
    if elsewhere:
        found = ", ".join(f"{count} compute nodes on {name}" for name, count in elsewhere.items())
        raise MachineError(
            f"Not all of the model runs on {' and '.join(names_of(providers))} here ({found}); name those "
            "providers too, or use another machine."
        )


def names_of(providers: Sequence[Provider]) -> list[str]:
    """The providers' names."""
    return [provider if isinstance(provider, str) else provider[0] for provider in providers]


def placement_of(session: Any) -> Placement:
    """Which execution provider runs each node of a session that :func:`open_session` made."""
    compute: Counter[str] = Counter()
    other: Counter[str] = Counter()
    for part in session.get_provider_graph_assignment_info():
        for node in part.get_nodes():
            counter = compute if is_compute_node(node.op_type) else other
            counter[part.ep_name] += 1
    device = " and ".join(sorted(name.removesuffix("ExecutionProvider").lower() for name in compute)) or "cpu"
    return Placement(device=device, compute_nodes=dict(compute), other_nodes=dict(other))


def load(
    path: Path,
    threads: int,
    provider: str,
    extra_outputs: tuple[str, ...],
    *,
    allow_fallback: bool = False,
    io_binding: bool = False,
    exact_int8: bool = False,
) -> Session:
    """A ready session with that many intra-op threads."""
    kind = BoundSession if io_binding else OnnxRuntimeSession
    return kind(path, threads, provider, extra_outputs, allow_fallback=allow_fallback, exact_int8=exact_int8)


def default_providers() -> tuple[str, ...]:
    """The execution providers that the installed ONNX Runtime was built with."""
    import onnxruntime

    built_in = onnxruntime.get_available_providers()
    return tuple(name for name, provider in PROVIDERS.items() if provider in built_in)


PLUGIN = Runtime(
    name="onnxruntime",
    title="ONNX Runtime",
    summary="ONNX Runtime on its execution providers",
    file_kinds=("onnx",),
    packages=("onnxruntime",),
    load=load,
    modules=("numpy", "onnxruntime"),
    providers=tuple(PROVIDERS),
    default_providers=default_providers,
    default_words="all that work here",
    extras=("allow_fallback", "io_binding", "exact_int8"),
    emulated=("cpu",),
    in_process=("cpu",),
    fuses=True,
)
