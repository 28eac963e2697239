"""latency.json."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgecnn.records.common import DataSource, Machine, Origin, Placement, target_name

MOST_MS = 1e9  # eleven days


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Where a figure may lie; the figure's own unit."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """A latency as a multiple of another, with its interval; of an unstable one, `low` and `high` are its two modes."""

    value: float
    low: float
    high: float
    state: str  # "faster", "slower", "no difference shown" or "unstable"


@dataclass(frozen=True, kw_only=True)
class Noise:
    """How quiet a machine was while it measured."""

    noise_probe_ns: tuple[int, ...]  # of a fixed loop, once before each round
    spread: float  # of those: from the lowest to the highest tenth, as a share of the median
    load_before: float  # processes that wanted to run, a minute's average
    load_after: float
    noisy: bool


@dataclass(frozen=True, kw_only=True)
class PreprocessingLatency:
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
    peak_memory_bytes: int  # of the whole worker process, and of those it started
    placement: Placement
    samples_ns: tuple[int, ...]  # every timed call, in order
    calls_per_block: int  # samples per block
    block_positions: tuple[int, ...]  # when each block was measured: its number among all blocks of the session
    restarts: int  # how often its process was started
    p50_interval_ms: Interval
    p90_interval_ms: Interval
    p99_interval_ms: Interval
    images_per_s: float
    ratio: Ratio | None  # of the time for an image, to the baseline's; None of the baseline itself
    first_call_ms: float
    warm: bool  # whether warm-up was seen to end
    busy_cores: float  # CPU time of the worker as a share of the time timed; 0 where others compute for it
    cpu_affinity: tuple[int, ...]  # cores on which the worker may run, as it says itself
    blocks_per_start: tuple[int, ...] = ()  # how many of the blocks are of each start, in order; empty: equally many
    timed_region: str = ""  # what the timed region is, where it is not the usual one

    def __post_init__(self) -> None:
        """Raises ValueError for a latency that no clock gives."""
        if not 0 < min(self.p50_ms, self.p90_ms, self.p99_ms) <= max(self.p50_ms, self.p90_ms, self.p99_ms) < MOST_MS:
            raise ValueError("a latency that no clock gives")

    @property
    def name(self) -> str:
        """The file and its runtime in words."""
        return target_name(self.format, self.runtime, self.provider)


@dataclass(frozen=True, kw_only=True)
class Unsettled:
    """A target for which the time budget was too short."""

    target: str
    width: float  # of the interval of its ratio, or of its latency where it is alone, as a share of the lower end


@dataclass(frozen=True, kw_only=True)
class TimeBudget:
    """How long measuring was to take, and took; more than the budget where each target's minimum took more."""

    seconds: float
    used_seconds: float
    unsettled: tuple[Unsettled, ...]  # the widest interval first; targets with two modes are not among them


@dataclass(frozen=True, kw_only=True)
class Latency:
    """latency.json"""

    schema: int
    origin: Origin
    data: DataSource
    measured_on: str  # which images, in words
    rows: tuple[LatencyRow, ...]
    skipped: dict[str, str]
    baseline: str  # the target that ratios are to
    noise: Noise
    preprocessing: PreprocessingLatency
    timer_resolution_ns: int  # the step of the clock
    time_budget: TimeBudget | None = None  # None where every target was measured for a number of rounds
    remote: str = ""  # where it was measured, if not on the machine of `origin`
    machine: Machine | None = None  # that device's
    versions: dict[str, str] = field(default_factory=dict)  # of what ran in the workers, where that is another Python
