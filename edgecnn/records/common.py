"""What records of every kind are made of."""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA = 2  # raised when a record changes so that an older edgecnn would misread it


def target_name(format: str, runtime: str, provider: str, cpu: str = "") -> str:
    """What ran where, in words: `onnx_int8 on onnxruntime (cpu), haswell`; the format alone where `runtime` is ""."""
    return f"{format} on {runtime_name(runtime, provider, cpu)}" if runtime else format


def runtime_name(runtime: str, provider: str, cpu: str = "") -> str:
    """A runtime, its execution provider, and the emulated CPU ("": the machine's own) in words."""
    return f"{runtime} ({provider}){f', {cpu}' if cpu else ''}"


def setting_name(threads: int, batch: int) -> str:
    """How a target was measured: the number of threads, and the batch where that is not one image."""
    words = f"{threads} thread{'s' if threads > 1 else ''}"
    return words if batch == 1 else f"{words}, batch {batch}"


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """Where images come from."""

    name: str  # "cifar10", "synthetic", or the kind of a path: "folder", "npz"
    spec: str  # what to give to --data to get it again
    sha256: str  # over all pixels and labels of both splits
    labels: tuple[str, ...]
    train_count: int
    test_count: int
    notice: str = ""  # what a reader of any figure has to know, e.g. that synthetic images replace it


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where a figure was measured."""

    cpu: str
    cores: int  # usable by this process
    memory_bytes: int
    system: str
    python: str
    instruction_sets: tuple[str, ...] = ()  # of those that decide how int8 is computed, as Linux names them
    gpus: tuple[str, ...] = ()  # NVIDIA's, each with its driver's version

    @property
    def processor(self) -> str:
        """The CPU, its instruction sets and the GPUs in words."""
        cpu = f"{self.cpu} ({', '.join(self.instruction_sets)})" if self.instruction_sets else self.cpu
        return " and ".join([cpu, *self.gpus])

    @property
    def words(self) -> str:
        """The machine in words."""
        return f"{self.processor}, {self.cores} cores, {self.memory_bytes / 2**30:.0f} GiB"


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
class Accuracy:
    """Correctly classified images of `total` of a split, with the 95 % Wilson interval of the share."""

    correct: int
    total: int
    split: str
    low: float
    high: float

    @property
    def share(self) -> float:
        """Correctly classified images as a share in [0, 1]."""
        return self.correct / self.total


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What really executes a session's compute nodes (convolution, dense, pooling)."""

    device: str
    compute_nodes: dict[str, int]  # execution provider or delegate -> nodes
    other_nodes: dict[str, int]  # casts, transposes, quantize and dequantize steps
    instructions_per_image: int | None = None  # on an emulated microcontroller, which has no time of its own


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A change of accuracy in percentage points, with its 95 % interval."""

    points: float
    low_points: float
    high_points: float


@dataclass(frozen=True, kw_only=True)
class PairedDifference(Difference):
    """What a second classifier changes of the accuracy of a first on the same images."""

    negative_flips: int  # images classified correctly by the first alone
    positive_flips: int  # by the second alone
    images: int
    p_value: float  # McNemar's exact test

    @property
    def difference(self) -> Difference:
        """The change alone."""
        return Difference(points=self.points, low_points=self.low_points, high_points=self.high_points)
