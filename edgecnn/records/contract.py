"""The contract, and what an exported file records about itself."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.arrays import fits
from edgecnn.errors import InputError
from edgecnn.records.common import DataSource, TensorSpec

CONTRACT_KEY = "edgecnn.contract"  # under which a file carries its contract


@dataclass(frozen=True, kw_only=True)
class LayerTensor:
    """Which tensor of an artifact holds a Keras layer's output, and how it lies there."""

    tensor: str
    layout: str  # "NHWC", "NCHW", or "N" for anything without height and width


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """From which images the quantization ranges were taken."""

    images: int
    sha256: str  # over the pixels, in order
    source: str  # "training images" or "synthetic images"
    evaluation_images: int = 0  # how many of them are test images too
    method: str
    tool: str


@dataclass(frozen=True, kw_only=True)
class Export:
    """What an exported file records about itself, in addition to its contract."""

    format: str
    versions: dict[str, str]
    layers: dict[str, LayerTensor]
    fused_into: dict[str, str]  # Keras layer without a tensor of its own -> the layer it was fused into
    calibration: Calibration | None
    excluded_from_quantization: tuple[str, ...]  # layers of a quantized file excluded from quantization (float32)


@dataclass(frozen=True, kw_only=True)
class Contract:
    """Everything an app must know to use the model: pixels in, labels out. See edgecnn.preprocessing.decode for the
    rules."""

    schema: int
    model: str  # architecture and data, e.g. "cnn-cifar10"
    model_sha256: str  # of model.keras
    input: TensorSpec
    layout: str  # "NHWC"
    color_space: str  # "RGB" or "grayscale"
    value_range: tuple[int, int]  # of the pixels the input takes
    resize: str  # name of the rule
    output: TensorSpec
    output_meaning: str  # "logits", "probabilities", or "scores": in [0, 1], each of its own label
    labels: tuple[str, ...]
    data: DataSource
    calibration_sha256: str = ""  # over the pixels kept for calibration, in order
    export: Export | None = None  # in an exported file: how it was made; in contract.json None


def image_shape(contract: Contract) -> tuple[int, int, int]:
    """Height, width and channels of the input; raises InputError for a contract that no image can meet."""
    match contract.input.shape:
        case (_, int(height), int(width), (1 | 3) as channels) if contract.output.shape[1:] == (len(contract.labels),):
            if fits(height, width):
                return height, width, channels
    raise InputError(
        f"The contract of {contract.model} has images of the shape {list(contract.input.shape)} and "
        f"{len(contract.labels)} labels for outputs of the shape {list(contract.output.shape)}; it is damaged."
    )
