"""Data sets given as a path: .npz files and class folders, good and bad."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from edgecnn.data.loading import load_data
from edgecnn.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (24, 40)  # which only class folders, whose images have sizes of their own, go by


def _arrays(**changes: Any) -> dict[str, Any]:
    random = np.random.default_rng(5)
    arrays: dict[str, Any] = {
        "x_train": random.integers(0, 256, (12, 32, 32, 3), np.uint8),
        "y_train": np.arange(12) % 3,
        "x_test": random.integers(0, 256, (6, 32, 32, 3), np.uint8),
        "y_test": np.arange(6)[:, np.newaxis] % 3,
    }
    return {name: value for name, value in (arrays | changes).items() if value is not None}


def _npz(folder: Path, **changes: Any) -> str:
    np.savez(folder / "data.npz", **_arrays(**changes))
    return str(folder / "data.npz")


def test_npz(tmp_path: Path) -> None:
    arrays = _arrays()
    data = load_data(_npz(tmp_path), SIZE)
    np.testing.assert_array_equal(data.train_images, arrays["x_train"])
    np.testing.assert_array_equal(data.test_labels, arrays["y_test"].ravel())
    assert data.source.labels == ("0", "1", "2")
    assert data.source.notice == ""


def test_npz_with_names_and_grey_images(tmp_path: Path) -> None:
    gray = np.random.default_rng(1).integers(0, 256, (12, 32, 32), np.uint8)
    data = load_data(_npz(tmp_path, x_train=gray, labels=np.array(["ant", "bee", "cow"])), SIZE)
    assert data.source.labels == ("ant", "bee", "cow")
    np.testing.assert_array_equal(data.train_images[..., 1], gray)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"y_train": np.zeros(12, int), "y_test": np.zeros(6, int)}, "single class"),
        ({"y_train": np.arange(12) % 3 - 1}, "out of range"),
        ({"y_test": np.full(6, 3)}, "label 3, out of range"),
        ({"y_train": np.array([0, 1, 255] * 4)}, "label 255, out of range"),
        ({"x_test": None}, "no x_test"),
        ({"x_test": np.zeros((0, 32, 32, 3), np.uint8), "y_test": np.zeros(0, int)}, "no test images"),
        ({"x_train": np.zeros((12, 32, 32, 3), np.float32)}, "must be uint8"),
        ({"x_train": np.zeros((12, 32, 32, 4), np.uint8)}, "shape"),
        ({"y_train": np.arange(11) % 3}, "one whole number for each"),
        ({"x_train": np.zeros((12, 0, 32, 3), np.uint8)}, "sides must be"),
        ({"labels": np.array(["a", "a", "b"])}, "two classes called 'a'"),
        ({"labels": np.array([b"a", b"b", b"c"])}, "array of strings"),
        ({"y_train": np.linspace(0, 2, 12)}, "one whole number for each"),
        ({"y_train": np.array([{}] * 12, dtype=object)}, "damaged"),
    ],
)
def test_npz_that_cannot_be_used(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        load_data(_npz(tmp_path, **changes), SIZE)


def test_class_names_are_part_of_what_a_data_set_is(tmp_path: Path) -> None:
    hashes = {load_data(_npz(tmp_path, labels=np.array(list(names))), SIZE).source.sha256 for names in ("abc", "abd")}
    assert len(hashes) == 2


@pytest.mark.parametrize("size", [0, 10, 3000])
def test_a_truncated_npz_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "data.npz"
    _npz(tmp_path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match="damaged"):
        load_data(str(path), SIZE)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Two classes of flat colors, in odd sizes and kinds of file."""
    for split, count in (("train", 3), ("test", 2)):
        for label, color in (("red", (255, 0, 0)), ("blue", (0, 0, 255))):
            folder = tmp_path / split / label
            folder.mkdir(parents=True)
            for i in range(count):
                Image.new("RGB", (20 + 7 * i, 40), color).save(
                    folder / f"{i}.{('png', 'bmp', 'webp')[i]}", lossless=True
                )
            (folder / ".DS_Store").write_bytes(b"not an image")
    return tmp_path


def test_class_folders(folders: Path) -> None:
    data = load_data(str(folders), SIZE)
    assert data.source.labels == ("blue", "red")
    assert data.train_images.shape == (6, *SIZE, 3)
    assert data.test_images.shape == (4, *SIZE, 3)
    for images, labels in ((data.train_images, data.train_labels), (data.test_images, data.test_labels)):
        for image, label in zip(images, labels, strict=True):
            assert (image == ((0, 0, 255), (255, 0, 0))[label]).all()


def test_a_text_file_among_the_images_is_named(folders: Path) -> None:
    (folders / "train" / "red" / "notes.png").write_text("hello")
    with pytest.raises(InputError, match=r"notes\.png"):
        load_data(str(folders), SIZE)


def test_folders_without_a_test_split(folders: Path) -> None:
    (folders / "test").rename(folders / "validation")
    with pytest.raises(InputError, match="no test split"):
        load_data(str(folders), SIZE)


def test_folders_without_a_training_split(folders: Path) -> None:
    (folders / "train").rename(folders / "validation")
    with pytest.raises(InputError, match="no training split"):
        load_data(str(folders), SIZE)


def test_a_class_that_only_the_test_split_has(folders: Path) -> None:
    (folders / "test" / "green").mkdir()
    with pytest.raises(InputError, match="without training images"):
        load_data(str(folders), SIZE)


def test_no_such_path_and_a_name_with_a_slip(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean synthetic"):
        load_data("synthetc", SIZE)
    with pytest.raises(InputError, match="There is no data set at"):
        load_data(str(tmp_path / "nothing"), SIZE)
    with pytest.raises(InputError, match="is not a data set"):
        load_data(str(tmp_path), SIZE)
