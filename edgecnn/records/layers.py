"""layers.json."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.records.common import DataSource, Origin, target_name
from edgecnn.records.parity import Parity


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """A Keras layer's output inside an exported file against the layer itself, over the same images."""

    layer: str
    tensor: str
    sqnr_db: float | None  # None where they are equal, or not finite
    gain: float | None  # of the regression of the file's output on the layer's, through the origin; None: not finite
    fused_layers: tuple[str, ...]  # layers without a tensor of their own that the export fused into this one
    divergence: str  # how it diverges from what its inputs explain; empty where it does not


@dataclass(frozen=True, kw_only=True)
class LayerParity:
    """All layers that one exported file shows on one runtime."""

    format: str
    runtime: str
    provider: str
    artifact_sha256: str
    output_difference: float  # largest, of its outputs while observed from those otherwise; 0: equal to the bit
    fused_by_runtime: tuple[
        str, ...
    ]  # layers that the runtime fuses when it loads the file: to show them would change outputs
    layers: tuple[LayerRow, ...]
    first_divergent_layer: str  # the first divergent layer, "" for none
    advice: str  # what to do about it

    @property
    def name(self) -> str:
        """The file and its runtime in words."""
        return target_name(self.format, self.runtime, self.provider)


@dataclass(frozen=True, kw_only=True)
class Layers:
    """layers.json"""

    schema: int
    origin: Origin
    data: DataSource
    images: int
    files: tuple[LayerParity, ...]
    skipped: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class ParityAndLayers:
    """What `edgecnn parity --layers --json` prints."""

    parity: Parity
    layers: Layers
