"""CMake: the generated C as a library that `find_package` finds, an example, and tests."""

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
    facts = write_bundle(source, SOURCES, folder)
    height, width, channels = facts["shape"]
    kind = {1: "P5", 3: "P6"}[channels]
    (folder / "example" / "golden.pnm").write_bytes(f"{kind}\n{width} {height}\n255\n".encode() + facts["image"])


PLUGIN = Bundle(
    name="cmake", summary="CMake project of the generated C, for find_package", formats=("c_int8",), make=make
)
