"""What a Format, Runtime, Dataset, Architecture and Bundle is, and how they are found.

A plug-in is one module in its room's folder with one constant, `PLUGIN`; its name is the module's, in a bundle's with
dashes for underscores.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from edgecnn.errors import InputError, unknown_name
from edgecnn.records import DataSource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from edgecnn.records import Artifact, Contract, Int8Safety, LayerTensor, Placement, Precision
    from edgecnn.training.recipes import Recipe

    Pixels = npt.NDArray[np.uint8]  # [N, height, width, channels]
    Size = tuple[int, int]  # height, width


@dataclass(frozen=True)
class LabelledImages:
    """A data set in memory: uint8 [N, height, width, channels] images, int64 [N] labels, for both splits."""

    source: DataSource
    train_images: Pixels
    train_labels: npt.NDArray[np.int64]
    test_images: Pixels
    test_labels: npt.NDArray[np.int64]


def labelled_images(
    *,
    name: str,
    spec: str,
    labels: tuple[str, ...] | None,
    train: tuple[Pixels, npt.NDArray[np.int64]],
    test: tuple[Pixels, npt.NDArray[np.int64]],
) -> LabelledImages:
    """Check a data set and hash it. Without `labels` the classes are called by their numbers.

    Raises InputError unless both splits have images, there are two classes at least, and labels are 0 to n-1
    with training images for each.
    """
    import hashlib

    import numpy as np

    for split, (images, _) in (("training", train), ("test", test)):
        if not len(images):
            raise InputError(f"The data set {spec} has no {split} images; both a training and a test split are needed.")
    present = np.unique(train[1])
    names = labels or tuple(str(number) for number in range(len(present)))
    if len(names) < 2 or len(present) < 2:
        raise InputError(f"The data set {spec} has a single class; a classifier needs two at least.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"The data set {spec} has two classes called '{twice}'; give each a name of its own.")
    outside = [int(label) for label in np.union1d(present, test[1]) if not 0 <= label < len(names)]
    if outside:
        raise InputError(
            f"The data set {spec} has the label {outside[0]}, out of range for its {len(names)} classes "
            f"(0 to {len(names) - 1})."
        )
    if len(present) < len(names):
        empty = next(name for number, name in enumerate(names) if number not in present)
        raise InputError(f"The data set {spec} has no training image of the class '{empty}'.")
    digest = hashlib.sha256(repr(names).encode())
    for array in (*train, *test):
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    source = DataSource(
        name=name,
        spec=spec,
        sha256=digest.hexdigest(),
        labels=names,
        train_count=len(train[0]),
        test_count=len(test[0]),
    )
    return LabelledImages(source, *train, *test)


@dataclass(frozen=True)
class Dataset:
    """A source of labelled images.

    `accepts` says whether a path is of this kind and `load` reads it; `load_by_name` is what `--data NAME` gives
    without a path. Both are told the size the images are wanted in, for sets whose images have sizes of their own;
    any other set gives its images as they are. They raise InputError for data that cannot be used and
    DataUnavailable where the set cannot be had on this machine.
    """

    name: str
    summary: str
    accepts: Callable[[Path], bool] = lambda path: False
    load: Callable[[Path, Size], LabelledImages] | None = None
    load_by_name: Callable[[Size], LabelledImages] | None = None


@dataclass(frozen=True)
class Architecture:
    """A Keras model to train: `build(shape, classes)` returns it uncompiled, float32 [0, 1] in, logits out."""

    name: str
    summary: str
    image_shape: tuple[int, int, int]  # height, width, channels
    build: Callable[[tuple[int, int, int], int], object]
    recipes: tuple[Recipe, ...] = ()  # beside `tutorial`, which all have


@dataclass(frozen=True)
class Gate:
    """What an export must keep of the original to pass parity."""

    tolerance_points: float  # accuracy may be shown to have fallen by this many percentage points at most
    min_agreement: float  # share of equal top-1 answers, in [0, 1]


@dataclass(frozen=True, eq=False)
class ExportSource:
    """What a format exports from: the Keras model ([0, 1] floats in), its contract, and training images.

    The selection is what mixed precision is judged on; both arrays are empty where no labelled images are at hand.
    """

    model: object
    contract: Contract
    calibration_images: Pixels
    selection_images: Pixels
    selection_labels: npt.NDArray[np.int64]
    max_drop_points: float  # accuracy that full quantization may cost before layers are kept in float32


@dataclass(frozen=True)
class Exported:
    """A converted model in memory: its layer map, and how to write it with the contract that is to travel inside."""

    layers: Mapping[str, LayerTensor]
    write: Callable[[Contract, Path], object]
    precision: Precision | None = None
    int8_safety: Int8Safety | None = None
    content_sha256: str = ""  # over graph and weights, where the same model gives other bytes each time


@dataclass(frozen=True)
class Format:
    """A kind of exported file: uint8 pixels `image` in, output of `output_dtype` out, scaling inside."""

    name: str
    summary: str
    suffix: str  # of the file name; empty for a folder
    file_kind: str  # what a runtime recognises: "saved_model", "tflite", "onnx"
    batched: bool  # whether one call takes any number of images; otherwise exactly one
    gate: Gate
    export: Callable[[ExportSource], Exported]
    output_dtype: str = "float32"
    numbers: str = "float32"  # what its weights are stored in: "float32", "float16" or "int8"
    weighed_against: str = ""  # for a quantized format: the float format whose place it would take
    calibrated: bool = False  # whether it depends on the calibration images


class Session(Protocol):
    """A loaded artifact, ready to run."""

    placement: Placement

    def run(self, pixels: Pixels) -> dict[str, npt.NDArray[np.float32]]:
        """Output name -> float32 array with one row an image."""


@dataclass(frozen=True)
class Runtime:
    """Something that executes artifacts of some file kinds.

    `load(path, threads, provider, exposed, **extras)` returns a ready session whose outputs are the file's own and the
    tensors `exposed`; it raises MachineError unless the provider executes compute nodes. Importing its package is left
    to that call, and `packages` names what has to be installed for it (import names).
    """

    name: str
    summary: str
    file_kinds: tuple[str, ...]
    packages: tuple[str, ...]
    load: Callable[..., Session]
    providers: tuple[str, ...] = ("cpu",)  # execution providers by the names `--ep` takes
    offered: Callable[[], tuple[str, ...]] = lambda: ("cpu",)  # those asked when none is named
    most_images: int | None = None  # asked of it when none is named: it is too slow for a whole test split
    exposes: bool = True  # whether it can show what lies inside a file
    extras: tuple[str, ...] = ()  # what `load` can be told beside: "allow_partial", "io_binding"
    emulated: tuple[str, ...] = ()  # providers that run on an emulated CPU too
    fuses: bool = False  # whether it fuses operators when it loads a file, so that to show some changes answers

    why_died: Callable[[Path], str] = lambda path: ""  # what in a file ended its process, in words; "" if not known

    def missing(self) -> str:
        """The first package that is not installed in this Python, "" for none."""
        import importlib.util

        return next((package for package in self.packages if importlib.util.find_spec(package) is None), "")


@dataclass(frozen=True)
class BundleSource:
    """What a bundle is made from: an exported file, its contract, and a few of the run's images."""

    artifact: Artifact
    model: bytes
    contract: Contract
    images: Pixels
    drawn: bool  # whether synthetic images stand in for the run's own


