"""What the JSON files of a run hold: frozen records, and the codec between them and bytes.

The records themselves need the standard library only, so a worker on a small device can import them.
Every record names the data it stems from, the machine and the versions, and the SHA-256 of each file or
option it was made from (`Origin.inputs`) and of each file written with it (`Origin.outputs`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from edgecnn.errors import InputError, NewerSchema

SCHEMA = 1  # raised when a record changes so that an older edgecnn would misread it


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """Where images come from."""

    name: str  # "cifar10", "synthetic", or the kind of a path: "folder", "npz"
    spec: str  # what to give to --data to get it again
    sha256: str  # over all pixels and labels of both splits
    labels: tuple[str, ...]
    train_count: int
    test_count: int
    notice: str = ""  # what a reader of any figure has to know, e.g. that drawn images stand in


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where a figure was measured."""

    cpu: str
    cores: int  # usable by this process
    memory_bytes: int
    system: str
    python: str


@dataclass(frozen=True, kw_only=True)
class Origin:
    """How a file of a run came to be; the basis of "is it up to date?"."""

    command: str
    created: str  # UTC, ISO 8601
    machine: Machine
    versions: dict[str, str]
    inputs: dict[str, str]  # file name -> SHA-256, option -> value
    outputs: dict[str, str]  # file name -> SHA-256 of what was written with this record


@dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """One input or output of a model; None in `shape` is the batch."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


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
    source: str  # "training images" or "drawn images"
    evaluation_images: int = 0  # how many of them are test images too
    method: str
    tool: str


@dataclass(frozen=True, kw_only=True)
class Export:
    """What an exported file says of itself, beside the contract it carries."""

    format: str
    versions: dict[str, str]
    layers: dict[str, LayerTensor]
    absorbed: dict[str, str]  # Keras layer without a tensor of its own -> the layer it was fused into
    calibration: Calibration | None
    kept_float: tuple[str, ...]  # layers of a quantized file that stay in float32


@dataclass(frozen=True, kw_only=True)
class Contract:
    """Everything an app must know to use the model: pixels in, labels out. See edgecnn.contract for the rules."""

    schema: int
    model: str  # architecture and data, e.g. "cnn-cifar10"
    model_sha256: str  # of model.keras
    image: TensorSpec
    layout: str  # "NHWC"
    colour: str  # "RGB" or "grey"
    value_range: tuple[int, int]  # of the pixels the input takes
    resize: str  # name of the rule
    output: TensorSpec
    output_meaning: str  # "logits" or "probabilities"
    labels: tuple[str, ...]
    data: DataSource
    calibration_sha256: str = ""  # over the pixels kept for calibration, in order
    export: Export | None = None  # in an exported file: how it was made; in contract.json None


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Correct answers of `total` images of a split, with the 95 % Wilson interval of the share."""

    correct: int
    total: int
    split: str
    low: float
    high: float

    @property
    def share(self) -> float:
        """Correct answers as a share in [0, 1]."""
        return self.correct / self.total


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What one pass over the training images gave; shares in [0, 1], losses in nats.

    The figures of validation are None where a recipe keeps away from the test images.
    """

    loss: float
    accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    seconds: float
    learning_rate: float | None = None  # at the epoch's end


@dataclass(frozen=True, kw_only=True)
class Progress:
    """checkpoint/state.json: how far training got; beside it lies the model after the last epoch it names."""

    schema: int
    inputs: dict[str, str]
    data: DataSource
    history: tuple[Epoch, ...] = ()
    checkpoint_sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class Training:
    """training.json"""

    schema: int
    origin: Origin
    data: DataSource
    architecture: str
    recipe: str
    seed: int
    batch_size: int
    parameters: int
    history: tuple[Epoch, ...]
    accuracy: Accuracy  # on the test images, or on those held out of the training set
    class_accuracy: tuple[Accuracy | None, ...]  # one a label, None for a label without test images
    confusion: tuple[tuple[int, ...], ...]  # rows are the true labels, columns the answers
    choices: str = ""  # the recipe's, in words
    teacher: str = ""  # what the model was taught by, beside the labels
    hold_out: int = 0  # training images set aside, on which `accuracy` was measured


@dataclass(frozen=True, kw_only=True)
class PrecisionStep:
    """What a quantized file loses with these layers kept in float32."""

    kept_float: tuple[str, ...]
    drop_points: float  # against the float file, on the same training images


@dataclass(frozen=True, kw_only=True)
class Precision:
    """How it was found which layers of a quantized file have to stay in float32."""

    max_drop_points: float
    images: int  # labelled training images it was measured on
    sensitivity: dict[str, float]  # layer -> SQNR of the output in dB when it alone is quantized; empty if not needed
    steps: tuple[PrecisionStep, ...]  # what was tried, from nothing kept on
    kept_float: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One exported file or folder."""

    format: str
    path: str  # relative to the run
    size_bytes: int
    sha256: str  # of the file; of a folder: over names and contents in order
    image: TensorSpec
    output: TensorSpec
    content_sha256: str  # over graph and weights alone; as sha256 where the same model gives the same bytes
    layers: dict[str, LayerTensor] = field(default_factory=dict)
    absorbed: dict[str, str] = field(default_factory=dict)
    calibration: Calibration | None = None
    precision: Precision | None = None
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Artifacts:
    """artifacts.json"""

    schema: int
    origin: Origin
    data: DataSource
    artifacts: tuple[Artifact, ...]


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What really executes a session's compute nodes (convolution, dense, pooling)."""

    device: str
    compute_nodes: dict[str, int]  # execution provider or delegate -> nodes
    other_nodes: dict[str, int]  # casts, transposes, quantize and dequantize steps


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A change of accuracy in percentage points, with its 95 % interval."""

    points: float
    low_points: float
    high_points: float


@dataclass(frozen=True, kw_only=True)
class Paired(Difference):
    """What a second classifier changes of the accuracy of a first on the same images."""

    broken: int  # right before, wrong now
    repaired: int  # wrong before, right now
    images: int
    p: float  # McNemar's exact test

    @property
    def difference(self) -> Difference:
        """The change alone."""
        return Difference(points=self.points, low_points=self.low_points, high_points=self.high_points)


@dataclass(frozen=True, kw_only=True)
class Flip:
    """An image on which an artifact answers otherwise than the reference."""

    image: int  # index in the evaluation split
    label: int | None
    reference: int
    answer: int
    reference_margin: float  # between the best and the second-best output
    answer_margin: float
    kind: str  # "broken", "repaired", "changed" (wrong both times); "" where the label is not known


@dataclass(frozen=True, kw_only=True)
class ParityRow:
    """One artifact on one runtime and execution provider against Keras, over the same images."""

    format: str
    runtime: str
    provider: str
    artifact_sha256: str
    images: int
    accuracy: Accuracy | None  # None where no labelled images were at hand
    paired: Paired | None  # against the reference; None as above
    judged: Difference | None  # what the gate looked at: `paired`, or a chain of two of them
    through: str  # the row by which it was judged, where it answered a part of the images only; else empty
    agreement: float  # share of equal top-1 answers
    top5_agreement: float | None  # share with the same five best classes, in whatever order; None of five or fewer
    flips: tuple[Flip, ...]
    max_logit_difference: float  # -1 where outputs are not finite, as in the next three
    mean_logit_difference: float
    sqnr_db: float | None  # of the outputs; None where they are equal or not finite
    cosine: float  # of an image's outputs with the reference's, in the mean
    bit_equal_to: tuple[str, ...]  # names of other rows, or of the reference, with the very same outputs
    placement: Placement
    gate: str  # the rule in words
    verdict: str  # "pass", "fail" or "not proven"
    reason: str  # why not, in words; empty when passed
    seconds: float

    @property
    def name(self) -> str:
        """The row in words."""
        return f"{self.format} on {self.runtime} ({self.provider})"


@dataclass(frozen=True, kw_only=True)
class Pathway:
    """A way by which image files become the model's input, held against the contract's rules."""

    name: str
    files: int
    different: tuple[str, ...]  # files whose pixels arrived otherwise


@dataclass(frozen=True, kw_only=True)
class Parity:
    """parity.json; answers.npz beside it holds every top-1 answer."""

    schema: int
    origin: Origin
    data: DataSource
    evaluated_on: str  # which images, in words
    images: int
    reference: str
    reference_accuracy: Accuracy | None
    rows: tuple[ParityRow, ...]
    agreement: tuple[tuple[float, ...], ...]  # of each with each, the reference first, over the images both answered
    pathways: tuple[Pathway, ...]
    skipped: dict[str, str]  # what could not be asked -> why
    verdict: str  # "pass", "fail" or "not proven"
    reasons: tuple[str, ...]  # for the whole, beside those of the rows
    device: str = ""  # where the exports were asked, if not here; the reference is asked here


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """A Keras layer's output inside an exported file against the layer itself, over the same images."""

    layer: str
    tensor: str
    sqnr_db: float | None  # None where they are equal, or not finite
    gain: float | None  # of the regression of the file's output on the layer's, through the origin; None: not finite
    absorbed: tuple[str, ...]  # layers that have no tensor of their own and are part of this one
    falls_out: str  # in what way it falls out of what its inputs explain; empty where it does not


