"""LiteRT, the runtime of TFLite files on phones and small computers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from edgecnn.errors import MachineError
from edgecnn.model_files.compute_nodes import is_compute_node
from edgecnn.records import Placement
from edgecnn.runtimes.runtime import Runtime

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from edgecnn.arrays import Pixels
    from edgecnn.runtimes.runtime import Session

DELEGATE, KERNELS = "XNNPACK", "LiteRT kernels"
RESOLVERS = {"xnnpack": "AUTO", "builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "reference": "BUILTIN_REF"}


class LiteRTSession:
    """An interpreter with the chosen kernels, batch size 1."""

    def __init__(
        self, path: Path, threads: int, provider: str, extra_outputs: tuple[str, ...], allow_fallback: bool
    ) -> None:
        import numpy as np
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        content = path.read_bytes()
        self._interpreter: Any = Interpreter(
            model_content=_exposing(content, extra_outputs) if extra_outputs else content,
            num_threads=threads,
            experimental_op_resolver_type=OpResolverType[RESOLVERS[provider]],
        )
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        signature = next(iter(self._interpreter.get_signature_list().values()))["outputs"]  # in alphabetical order
        names = [*(name for name in signature if name not in extra_outputs), *extra_outputs]
        details = self._interpreter.get_output_details()
        self._outputs = [(name, d["index"]) for name, d in zip(names, details, strict=True)]
        self._quantized = {
            name: tuple(map(np.float32, detail["quantization"]))
            for name, detail in zip(names, details, strict=True)
            if detail["quantization"][0]
        }
        self.placement = _placement(self._interpreter._get_ops_details())
        _check(self.placement.compute_nodes, provider, path.name, allow_fallback)

    def run(self, pixels: Pixels) -> dict[str, npt.NDArray[np.float32]]:
        """uint8 [N, H, W, C], one image after the other, to {output name: float32 [N, classes]}."""
        if len(pixels) == 1:
            return self._run_one(pixels)
        import numpy as np

        rows = [self._run_one(pixels[i : i + 1]) for i in range(len(pixels))]
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}

    def _run_one(self, pixels: Pixels) -> dict[str, npt.NDArray[np.float32]]:
        interpreter = self._interpreter
        interpreter.set_tensor(self._input, pixels)
        interpreter.invoke()
        outputs = {name: interpreter.get_tensor(index) for name, index in self._outputs}
        for name, parameters in self._quantized.items():
            scale, zero_point = parameters
            outputs[name] = (outputs[name] - zero_point) * scale  # int8 and float32 scalars give float32
        return outputs


def _check(nodes: dict[str, int], provider: str, name: str, allow_fallback: bool) -> None:
    """Raises MachineError where other kernels than the chosen ones execute compute nodes."""
    wanted = DELEGATE if provider == "xnnpack" else KERNELS
    elsewhere = sum(count for place, count in nodes.items() if place != wanted)
    if wanted not in nodes or (elsewhere and not allow_fallback):
        found = ", ".join(f"{count} compute nodes on {place}" for place, count in nodes.items()) or "none"
        raise MachineError(
            f"LiteRT does not run all of {name} on {provider} here ({found}); choose other kernels of it, or "
            "accept a split with --allow-fallback."
        )


def _exposing(flatbuffer: bytes, tensors: tuple[str, ...]) -> bytes:
    """The file with these tensors as further outputs of its graph and signature; nothing else about it changes."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
    graph, outputs = model.subgraphs[0], model.signatureDefs[0].outputs
    number = {tensor.name.decode(): i for i, tensor in enumerate(graph.tensors)}
    graph.outputs = [*graph.outputs, *(number[name] for name in tensors)]
    for name in tensors:
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name.encode(), number[name]
        outputs.append(entry)
    builder = flatbuffers.Builder(len(flatbuffer))
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _placement(operators: list[dict[str, Any]]) -> Placement:
    """Nodes a delegate took are those whose outputs it computes: they lie within the tensors it reads to writes.

    The interpreter lists the plain nodes first and each delegate's node after them; a plain node is delegated
    when the delegate was given its weights or makes its output.
    """
    delegates = [op for op in operators if op["op_name"] == "DELEGATE"]
    plain = [op for op in operators if op["op_name"] != "DELEGATE"]
    makers = {int(tensor): op for op in plain for tensor in op["outputs"]}
    delegated: set[int] = set()
    for delegate in delegates:
        delegated |= _computed_by(delegate, makers)
    compute: Counter[str] = Counter()
    other: Counter[str] = Counter()
    for op in plain:
        place = DELEGATE if delegated.intersection(map(int, op["outputs"])) else KERNELS
        (compute if is_compute_node(op["op_name"]) else other)[place] += 1
    return Placement(device="cpu", compute_nodes=dict(compute), other_nodes=dict(other))


def _computed_by(delegate: dict[str, Any], makers: dict[int, dict[str, Any]]) -> set[int]:
    """The tensors that a delegate computes: walk back from its outputs to its inputs."""
    inputs = set(map(int, delegate["inputs"]))
    pending = set(map(int, delegate["outputs"]))
    seen: set[int] = set()
    while pending:
        tensor = pending.pop()
        seen.add(tensor)
        if tensor in makers:
            pending |= set(map(int, makers[tensor]["inputs"])) - inputs - seen - {-1}
    return seen


def load(
    path: Path, threads: int, provider: str, extra_outputs: tuple[str, ...], *, allow_fallback: bool = False
) -> Session:
    """A ready session on that many threads."""
    return LiteRTSession(path, threads, provider, extra_outputs, allow_fallback)


PLUGIN = Runtime(
    name="litert",
    title="LiteRT",
    summary="LiteRT with XNNPACK, its plain kernels or its reference kernels",
    file_kinds=("tflite", "tflite_micro"),
    packages=("ai_edge_litert",),
    load=load,
    modules=("ai_edge_litert.interpreter",),
    providers=tuple(RESOLVERS),
    default_providers=lambda: ("xnnpack",),
    default_words="xnnpack",
    extras=("allow_fallback",),
    emulated=tuple(RESOLVERS),
    in_process=tuple(RESOLVERS),
)
