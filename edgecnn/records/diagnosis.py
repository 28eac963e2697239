"""What `edgecnn doctor` prints."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.records.common import SCHEMA, Machine

OK, UNTESTED, MISSING, FAILED = "ok", "untested", "missing", "failed"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that edgecnn needs or can use, and its state on a machine."""

    group: str  # "python", "package", "machine", "runtime", "cpu", "data", "cache", "tool"
    name: str
    state: str  # "ok", "untested" (another version than the tested one), "missing", "failed"
    detail: str  # its version, place, or what is wrong, in words
    remedy: str = ""  # the command, or what else brings it, in words; "" where nothing is to be done
    required: bool = False  # whether `edgecnn run` needs it
    size_bytes: int | None = None  # of a data set or a cache

    @property
    def stops_run(self) -> bool:
        """Whether `edgecnn run` cannot work because of it."""
        return self.required and self.state in (MISSING, FAILED)


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What is there for edgecnn on a machine, and what is missing."""

    schema: int = SCHEMA
    ready: bool  # whether `edgecnn run` can work: nothing that it needs is missing or failed
    machine: Machine
    checks: tuple[Check, ...]
