"""artifacts.json."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgecnn.records.common import DataSource, Origin, TensorSpec
from edgecnn.records.contract import Calibration, LayerTensor


@dataclass(frozen=True, kw_only=True)
class MixedPrecisionStep:
    """What a quantized file loses with these layers excluded from quantization."""

    excluded_from_quantization: tuple[str, ...]
    accuracy_drop_points: float  # against the float file, on the same training images
    bias_corrected: bool = False  # the biases of what is quantized moved so that outputs keep their means


@dataclass(frozen=True, kw_only=True)
class LayerSpread:
    """The range of a layer with weights that int8 has to represent, over a few calibration images."""

    low: float  # of its output, after the activation
    high: float
    channel_ratio: float  # of its output's largest magnitude by channel: the largest to the 10 % quantile
    weight_ratio: float  # of its weights' by input channel, within an output channel (their median): the same


@dataclass(frozen=True, kw_only=True)
class MixedPrecision:
    """What a quantized file was made with: whether its biases are corrected, and the layers excluded from it."""

    max_accuracy_drop_points: float
    images: int  # labelled training images it was measured on
    sensitivity_sqnr_db: dict[str, float]  # layer -> SQNR of the output when it alone is quantized; empty: not needed
    steps: tuple[MixedPrecisionStep, ...]  # what was tried, from nothing kept on
    excluded_from_quantization: tuple[str, ...]
    bias_corrected: bool = False
    spreads: dict[str, LayerSpread] = field(default_factory=dict)  # of the layers in `sensitivity_sqnr_db`
    seconds: float = 0.0  # the search took; 0 where full quantization kept the budget


@dataclass(frozen=True, kw_only=True)
class Int8Safety:
    """Proof that an int8 ONNX file gives the same outputs whatever int8 instructions a CPU has."""

    nodes: int  # that multiply by int8 weights
    channels: int  # output channels of all of them
    max_pair_sum: int  # the largest |a| + |b| over two weights of one output channel
    allowed_pair_sum: int
    images_compared: int  # with bit-equal outputs of default and exact kernels; 0 where there is one set only


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One exported file or folder."""

    format: str
    path: str  # relative to the run
    size_bytes: int
    sha256: str  # of the file; of a folder: over names and contents in order
    input: TensorSpec
    output: TensorSpec
    content_sha256: str  # over graph and weights alone; as sha256 where the same model gives the same bytes
    layers: dict[str, LayerTensor] = field(default_factory=dict)
    fused_into: dict[str, str] = field(default_factory=dict)
    calibration: Calibration | None = None
    mixed_precision: MixedPrecision | None = None
    int8_safety: Int8Safety | None = None  # of int8 ONNX files
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ExportFailure:
    """A format that the model could not be exported to."""

    format: str
    reason: str  # without a full stop


@dataclass(frozen=True, kw_only=True)
class Artifacts:
    """artifacts.json: of every format that was tried, the export or why there is none."""

    schema: int
    origin: Origin
    data: DataSource
    artifacts: tuple[Artifact, ...]
    failures: tuple[ExportFailure, ...] = ()