@dataclass(frozen=True, kw_only=True)
class LayerParity:
    """All layers that one exported file shows on one runtime."""

    format: str
    runtime: str
    provider: str
    artifact_sha256: str
    answer_difference: float  # largest, of its outputs while observed from those otherwise; 0: equal to the bit
    fused: tuple[str, ...]  # layers that the runtime fuses when it loads the file: to show them would change answers
    layers: tuple[LayerRow, ...]
    culprit: str  # the first layer that falls out, "" for none
    advice: str  # what to do about it

    @property
    def name(self) -> str:
        """The file and its place in words."""
        return f"{self.format} on {self.runtime} ({self.provider})"


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
class Golden:
    """golden.json of a published run: what everything in it gave for drawn images."""

    schema: int
    origin: Origin
    data: DataSource
    images: int
    images_sha256: str  # over the pixels
    outputs: dict[str, tuple[tuple[float, ...], ...]]  # name of a target -> outputs, one row an image


@dataclass(frozen=True, kw_only=True)
class GoldenRow:
    """One target asked again."""

    name: str
    agreement: float  # share of equal best answers
    max_difference: float
    sqnr_db: float | None  # None where outputs are equal to the bit
    verdict: str  # "pass" or "fail"
    reason: str


@dataclass(frozen=True, kw_only=True)
class Regolden:
    """What `edgecnn parity NAME` prints of a published run."""

    schema: int
    run: str
    images: int
    rows: tuple[GoldenRow, ...]
    skipped: dict[str, str]
    verdict: str


@dataclass(frozen=True, kw_only=True)
class ComparedRow:
    """One target in two runs."""

    name: str
    old_accuracy: Accuracy | None
    new_accuracy: Accuracy | None
    change: Difference | None  # of the accuracy
    paired: bool  # whether image by image, both runs having seen the same
    old_verdict: str  # of parity; empty for the reference
    new_verdict: str
    old_bytes: int | None  # of the exported file
    new_bytes: int | None
    state: str  # "better", "worse", "no difference shown" or "not comparable"


@dataclass(frozen=True, kw_only=True)
class ComparedLatency:
    """One target's latency in two runs."""

    name: str
    old_ms: float  # p50
    new_ms: float
    change: Ratio  # new to old


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What `edgecnn compare` prints of two runs."""

    schema: int
    old: str
    new: str
    same_images: bool
    rows: tuple[ComparedRow, ...]
    only_old: tuple[str, ...]
    only_new: tuple[str, ...]
    worse: tuple[str, ...]  # names of the targets that lost
    latencies: tuple[ComparedLatency, ...] = ()
    machines: tuple[str, ...] = ()  # where the latencies were measured, in words; two where they differ


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Where a figure may lie; the figure's own unit."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """A latency as a multiple of another, with its interval."""

    value: float
    low: float
    high: float
    state: str  # "faster", "slower" or "no difference shown"


@dataclass(frozen=True, kw_only=True)
class Noise:
    """How quiet a machine was while it measured."""

    spin_ns: tuple[int, ...]  # of a fixed loop, once before each round
    spread: float  # of those: from the lowest to the highest tenth, as a share of the median
    load_before: float  # processes that wanted to run, a minute's average
    load_after: float
    noisy: bool


@dataclass(frozen=True, kw_only=True)
class Preparing:
    """What it takes to make an image file the model's input; medians in ms."""

    image: str  # which file, in words
    decode_ms: float | None  # None where Pillow is missing
    resize_ms: float


