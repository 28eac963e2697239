"""Whether a model fits a microcontroller."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StepMemory:
    """What a layer of generated C takes of a device."""

    layer: str
    operators: str
    shape: tuple[int, int, int]  # of its output
    arena_bytes: int  # in use while it runs
    constant_bytes: int
    code_bytes: int  # at most
    multiply_adds: int
    ranges: tuple[tuple[int, int], ...]  # of the arena: where each tensor that is in use begins and ends


@dataclass(frozen=True, kw_only=True)
class EngineFit:
    """One way to run the model there."""

    engine: str
    flash_bytes: int | None  # None: not known
    flash_is: str  # what is counted
    ram_bytes: int | None
    ram_is: str
    fits: bool | None  # None: not known
    reason: str  # in a sentence


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What `edgecnn fit` prints."""

    model: str  # the file
    board: str  # its title; "" where sizes alone were given
    flash_bytes: int  # that there are
    ram_bytes: int
    steps: tuple[StepMemory, ...]  # of generated C; none where it cannot compute the model
    engines: tuple[EngineFit, ...]
