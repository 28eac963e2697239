"""Which images a stage works on: the data set asked for, a run's samples, or drawn ones in their stead."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.console import say
from edgecnn.contract import image_shape, resize
from edgecnn.errors import DataUnavailable, InputError, NoSuchData
from edgecnn.plugins import Dataset, discover
from edgecnn.run import SAMPLES, staged

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgecnn.plugins import LabelledImages, Pixels
    from edgecnn.records import Contract, DataSource
    from edgecnn.run import Run

AUTO = "auto"
PREFERRED, BUILT_IN = "cifar10", "synthetic"
DRAWN_SEED = 20_260_101  # drawn images that stand in are the same everywhere
DRAWN_COUNT = 1_000
CALIBRATION_PER_CLASS = 50
KEPT_TEST_IMAGES = 64
SAMPLING_STREAM = 1  # keeps the draw of the samples apart from the order of the epochs


@dataclass(frozen=True)
class Samples:
    """A few images of a run: for calibration (training split) and for timing and pictures (test split)."""

    calibration: Pixels
    images: Pixels
    drawn: bool  # whether synthetic images stand in for the data set's own

    def words(self) -> str:
        """Which images these are, for a reader."""
        return "drawn images of the synthetic set" if self.drawn else "test images kept with the run"


@dataclass(frozen=True)
class Evaluation:
    """The images parity is judged on; `labels` is None where none are known for this model's classes."""

    images: Pixels
    labels: npt.NDArray[np.int64] | None
    words: str
    source: str  # SHA-256 of the data set they are of, or "drawn images"


def load_data(spec: str) -> LabelledImages:
    """The data set `auto`, a name, or a path stands for.

    `auto` is CIFAR-10 where it can be had, otherwise the built-in synthetic set with a notice that says so.
    """
    datasets = discover(Dataset)
    if spec == AUTO:
        try:
            return datasets[PREFERRED].load(None)
        except DataUnavailable as error:
            notice = f"Synthetic data: {error}, so the built-in drawn images stand in for CIFAR-10."
            say(notice)
            data = datasets[BUILT_IN].load(None)
            return replace(data, source=replace(data.source, notice=notice))
    if spec in datasets and datasets[spec].by_name:
        return _say_whole_sentence(datasets[spec])
    path = Path(spec).resolve()
    if not path.exists():
        near = difflib.get_close_matches(spec, [AUTO, *(d.name for d in datasets.values() if d.by_name)], n=1)
        hint = f"did you mean {near[0]}?" if near else "give auto, cifar10, synthetic or a path."
        raise NoSuchData(f"There is no data set at {spec}; {hint}")
    for dataset in datasets.values():
        if dataset.accepts is not None and dataset.accepts(path):
            return dataset.load(path)
    if path.is_dir() and (path / "test").is_dir():
        raise InputError(f"{path} has no training split: put images into {path / 'train'}/<class>/ too.")
    raise InputError(
        f"{path} is no data set; there are a cifar-10-batches-py folder, its .tar.gz, an .npz, and train/<class>/* "
        "with test/<class>/*."
    )


def _say_whole_sentence(dataset: Dataset) -> LabelledImages:
    try:
        return dataset.load(None)
    except DataUnavailable as error:
        text = str(error)
        raise DataUnavailable(
            f"{text[0].upper()}{text[1:]}; set EDGECNN_DATA to a copy, or use --data {BUILT_IN}."
        ) from None


def fit(images: Pixels, shape: tuple[int, ...]) -> Pixels:
    """uint8 [N, H, W, C] images at the height and width of `shape` (height, width, channels), by our resize."""
    import numpy as np

    if images.shape[1:] == shape:
        return images
    height, width, channels = shape
    if images.shape[-1] != channels:
        raise InputError(f"The images have {images.shape[-1]} channels where the model takes {channels}.")
    return np.stack([resize(image, height, width) for image in images])


def drawn(count: int, contract: Contract) -> Pixels:
    """The same `count` synthetic images everywhere, at the model's size."""
    from edgecnn.datasets.synthetic import draw

    images, _ = draw(count, seed=DRAWN_SEED, split="test")
    return fit(images, image_shape(contract))


def save_samples(run: Run, data: LabelledImages, seed: int) -> None:
    """Training images for calibration, the same number of each class, and the first test images."""
    import numpy as np

    generator = np.random.default_rng([seed, SAMPLING_STREAM, len(data.train_labels)])
    chosen = []
    for label in range(len(data.source.labels)):
        members = np.flatnonzero(data.train_labels == label)
        chosen.append(generator.choice(members, min(CALIBRATION_PER_CLASS, len(members)), replace=False))
    calibration = data.train_images[generator.permutation(np.concatenate(chosen))]
    with staged(run.path(SAMPLES)) as draft:
        np.savez_compressed(draft, calibration=calibration, images=data.test_images[:KEPT_TEST_IMAGES])


def samples_of(run: Run, contract: Contract) -> Samples:
    """The images kept with the run, or drawn ones where it has none (a published run carries no data)."""
    import numpy as np

    path = run.path(SAMPLES)
    if not path.is_file():
        images = drawn(DRAWN_COUNT, contract)
        return Samples(calibration=images, images=images[:KEPT_TEST_IMAGES], drawn=True)
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            samples = Samples(calibration=archive["calibration"], images=archive["images"], drawn=False)
        for array in (samples.calibration, samples.images):
            if array.dtype != np.uint8 or array.shape[1:] != image_shape(contract) or not len(array):
                raise ValueError(f"{array.dtype} {list(array.shape)} is no uint8 array of images the model takes")
        return samples
    except Exception as error:  # zip, zlib and numpy's parser each fail in their own ways
        raise InputError(f"{path} is damaged ({error}); `edgecnn train {run.root}` writes it again.") from None


def evaluation_of(contract: Contract, trained_on: DataSource, spec: str | None) -> Evaluation:
    """The test split of `spec`, or of the data the model was trained on where that can be had, else drawn images."""
    shape = image_shape(contract)
    try:
        data = load_data(spec or trained_on.spec)
    except (DataUnavailable, NoSuchData):
        if spec is not None:
            raise
        words = f"drawn images, since those of {trained_on.name} are not at hand; accuracy is not measured"
        return Evaluation(drawn(DRAWN_COUNT, contract), None, words, "drawn images")
    if data.source.labels != contract.labels:
        raise InputError(
            f"The data set {data.source.spec} has the classes {', '.join(data.source.labels)}; "
            f"the model answers {', '.join(contract.labels)}."
        )
    same = "" if data.source.sha256 == trained_on.sha256 else ", not the copy the model was trained on"
    words = f"all test images of {data.source.name}{same}"
    return Evaluation(fit(data.test_images, shape), data.test_labels, words, data.source.sha256)
