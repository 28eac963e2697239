"""What a folder of generated C is made of, read from its header alone; nothing is compiled."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from edgecnn.model_files import c_header
from edgecnn.model_files.inspector import Inspector
from edgecnn.records import GraphLayer, GraphTensor, Inspection

if TYPE_CHECKING:
    from pathlib import Path

STEP = re.compile(
    r"^ \*   (?P<layer>.+): (?P<operators>\w+(?: \+ \w+)*), .+ -> (?P<output>[\dx]+)"
    r"(?:, (?P<parameters>[\d,]+) parameters, (?P<multiply_adds>[\d,]+) multiply-adds)?$",
    re.MULTILINE,
)


def read(path: Path) -> tuple[Inspection, bytes | None]:
    """What the header says, and the contract in it; raises InputError where there is none or it is not whole."""
    header = c_header.read(path)
    steps = [found.groupdict() for found in STEP.finditer(header.text)]
    layers = tuple(_layer(step) for step in steps if step["parameters"])
    image = tuple(int(header.numbers[f"IMAGE_{side}"]) for side in ("HEIGHT", "WIDTH", "CHANNELS"))
    return Inspection(
        kind="C",
        producer="edgecnn",
        inputs=(GraphTensor(name="image", dtype="uint8", shape=(1, *image)),),
        outputs=(
            GraphTensor(
                name=header.output,
                dtype="int8",
                shape=(1, int(header.numbers["LABEL_COUNT"])),
                scale=header.numbers["OUTPUT_SCALE"],
                zero_point=int(header.numbers["OUTPUT_ZERO_POINT"]),
            ),
        ),
        operators=dict(Counter(kind for step in steps for kind in step["operators"].split(" + "))),
        parameters=sum(layer.parameters for layer in layers),
        layers=layers,
        warnings=(),
    ), header.contract


def _layer(step: dict[str, str]) -> GraphLayer:
    return GraphLayer(
        name=step["layer"],
        operator=step["operators"].split(" + ")[0],
        output_shape=(1, *map(int, step["output"].split("x"))),
        weights="int8",
        parameters=int(step["parameters"].replace(",", "")),
        multiply_adds=int(step["multiply_adds"].replace(",", "")),
    )


PLUGIN = Inspector(
    name="c_source",
    summary="a folder of generated C",
    packages=(),
    read=read,
    recognizes=lambda path, head: path.is_dir() and c_header.header_in(path) is not None,
)
