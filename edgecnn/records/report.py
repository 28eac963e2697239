"""features.json and report.json."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.records.artifacts import Artifacts
from edgecnn.records.common import DataSource, Origin
from edgecnn.records.contract import Contract
from edgecnn.records.latency import Latency
from edgecnn.records.layers import Layers
from edgecnn.records.parity import Parity
from edgecnn.records.training import Training


@dataclass(frozen=True, kw_only=True)
class Features:
    """features.json"""

    schema: int
    origin: Origin
    data: DataSource
    image: str  # which image, in words
    input: str  # picture of the input
    pictures: dict[str, str]  # layer -> picture


@dataclass(frozen=True, kw_only=True)
class Report:
    """report.json: everything the page shows, in one file."""

    schema: int
    origin: Origin
    data: DataSource
    contract: Contract
    training: Training
    artifacts: Artifacts
    parity: Parity | None
    layers: Layers | None
    latency: Latency | None
    features: Features | None
