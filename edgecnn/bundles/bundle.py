"""What a bundle is: one folder in edgecnn/bundles with one constant, `PLUGIN`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edgecnn.arrays import Pixels
    from edgecnn.records import Artifact, Contract


@dataclass(frozen=True)
class BundleSource:
    """What a bundle is made from: an exported file, its contract, and a few of the run's images."""

    artifact: Artifact
    path: Path  # of the export: a file, or a folder
    contract: Contract
    images: Pixels
    is_synthetic: bool  # whether synthetic images replace the run's own


@dataclass(frozen=True)
class Bundle:
    """Integration code for a target, made from an export: `make` writes its files into a folder."""

    PACKAGE: ClassVar[str] = "edgecnn.bundles"  # where its plug-ins lie

    name: str
    summary: str
    formats: tuple[str, ...]  # it can be made from, the default first
    make: Callable[..., None]  # make(source, folder, **options)
    options: tuple[str, ...] = ()  # that `make` takes: "single_file", "webgpu", "runtime_dir"
