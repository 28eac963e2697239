"""What `edgecnn inspect` prints."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgecnn.records.common import SCHEMA
from edgecnn.records.contract import Contract


@dataclass(frozen=True, kw_only=True)
class GraphTensor:
    """An input or output of an inspected file."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]  # a name where the side varies, None where it varies without one
    scale: float | None = None  # of a quantized tensor: value = (q - zero_point) * scale
    zero_point: int | None = None


@dataclass(frozen=True, kw_only=True)
class GraphLayer:
    """An operator of an inspected file that multiplies with weights."""

    name: str
    operator: str
    output_shape: tuple[int | str | None, ...]  # for one image
    weights: str  # dtype; empty where they are no constants
    parameters: int
    multiply_adds: int | None  # for one image; None where the shapes are not known


@dataclass(frozen=True, kw_only=True)
class Int8Kernels:
    """Whether outputs of an ONNX file with int8 weights depend on the CPU; see edgecnn.model_files.int8_overflow."""

    nodes: int  # that multiply 8-bit activations by int8 weights
    overflowing: tuple[str, ...]  # those whose kernels can overflow on x86 CPUs without VNNI
    unknown: tuple[str, ...]  # those whose weights lie outside the file


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What `edgecnn inspect` prints of a file."""

    schema: int = SCHEMA
    path: str = ""
    kind: str  # "ONNX", "TFLite", "SavedModel", "C"
    size_bytes: int = 0
    sha256: str = ""  # of the file; of a folder: over names and contents in order
    producer: str
    inputs: tuple[GraphTensor, ...]
    outputs: tuple[GraphTensor, ...]
    operators: dict[str, int]
    parameters: int
    multiply_adds: int | None = None  # of all layers, for one image; None where one's is not known
    layers: tuple[GraphLayer, ...]
    opset: dict[str, int] = field(default_factory=dict)  # ONNX only
    ir_version: int | None = None  # ONNX only
    int8_kernels: Int8Kernels | None = None  # ONNX only; None without int8 weights
    contract: Contract | None = None
    warnings: tuple[str, ...]  # what an app would have to guess or cope with, one sentence each
