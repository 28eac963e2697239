"""What `edgecnn verify` prints."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Misfit:
    """Something in a run that does not fit the rest of it."""

    file: str  # relative to the run
    reason: str  # without a full stop


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What `edgecnn verify` prints of a run."""

    schema: int
    run: str  # path, or name of a pretrained run
    hashes: int  # files whose SHA-256 was compared
    records: int  # read and checked
    figures: int  # computed again
    misfits: tuple[Misfit, ...]
