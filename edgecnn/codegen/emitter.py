"""The C files of a graph: a header, the model with the kernels it uses, and a self-test."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecnn.codegen.c_source import render_source
from edgecnn.codegen.calls import Site, call_of, literal
from edgecnn.codegen.graph import Convolution, Weighted
from edgecnn.codegen.kernels import amalgamated
from edgecnn.codegen.planner import plan
from edgecnn.codegen.reference import outputs_of
from edgecnn.codegen.target import DEFAULT_TARGET, TARGETS
from edgecnn.model_files.compute_nodes import is_compute_node
from edgecnn.records import encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from edgecnn.codegen.calls import Call
    from edgecnn.codegen.graph import Graph, Step
    from edgecnn.codegen.planner import Plan
    from edgecnn.codegen.target import Target
    from edgecnn.records import Contract

TEMPLATES = Path(__file__).parent / "templates"
PATTERNS = (0, 1_398_101, 2_654_435_761, 40_503)  # multipliers of the self-test's images: black, ramp, noise, stripes
MAX_COLUMN = 116
BYTES = {"int8_t": 1, "int32_t": 4, "float": 4}


@dataclass(frozen=True)
class Line:
    """A step in the source and in the header's table."""

    layer: str
    operators: str
    shapes: str
    parameters: int
    multiply_adds: int
    buffers: tuple[int, int]  # values in windows and sums at a time
    call: Call
    when: str  # the condition in a loop of turns; "" for always


@dataclass(frozen=True)
class Loop:
    """Lines that run one after the other, or in so many turns."""

    turns: int  # 0 for no loop
    lines: tuple[Line, ...]


def emit(graph: Graph, contract: Contract, folder: Path, target: Target = TARGETS[DEFAULT_TARGET]) -> None:
    """Write `<name>.h`, `<name>.c` and `<name>_selftest.c` into a folder: of the same graph, the same bytes."""
    name, planned = c_name(contract.model), plan(graph)
    loops = _loops(graph, planned, contract.output.name, target)
    lines = [line for loop in loops for line in loop.lines]
    arrays = [constant for line in lines for constant in line.call.constants]
    windows, sums = (max(line.buffers[part] for line in lines) for part in (0, 1))
    images = golden_images(graph)
    facts: dict[str, Any] = {
        "name": name,
        "prefix": name.upper(),
        "contract": contract,
        "contract_json": _commented(contract),
        "rounding": graph.rounding,
        "image": graph.tensors[graph.image],
        "output": graph.tensors[graph.output],
        "output_name": contract.output.name,
        "image_offset": planned.offsets[graph.storage[graph.image]],
        "arena_bytes": planned.arena_bytes,
        "constant_bytes": sum(BYTES[kind] * len(values) for kind, _, values in arrays),
        "multiply_adds": sum(line.multiply_adds for line in lines),
        "compute_layers": sum(is_compute_node(kind) for step in graph.steps for kind in step.operators),
        "loops": loops,
        "lines": lines,
        "arrays": [(kind, array, len(values), _wrapped(values)) for kind, array, values in arrays],
        "kernels": amalgamated(["image", *(line.call.kernel for line in lines)], graph.rounding.name, target),
        "target": target,
        "windows": windows,
        "sums": sums,
        "buffer_bytes": windows * target.window_bytes + sums * 4,
        "patterns": PATTERNS,
        "golden": outputs_of(graph, images).tolist(),
    }
    for template in sorted(TEMPLATES.iterdir()):
        text = render_source(template, facts)
        (folder / template.stem.replace("model", name)).write_text(text, encoding="utf-8")


