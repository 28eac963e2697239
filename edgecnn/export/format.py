"""What an export format is: one module in edgecnn/export/formats with one constant, `PLUGIN`."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, ParamSpec, TypeVar

from edgecnn.codegen.rounding import DEFAULT_ROUNDING
from edgecnn.codegen.target import DEFAULT_TARGET
from edgecnn.plugins import discover

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from edgecnn.arrays import Pixels
    from edgecnn.records import Contract, Int8Safety, LayerTensor, MixedPrecision

P = ParamSpec("P")
R = TypeVar("R")
DEVICES = ("phone", "browser", "Raspberry Pi", "microcontroller", "server")  # for which the report recommends a file


@dataclass(frozen=True)
class Gate:
    """What an export must keep of the original to pass parity."""

    tolerance_points: float  # accuracy may be shown to have fallen by this many percentage points at most
    min_agreement: float  # share of equal top-1 classes, in [0, 1]


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What exports depend on beside the model and its images."""

    max_accuracy_drop: float = 0.5  # points that full quantization may cost before layers are kept in float32
    rounding: str = DEFAULT_ROUNDING  # of generated C: which runtime's outputs it gives
    target: str = DEFAULT_TARGET  # of generated C: for which instructions it is written


@dataclass(frozen=True, eq=False)
class ExportSource:
    """What a format exports from: the Keras model ([0, 1] floats in), its contract, and training images.

    The selection is what mixed precision is judged on; both arrays are empty where no labelled images are available.
    """

    model: object
    contract: Contract
    calibration_images: Pixels
    selection_images: Pixels
    selection_labels: npt.NDArray[np.int64]
    options: ExportOptions = ExportOptions()
    cache: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)  # of :func:`cached`


def cached(function: Callable[Concatenate[ExportSource, P], R]) -> Callable[Concatenate[ExportSource, P], R]:
    """Compute once for a source and the further arguments, for all formats; the results live as long as the source."""

    @wraps(function)
    def lookup(source: ExportSource, /, *args: P.args, **kwargs: P.kwargs) -> R:
        key = (function, args, tuple(kwargs.items()))
        if key not in source.cache:
            source.cache[key] = function(source, *args, **kwargs)
        found: R = source.cache[key]
        return found

    return lookup


@dataclass(frozen=True)
class Exported:
    """A converted model in memory: its layer map, and how to write it with the contract that is to travel inside."""

    layers: Mapping[str, LayerTensor]
    write: Callable[[Contract, Path], object]
    mixed_precision: MixedPrecision | None = None
    int8_safety: Int8Safety | None = None
    content_sha256: str = ""  # over graph and weights, where the same model gives other bytes each time


@dataclass(frozen=True)
class Format:
    """A kind of exported file: uint8 pixels `image` in, output of `output_dtype` out, scaling inside."""

    PACKAGE: ClassVar[str] = "edgecnn.export.formats"  # where its plug-ins lie

    name: str
    summary: str
    suffix: str  # of the file name; empty for a folder
    file_kind: str  # what a runtime recognises: "saved_model", "tflite", "onnx", "c"
    batched: bool  # whether one call takes any number of images; otherwise exactly one
    packages: tuple[str, ...]  # import names of what converts to it
    gate: Gate
    export: Callable[[ExportSource], Exported]
    output_dtype: str = "float32"
    weight_dtype: str = "float32"  # what its weights are stored in: "float32", "float16" or "int8"
    float_counterpart: str = ""  # for a quantized format: the float format whose place it would take
    calibrator: str = ""  # for a format that depends on calibration images: which package measures ranges on them
    devices: tuple[str, ...] = ()  # of DEVICES: where the report may recommend it
    options: tuple[str, ...] = ()  # of ExportOptions: those that this format takes and others do not
    default: bool = True  # whether it is exported where no format is named; not what takes more than Python to run


def default_formats() -> list[str]:
    """Those exported where none is named, in alphabetical order."""
    return sorted(name for name, format in discover(Format).items() if format.default)