@dataclass(frozen=True, kw_only=True)
class LatencyRow:
    """One target's latency; the timed region sets the uint8 input, invokes, and reads the output."""

    format: str
    runtime: str
    provider: str
    artifact_sha256: str
    threads: int
    batch: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    iterations: int
    warmup_iterations: int
    load_ms: float  # from the file to a ready session
    peak_memory_bytes: int  # of the whole worker process
    placement: Placement
    samples_ns: tuple[int, ...]  # every timed call, in order
    block_calls: int = 0  # every so many samples are a block; the fields below are of blocks measured this way
    blocks_at: tuple[int, ...] = ()  # when each block was measured: its number among all blocks of the session
    starts: int = 1  # of its process; each start has the same number of blocks
    p50_interval_ms: Interval | None = None
    p90_interval_ms: Interval | None = None
    p99_interval_ms: Interval | None = None
    images_per_s: float | None = None
    ratio: Ratio | None = None  # of the time for an image, to the baseline's
    first_call_ms: float | None = None
    warm: bool = True  # whether warm-up was seen to end
    busy_cores: float | None = None  # CPU time of the worker while it was timed, as a share of that time
    cores: tuple[int, ...] = ()  # on which the worker may run, as it says itself
    timed: str = ""  # what the timed region is, where it is not the usual one


@dataclass(frozen=True, kw_only=True)
class Latency:
    """latency.json"""

    schema: int
    origin: Origin
    data: DataSource
    measured_on: str  # which images, in words
    rows: tuple[LatencyRow, ...]
    skipped: dict[str, str]
    baseline: str = ""  # the target that ratios are to
    noise: Noise | None = None
    preparing: Preparing | None = None
    timer_ns: int = 0  # the step of the clock
    device: str = ""  # where it was measured, if not on the machine of `origin`
    machine: Machine | None = None  # that device's
    versions: dict[str, str] = field(default_factory=dict)  # of what ran in the workers, where that is another Python


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
    output: tuple[int | str | None, ...]  # shape, for one image
    weights: str  # dtype; empty where they are no constants
    parameters: int
    multiply_adds: int | None  # for one image; None where the shapes are not known


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What `edgecnn inspect` prints of a file."""

    schema: int = SCHEMA
    path: str = ""
    kind: str  # "ONNX", "TFLite", "SavedModel"
    size_bytes: int = 0
    sha256: str = ""  # of the file; of a folder: over names and contents in order
    made_by: str
    inputs: tuple[GraphTensor, ...]
    outputs: tuple[GraphTensor, ...]
    operators: dict[str, int]
    parameters: int
    multiply_adds: int | None = None  # of all layers, for one image; None where one's is not known
    layers: tuple[GraphLayer, ...]
    opset: dict[str, int] = field(default_factory=dict)  # ONNX only
    ir_version: int | None = None  # ONNX only
    contract: Contract | None = None
    missing: tuple[str, ...]  # what an app would have to guess or cope with, a sentence a thing


T = TypeVar("T")


def encode(record: object, *, indent: int = 1) -> bytes:
    """A record as JSON."""
    import msgspec

    return msgspec.json.format(msgspec.json.encode(record), indent=indent) + b"\n"


def decode(data: bytes, kind: type[T], source: str) -> T:
    """The record of the given kind in `data`; `source` names the file in errors.

    Raises :class:`InputError` when it is no such record or was written by a newer edgecnn.
    """
    import msgspec

    try:
        schema = msgspec.json.decode(data, type=dict[str, object]).get("schema")
        if isinstance(schema, int) and schema > SCHEMA:
            raise NewerSchema(
                f"{source} was written by a newer edgecnn (schema {schema}, this one reads up to {SCHEMA}): "
                "pip install --upgrade edgecnn."
            )
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{source} cannot be read ({error}); delete it and run the stage again.") from None
