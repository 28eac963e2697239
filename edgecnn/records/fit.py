"""Whether a model fits a microcontroller."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.records.common import SCHEMA


@dataclass(frozen=True, kw_only=True)
class StepMemory:
    """What a step of generated C takes of a device: a layer, with those that are fused into it."""

    layer: str
    operators: str
    shape: tuple[int, int, int]  # of its output
    arena_bytes: int  # in use while it runs: what it reads, what it writes, and what later steps read
    peak: bool  # whether no step needs more of the arena
    in_turn: bool  # whether its rows are computed in turn with those of its neighbours, which use the same memory then
    constant_bytes: int
    code_bytes: int  # at most
    multiply_adds: int
    ranges: tuple[tuple[int, int], ...]  # of the arena: where each tensor that is in use begins and ends


@dataclass(frozen=True, kw_only=True)
class EngineFit:
    """One way to run the model there."""

    engine: str  # "generated C", "TFLite Micro"
    fits: bool | None  # None: not known
    verdict: str  # in words: what is left; what is missing, and for which layer; or why it is not known
    flash: dict[str, int]  # bytes, by what takes them; empty where not known
    ram: dict[str, int]
    basis: str  # how these were found, and what is not among them

    @property
    def flash_bytes(self) -> int:
        """All of them."""
        return sum(self.flash.values())

    @property
    def ram_bytes(self) -> int:
        """All of them."""
        return sum(self.ram.values())


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What `edgecnn fit` prints."""

    schema: int = SCHEMA
    model: str  # the file
    board: str  # its title; "" where sizes alone were given
    flash_bytes: int | None  # that there are; None where none were named
    ram_bytes: int | None
    steps: tuple[StepMemory, ...]  # of generated C; none where it cannot compute the model
    engines: tuple[EngineFit, ...]  # generated C, TFLite Micro
