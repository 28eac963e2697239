"""golden.json, and the result of running a pretrained run again."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.records.common import DataSource, Origin, target_name
from edgecnn.records.parity import NativeDifference


@dataclass(frozen=True, kw_only=True)
class GoldenTarget:
    """The outputs of one export on one runtime."""

    format: str
    runtime: str
    provider: str
    outputs: tuple[tuple[float, ...], ...]  # one row per image

    @property
    def name(self) -> str:
        """The export and its runtime in words."""
        return target_name(self.format, self.runtime, self.provider)


@dataclass(frozen=True, kw_only=True)
class Golden:
    """golden.json of a pretrained run: the outputs of everything in it for synthetic images."""

    schema: int
    origin: Origin
    data: DataSource
    images: int
    images_sha256: str  # over the pixels
    reference: tuple[tuple[float, ...], ...]  # outputs of the trained model in Keras, one row per image
    targets: tuple[GoldenTarget, ...]


@dataclass(frozen=True, kw_only=True)
class GoldenRow:
    """One target run again."""

    format: str  # "keras" for the trained model
    runtime: str = ""  # "" for the trained model, and for an export that no runtime ran
    provider: str = ""
    agreement: float | None  # share of equal top-1 classes; None where it did not run
    max_difference: float | None
    sqnr_db: float | None  # None where outputs are equal to the bit, too
    verdict: str  # "pass" or "fail"
    reason: str
    cpu: str = ""  # the emulated one; "": this machine's own
    emulator: str = ""  # that emulated it, with its version
    native: NativeDifference | None = None  # of an emulated CPU; None where the file did not run natively

    @property
    def name(self) -> str:
        """What ran and where, in words."""
        return target_name(self.format, self.runtime, self.provider, self.cpu)


@dataclass(frozen=True, kw_only=True)
class GoldenCheck:
    """What `edgecnn parity NAME` prints of a pretrained run."""

    schema: int
    run: str
    images: int
    rows: tuple[GoldenRow, ...]
    skipped: dict[str, str]
    not_run: tuple[str, ...]  # exports that no runtime here ran
    verdict: str  # "pass", "fail", or "not proven" where some are not_run
