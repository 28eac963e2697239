"""What the JSON files of a run hold: frozen records, and the codec between them and bytes.

The records themselves need the standard library only, so a worker on a small device can import them.
Every record names the data it stems from, the machine and the versions, and the SHA-256 of each file or
option it was made from (`Origin.inputs`) and of each file written with it (`Origin.outputs`).
"""

from edgecnn.records.artifacts import (
    Artifact,
    Artifacts,
    ExportFailure,
    Int8Safety,
    LayerSpread,
    MixedPrecision,
    MixedPrecisionStep,
)
from edgecnn.records.codec import decode, encode, plain
from edgecnn.records.common import (
    SCHEMA,
    Accuracy,
    DataSource,
    Difference,
    Machine,
    Origin,
    PairedDifference,
    Placement,
    TensorSpec,
)
from edgecnn.records.comparison import (
    LatencyComparison,
    Regression,
    RunComparison,
    SizeComparison,
    TargetComparison,
)
from edgecnn.records.contract import Calibration, Contract, Export, LayerTensor
from edgecnn.records.diagnosis import Check, Diagnosis
from edgecnn.records.fit import EngineFit, Fit, StepMemory
from edgecnn.records.golden import Golden, GoldenTarget
from edgecnn.records.inspection import GraphLayer, GraphTensor, Inspection, Int8Kernels
from edgecnn.records.latency import (
    Interval,
    Latency,
    LatencyRow,
    Noise,
    PreprocessingLatency,
    Ratio,
    TimeBudget,
    Unsettled,
)
from edgecnn.records.layers import LayerParity, LayerRow, Layers, ParityAndLayers
from edgecnn.records.parity import Flip, NativeDifference, Parity, ParityRow, PreprocessingPath
from edgecnn.records.prediction import ImageError, ImagePrediction, ImageScores, LabelProbability, LabelScore
from edgecnn.records.report import Features, Report
from edgecnn.records.training import Epoch, Progress, Training
from edgecnn.records.verification import Misfit, Verification

__all__ = [
    "SCHEMA",
    "Accuracy",
    "Artifact",
    "Artifacts",
    "Calibration",
    "Check",
    "Contract",
    "DataSource",
    "Diagnosis",
    "Difference",
    "EngineFit",
    "Epoch",
    "Export",
    "ExportFailure",
    "Features",
    "Fit",
    "Flip",
    "Golden",
    "GoldenTarget",
    "GraphLayer",
    "GraphTensor",
    "ImageError",
    "ImagePrediction",
    "ImageScores",
    "Inspection",
    "Int8Kernels",
    "Int8Safety",
    "Interval",
    "LabelProbability",
    "LabelScore",
    "Latency",
    "LatencyComparison",
    "LatencyRow",
    "LayerParity",
    "LayerRow",
    "LayerSpread",
    "LayerTensor",
    "Layers",
    "Machine",
    "Misfit",
    "MixedPrecision",
    "MixedPrecisionStep",
    "NativeDifference",
    "Noise",
    "Origin",
    "PairedDifference",
    "Parity",
    "ParityAndLayers",
    "ParityRow",
    "Placement",
    "PreprocessingLatency",
    "PreprocessingPath",
    "Progress",
    "Ratio",
    "Regression",
    "Report",
    "RunComparison",
    "SizeComparison",
    "StepMemory",
    "TargetComparison",
    "TensorSpec",
    "TimeBudget",
    "Training",
    "Unsettled",
    "Verification",
    "decode",
    "encode",
    "plain",
]