def golden_images(graph: Graph) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The self-test's images, uint8 [N, H, W, C], as its C code makes them: each pattern, and each upside down."""
    import numpy as np

    height, width, channels = graph.tensors[graph.image].shape
    numbers = np.arange(1, height * width * channels + 1, dtype=np.uint32)
    images = [(numbers * np.uint32(pattern)) >> np.uint32(24) for pattern in PATTERNS]
    every = [image ^ np.uint32(mask) for image in images for mask in (0, 255)]
    return np.stack(every).astype(np.uint8).reshape(-1, height, width, channels)


def c_name(model: str) -> str:
    """A model's name as C identifiers begin: `cnn-cifar10` is cnn_cifar10."""
    name = re.sub(r"[^a-z0-9]+", "_", model.lower()).strip("_")
    return name if name and not name[0].isdigit() else f"model_{name}".strip("_")


def _loops(graph: Graph, planned: Plan, output: str, target: Target) -> list[Loop]:
    names = _identifiers([step.layer for step in graph.steps])

    def pointer(number: int) -> str:
        owner = graph.storage[number]
        if owner == graph.storage[graph.output]:
            return output
        return f"memory + {planned.offsets[owner]}" if planned.offsets[owner] else "memory"

    def line(number: int, row: str, when: str) -> Line:
        step = graph.steps[number]
        site = Site(tuple(pointer(tensor) for tensor in (*step.inputs, step.output)), names[number], row)
        return _line(graph, step, call_of(step, graph.tensors, site, target), when, target)

    loops = []
    for stage in planned.stages:
        if not stage.lags:
            loops.append(Loop(0, (line(stage.steps[0], "", ""),)))
            continue
        height = graph.tensors[graph.steps[stage.steps[0]].output].shape[0]
        turns = height + max(stage.lags)
        lines = tuple(
            line(number, f"(turn - {lag})" if lag else "turn", _when(lag, height, turns))
            for number, lag in zip(stage.steps, stage.lags, strict=True)
        )
        loops.append(Loop(turns, lines))
    return loops


def _when(lag: int, height: int, turns: int) -> str:
    """In which turns a step that comes `lag` turns later has a row to compute."""
    bounds = [f"turn >= {lag}"] if lag else []
    return " && ".join(bounds + ([f"turn < {height + lag}"] if height + lag < turns else []))


def _line(graph: Graph, step: Step, call: Call, when: str, target: Target) -> Line:
    shapes = ["x".join(map(str, graph.tensors[number].shape)) for number in (*step.inputs, step.output)]
    return Line(
        layer=step.layer,
        operators=" + ".join(step.operators),
        shapes=f"{' and '.join(shapes[:-1])} -> {shapes[-1]}",
        parameters=step.weights.size + step.bias.size if isinstance(step, Weighted) else 0,
        multiply_adds=graph.multiply_adds(step),
        buffers=target.buffers(step) if isinstance(step, Convolution) else (0, 0),
        call=call,
        when=when,
    )


def _identifiers(layers: Sequence[str]) -> list[str]:
    """A C identifier for each layer, no two the same."""
    found: list[str] = []
    for layer in layers:
        plain = re.sub(r"\W", "_", layer, flags=re.ASCII)
        plain = plain if plain and not plain[0].isdigit() and plain[0] != "_" else f"layer_{plain}"
        candidates = (plain, *(f"{plain}_{number}" for number in range(2, len(layers) + 2)))
        found.append(next(name for name in candidates if name not in found))
    return found


def _wrapped(values: np.ndarray[Any, np.dtype[Any]]) -> str:
    """Numbers as the inside of a C array."""
    lines, line = [], "   "
    for value in values.tolist():
        word = f" {literal(value)},"
        if len(line) + len(word) > MAX_COLUMN:
            lines.append(line)
            line = "   "
        line += word
    return "\n".join([*lines, line])


def _commented(contract: Contract) -> str:
    """The contract's JSON in ASCII, so that it ends no comment and is no trigraph; readers of JSON get it unchanged."""
    text = json.dumps(json.loads(encode(contract)), indent=1)
    return text.replace("*", "\\u002a").replace("??", "?\\u003f")
