"""Which images a stage works on: the data set asked for, a run's samples, or drawn ones in their stead."""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.console import say
from edgecnn.data.fitting import fit, fitted_data
from edgecnn.data.stratified import balanced, members, without
from edgecnn.errors import DataUnavailable, InputError, NoSuchData
from edgecnn.plugins import Dataset, discover
from edgecnn.preprocessing.decode import image_shape
from edgecnn.run_directory import SAMPLES, staged

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgecnn.plugins import LabelledImages, Pixels, Size
    from edgecnn.records import Contract, DataSource
    from edgecnn.run_directory import Run

AUTO = "auto"
PREFERRED, BUILT_IN = "cifar10", "synthetic"
DRAWN_SEED = 20_260_101  # drawn images that stand in are the same everywhere
DRAWN_COUNT = 1_000
DRAWN_EVALUATION = 5_000  # as many as show that a float export changes less than one answer in a thousand
CALIBRATION_PER_CLASS = 50
SELECTION_COUNT = 2_000
MOST_BYTES = 48 << 20  # of pixels kept for one purpose, however large the images are
KEPT_TEST_IMAGES = 64
MOST_NAMES = 5  # of classes, in a sentence
SAMPLING_STREAM = 1  # keeps the draw of the samples apart from the order of the epochs


@dataclass(frozen=True)
class Samples:
    """A few images of a run: training images for calibration and to select layers by, test images to show and time.

    `test_digests` tell whether an image is one of the test split, see :func:`digests`.
    """

    calibration: Pixels
    selection: Pixels  # with `selection_labels`; none of them where images are drawn
    selection_labels: npt.NDArray[np.int64]
    images: Pixels
    test_digests: npt.NDArray[np.uint64]
    drawn: bool  # whether synthetic images stand in for the data set's own

    def words(self) -> str:
        """Which images these are, for a reader."""
        return "drawn images of the synthetic set" if self.drawn else "test images kept with the run"


@dataclass(frozen=True)
class Evaluation:
    """The images parity is judged on; `labels` is None where none are known for this model's classes.

    The images are an array, or :class:`edgecnn.data.fitting.Fitted` where the data set's have another size.
    """

    images: Pixels
    labels: npt.NDArray[np.int64] | None
    words: str
    source: str  # SHA-256 of the data set they are of, or "drawn images"


def load_data(spec: str, size: Size) -> LabelledImages:
    """The data set `auto`, a name, or a path stands for; `size` is for sets whose images have sizes of their own.

    `auto` is CIFAR-10 where it can be had, otherwise the built-in synthetic set with a notice that says so.
    """
    datasets = discover(Dataset)
    if spec == AUTO:
        try:
            return _by_name(datasets[PREFERRED], size)
        except DataUnavailable as error:
            notice = f"Synthetic data: {error}, so the built-in drawn images stand in for CIFAR-10."
            say(notice)
            data = _by_name(datasets[BUILT_IN], size)
            return replace(data, source=replace(data.source, notice=notice))
    named = [name for name, dataset in datasets.items() if dataset.load_by_name is not None]
    if spec in named:
        return _say_whole_sentence(datasets[spec], size)
    path = Path(spec).resolve()
    if not path.exists():
        near = difflib.get_close_matches(spec, [AUTO, *named], n=1)
        hint = f"did you mean {near[0]}?" if near else "give auto, cifar10, synthetic or a path."
        raise NoSuchData(f"There is no data set at {spec}; {hint}")
    for dataset in datasets.values():
        if dataset.load is not None and dataset.accepts(path):
            return dataset.load(path, size)
    if path.is_dir() and (path / "test").is_dir():
        raise InputError(f"{path} has no training split: put images into {path / 'train'}/<class>/ too.")
    raise InputError(
        f"{path} is no data set; there are a cifar-10-batches-py folder, its .tar.gz, an .npz, and train/<class>/* "
        "with test/<class>/*."
    )


def _by_name(dataset: Dataset, size: Size) -> LabelledImages:
    assert dataset.load_by_name is not None
    return dataset.load_by_name(size)


def _say_whole_sentence(dataset: Dataset, size: Size) -> LabelledImages:
    try:
        return _by_name(dataset, size)
    except DataUnavailable as error:
        text = str(error)
        raise DataUnavailable(
            f"{text[0].upper()}{text[1:]}; set EDGECNN_DATA to a copy, or use --data {BUILT_IN}."
        ) from None


def align(data: LabelledImages, labels: tuple[str, ...]) -> LabelledImages:
    """The data with its classes numbered as in `labels`.

    Raises InputError unless it has the very same classes, in whatever order, or as many without names.
    """
    import numpy as np

    own = data.source.labels
    if own == labels:
        return data
    source = replace(data.source, labels=labels)
    if len(own) == len(labels) and set(own) == set(labels):
        number = np.array([labels.index(name) for name in own], np.int64)
        return replace(
            data, source=source, train_labels=number[data.train_labels], test_labels=number[data.test_labels]
        )
    if own == tuple(str(number) for number in range(len(labels))):
        return replace(data, source=source)
    differences = [
        f"{what} {', '.join(names[:MOST_NAMES])}{' ...' if len(names) > MOST_NAMES else ''}"
        for what, names in (
            ("it lacks", [name for name in labels if name not in own]),
            ("it has besides", [name for name in own if name not in labels]),
        )
        if names
    ]
    raise InputError(
        f"The data set {data.source.spec} has {len(own)} classes where the model answers {len(labels)}: "
        f"{'; '.join(differences)}."
    )


