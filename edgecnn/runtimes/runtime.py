"""What a runtime is: one module in edgecnn/runtimes with one constant, `PLUGIN`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from edgecnn.arrays import Pixels
    from edgecnn.records import Placement


class Session(Protocol):
    """A loaded artifact, ready to run."""

    placement: Placement

    def run(self, pixels: Pixels) -> dict[str, npt.NDArray[np.float32]]:
        """Output name -> float32 array with one row an image."""


@runtime_checkable
class TimedSession(Session, Protocol):
    """One that computes in another process, where its calls are timed: what lies between is no part of them."""

    def time(self, batches: Sequence[Pixels], skip: int, calls: int, repeat: int) -> list[int]:
        """As `edgecnn.execution.timing.block` does: so many samples, in ns, each the mean of `repeat` calls or more."""


@dataclass(frozen=True)
class Runtime:
    """Something that executes artifacts of some file kinds.

    `load(path, threads, provider, extra_outputs, **extras)` returns a ready session whose outputs are the file's own
    and the tensors `extra_outputs`; it raises MachineError unless the provider executes compute nodes. `packages` names
    what has to be installed for it (import names); they are imported before a load is timed, with all that it imports
    of them: `modules`, where that is more.
    """

    PACKAGE: ClassVar[str] = "edgecnn.runtimes"  # where its plug-ins lie

    name: str
    title: str  # as its makers write it
    summary: str
    file_kinds: tuple[str, ...]
    packages: tuple[str, ...]
    load: Callable[..., Session]
    providers: tuple[str, ...] = ("cpu",)  # execution providers by the names `--ep` takes
    default_providers: Callable[[], tuple[str, ...]] = lambda: ("cpu",)  # used when none is named
    default_words: str = ""  # which these are, for a help text
    max_images: int | None = None  # run by default: it is too slow for a whole test split
    exposes: bool = True  # whether it can show what lies inside a file
    extras: tuple[str, ...] = ()  # further flags that `load` takes: "allow_fallback", "io_binding"
    emulated: tuple[str, ...] = ()  # providers that run on an emulated CPU too
    in_process: tuple[str, ...] = ()  # providers that compute in this process and its memory alone, which is bounded
    fuses: bool = False  # whether it fuses operators when it loads a file, so that to show some changes answers

    modules: tuple[str, ...] = ()  # to import in the place of `packages`
    set_up: Callable[[], object] = lambda: None  # what comes before these imports
    to_fetch: Callable[[], str] = lambda: ""  # what its first load would fetch, in words; "" for nothing
    why_died: Callable[[Path], str] = lambda path: ""  # what in a file ended its process, in words; "" if not known

    def missing(self) -> str:
        """The first package that is not installed in this Python, "" for none."""
        import importlib.util

        return next((package for package in self.packages if importlib.util.find_spec(package) is None), "")

    def import_packages(self) -> None:
        """Import all that `load` needs."""
        import importlib

        self.set_up()
        for module in self.modules or self.packages:
            importlib.import_module(module)