@dataclass(frozen=True)
class Bundle:
    """Integration code for a target, made from the export of one format: `make` writes its files into a folder."""

    name: str
    summary: str
    format: str
    make: Callable[[BundleSource, Path], None]


P = TypeVar("P", Dataset, Architecture, Format, Runtime, Bundle)

ROOMS: dict[type, str] = {
    Dataset: "data.datasets", Architecture: "training.architectures", Format: "export.formats", Runtime: "runtimes",
    Bundle: "bundles",
}  # fmt: skip


def discover(kind: type[P]) -> dict[str, P]:
    """All plug-ins of a kind, by name, in alphabetical order."""
    room = importlib.import_module(f"edgecnn.{ROOMS[kind]}")
    found: dict[str, P] = {}
    for module in sorted(pkgutil.iter_modules(room.__path__), key=lambda module: module.name):
        plugin = getattr(importlib.import_module(f"{room.__name__}.{module.name}"), "PLUGIN", None)
        if isinstance(plugin, kind):
            found[plugin.name] = plugin
    return found


def pick(kind: type[P], name: str) -> P:
    """The plug-in of that name; raises UsageError with the nearest names."""
    plugins = discover(kind)
    if name not in plugins:
        raise unknown_name(kind.__name__.lower(), name, plugins)
    return plugins[name]