def drawn(count: int, contract: Contract) -> Pixels:
    """The same `count` synthetic images everywhere, at the model's size."""
    from edgecnn.data.datasets.synthetic import draw

    images, _ = draw(count, seed=DRAWN_SEED, split="test")
    return fit(images, image_shape(contract))


def digests(images: Pixels) -> npt.NDArray[np.uint64]:
    """uint64 [N]: the first 8 bytes of the SHA-256 of each image's pixels, little-endian."""
    import numpy as np

    found = [hashlib.sha256(np.ascontiguousarray(image).data).digest()[:8] for image in images]
    return np.frombuffer(b"".join(found), "<u8").astype(np.uint64)


def save_samples(run: Run, data: LabelledImages, seed: int) -> str:
    """Write training images for calibration and selection, as many of each class, and the first test images.

    A training image that is a test image too is passed over unless its class has no other. Returns the SHA-256 over
    the calibration pixels.
    """
    import numpy as np

    generator = np.random.default_rng([seed, SAMPLING_STREAM, len(data.train_labels)])
    test_digests = digests(data.test_images)
    classes = len(data.source.labels)
    groups = members(data.train_labels, classes, np.isin(digests(data.train_images), test_digests))
    most = max(1, MOST_BYTES // data.train_images[0].nbytes)
    chosen = balanced(generator, groups, min(CALIBRATION_PER_CLASS * classes, most))
    selected = balanced(generator, without(groups, chosen), min(SELECTION_COUNT, most))
    calibration = data.train_images[chosen]
    with staged(run.path(SAMPLES)) as draft:
        np.savez_compressed(
            draft,
            calibration=calibration,
            selection=data.train_images[selected],
            selection_labels=data.train_labels[selected],
            images=data.test_images[:KEPT_TEST_IMAGES],
            test_digests=test_digests,
        )
    return hashlib.sha256(calibration.tobytes()).hexdigest()


def samples_of(run: Run, contract: Contract) -> Samples:
    """The images kept with the run, or drawn ones where it has none (a published run carries no data)."""
    import numpy as np

    path = run.path(SAMPLES)
    if not path.is_file():
        images = drawn(DRAWN_COUNT, contract)
        return Samples(
            calibration=images,
            selection=images[:0],
            selection_labels=np.zeros(0, np.int64),
            images=images[:KEPT_TEST_IMAGES],
            test_digests=np.zeros(0, np.uint64),
            drawn=True,
        )
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            names = [field.name for field in fields(Samples) if field.name != "drawn"]
            samples = Samples(**{name: archive[name] for name in names}, drawn=False)
        _check(samples, contract)
        return samples
    except Exception as error:  # zip, zlib and numpy's parser each fail in their own ways
        raise InputError(f"{path} is damaged ({error}); {run.maker()} writes it again.") from None


def _check(samples: Samples, contract: Contract) -> None:
    """Raises ValueError unless the arrays fit each other and the model."""
    import numpy as np

    for array in (samples.calibration, samples.selection, samples.images):
        if array.dtype != np.uint8 or array.shape[1:] != image_shape(contract) or not len(array):
            raise ValueError(f"{array.dtype} {list(array.shape)} is no uint8 array of images the model takes")
    labels = samples.selection_labels
    if labels.dtype != np.int64 or labels.shape != samples.selection.shape[:1]:
        raise ValueError("there is not one label for each image")
    if not 0 <= labels.min() <= labels.max() < len(contract.labels):
        raise ValueError("a label is out of range")
    if samples.test_digests.dtype != np.uint64 or samples.test_digests.ndim != 1:
        raise ValueError(f"{samples.test_digests.dtype} is no array of digests")


def evaluation_of(contract: Contract, trained_on: DataSource, spec: str | None) -> Evaluation:
    """The test split of `spec`, or of the data the model was trained on where that can be had, else drawn images."""
    shape = image_shape(contract)
    try:
        data = load_data(spec or trained_on.spec, shape[:2])
    except (DataUnavailable, NoSuchData):
        if spec is not None:
            raise
        words = f"drawn images, since those of {trained_on.name} are not at hand; accuracy is not measured"
        return Evaluation(drawn(DRAWN_EVALUATION, contract), None, words, "drawn images")
    data = align(data, contract.labels)
    same = "" if data.source.sha256 == trained_on.sha256 else ", not the copy the model was trained on"
    words = f"all test images of {data.source.name}{same}"
    return Evaluation(fitted_data(data, shape).test_images, data.test_labels, words, data.source.sha256)
