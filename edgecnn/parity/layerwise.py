"""Find the first divergent layer: every Keras layer's output compared with the same layer inside the exported file.

The file is loaded with its layers' tensors, found by the recorded map, as further outputs; that its answers stay what
they are otherwise, to the bit, is checked. A layer is judged by what its inputs explain, so that the noise which
quantization adds on the way is not blamed on the layer that shows it last.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.arrays import sqnr_db
from edgecnn.records import LayerRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgecnn.arrays import Floats
    from edgecnn.records import LayerTensor


NCHW_TO_NHWC = (0, 2, 3, 1)


@dataclass(frozen=True)
class Expectation:
    """What an honest export of a kind keeps of a layer."""

    noise_db: float  # SQNR of a layer whose inputs are exact
    drop_db: float  # by how much it may lie below its inputs' (or below `noise_db`)
    gain: float  # by how much its gain may leave its inputs'


EXPECTED = {
    "float32": Expectation(noise_db=90, drop_db=30, gain=1e-3),
    "float16": Expectation(noise_db=55, drop_db=15, gain=4e-3),
    "int8": Expectation(noise_db=34, drop_db=10, gain=0.02),
}


class Sums:
    """What a regression through the origin needs, summed up image by image: of a reference a and an observed b."""

    def __init__(self) -> None:
        self.aa = self.ab = self.noise = 0.0

    def add(self, a: Floats, b: Floats) -> None:
        """Take in float32 arrays of one shape."""
        import numpy as np

        x, y = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
        self.aa += float(x @ x)
        self.ab += float(x @ y)
        self.noise += float(np.square(y - x).sum())

    @property
    def finite(self) -> bool:
        """Whether all values were numbers."""
        return math.isfinite(self.noise)

    @property
    def sqnr_db(self) -> float | None:
        """Of the layer inside the file; None where it is equal, or not finite."""
        return sqnr_db(self.aa, self.noise)

    @property
    def gain(self) -> float:
        """The slope of the observed on the reference; 1 where the reference is zero throughout."""
        return self.ab / self.aa if self.aa else 1.0


def in_keras_layout(values: Floats, place: LayerTensor) -> Floats:
    """A tensor [N, ...] of a file as Keras has it."""
    return values.transpose(NCHW_TO_NHWC) if place.layout == "NCHW" else values


def judged(
    sums: Mapping[str, Sums],
    places: Mapping[str, LayerTensor],
    fused_into: Mapping[str, str],
    inputs_of: Mapping[str, Sequence[str]],
    expected: Expectation,
) -> tuple[LayerRow, ...]:
    """A row for each layer, in the model's order; `inputs_of` names the layers each is computed from."""
    rows: dict[str, LayerRow] = {}
    for layer, found in sums.items():
        sources = [rows[name] for name in _visible_inputs(layer, inputs_of, rows)]
        rows[layer] = LayerRow(
            layer=layer,
            tensor=places[layer].tensor,
            sqnr_db=found.sqnr_db,
            gain=found.gain if found.finite else None,
            fused_layers=tuple(name for name, into in fused_into.items() if into == layer),
            divergence=_divergence(found, sources, expected),
        )
    return tuple(rows.values())


def _visible_inputs(layer: str, inputs_of: Mapping[str, Sequence[str]], shown: Mapping[str, LayerRow]) -> list[str]:
    """The nearest layers before this one that the file shows; none for the first."""
    found: list[str] = []
    pending, seen = list(inputs_of.get(layer, ())), set[str]()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in shown:
            found.append(name)
        else:
            pending += inputs_of.get(name, ())
    return found


def _divergence(found: Sums, sources: Sequence[LayerRow], expected: Expectation) -> str:
    """How a layer diverges from what its inputs explain; empty where it does not."""
    if not found.finite:
        return "its outputs are not finite"
    before_db = min([row.sqnr_db for row in sources if row.sqnr_db is not None], default=math.inf)
    gains = [row.gain for row in sources if row.gain is not None]
    before = sum(gains) / len(gains) if gains else 1.0
    ratio = found.gain / before if before else math.inf
    own_db = math.inf if found.sqnr_db is None else found.sqnr_db
    noise = 10 ** (-min(before_db, own_db) / 10)  # its power: a curved activation makes a shift of that order of it
    if not abs(ratio - 1) <= max(expected.gain, noise):
        return f"its gain is {ratio:.3f} times that of its inputs"
    floor = min(before_db, expected.noise_db) - expected.drop_db
    if found.sqnr_db is not None and not found.sqnr_db >= floor:
        return f"its SQNR is {found.sqnr_db:.1f} dB where {floor:.1f} dB are expected"
    return ""


def advice(format: str, kind: str, *, exported: bool) -> str:
    """What to do about a layer that diverges."""
    if not exported:
        return "The file is not the one that was exported: `edgecnn export RUN` makes it again."
    if kind == "int8":
        return (
            f"`edgecnn export RUN --format {format} --max-accuracy-drop 0` keeps the layers in float32 "
            "that quantization harms; if it still diverges, "
            "the file was changed after the export or the converter is at fault."
        )
    return (
        "A float export does not change a layer: the file was changed after the export, or the converter is at fault."
    )
