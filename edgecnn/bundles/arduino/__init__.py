"""Arduino: the generated C as a library with a sketch that tests it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.bundles.bundle import Bundle
from edgecnn.bundles.generated_c import write_bundle

if TYPE_CHECKING:
    from edgecnn.bundles.bundle import BundleSource

SOURCES = Path(__file__).parent / "sources"


def make(source: BundleSource, folder: Path) -> None:
    """Write the bundle's files into `folder`; raises MachineError without a C compiler."""
    write_bundle(source, SOURCES, folder)


PLUGIN = Bundle(
    name="arduino", summary="Arduino library of the generated C, with a sketch", formats=("c_int8",), make=make
)
