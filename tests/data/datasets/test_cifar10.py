"""CIFAR-10's batches: read by a careful reader, from a folder, an archive, a cache or the network."""

from __future__ import annotations

import gzip
import pickle
import socket
import tarfile
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.data.datasets import cifar10
from edgecnn.data.loading import load_data
from edgecnn.errors import DataUnavailable, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PER_BATCH = 20
SIZE = (32, 32)


def write_batches(folder: Path, protocol: int = 2) -> Path:
    """A cifar-10-batches-py folder of a few random images."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(3)
    for name in (*cifar10.TRAIN_FILES, cifar10.TEST_FILE):
        record = {
            b"data": random.integers(0, 256, (PER_BATCH, 3072), np.uint8),
            b"labels": [int(label) for label in np.arange(PER_BATCH) % 10],
        }
        (folder / name).write_bytes(pickle.dumps(record, protocol=protocol))
    meta = {b"label_names": [f"class {i}".encode() for i in range(10)]}
    (folder / cifar10.META_FILE).write_bytes(pickle.dumps(meta, protocol=3))
    return folder


@pytest.fixture
def batches(tmp_path: Path) -> Path:
    return write_batches(tmp_path / "cifar-10-batches-py", protocol=3)


def test_pixels_come_out_as_rgb_rows(batches: Path) -> None:
    data = load_data(str(batches), SIZE)
    record = pickle.loads((batches / "data_batch_2").read_bytes(), encoding="bytes")
    first = record[b"data"][0]
    assert data.train_images.shape == (5 * PER_BATCH, 32, 32, 3)
    for channel in range(3):
        plane = first[1024 * channel : 1024 * (channel + 1)].reshape(32, 32)
        np.testing.assert_array_equal(data.train_images[PER_BATCH, :, :, channel], plane)
    assert data.source.name == "cifar10"
    assert data.source.labels[9] == "class 9"
    np.testing.assert_array_equal(data.test_labels, np.arange(PER_BATCH) % 10)


def test_the_archive_and_the_folder_above_give_the_same(batches: Path, tmp_path: Path) -> None:
    archive = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(batches, arcname=batches.name)
    hashes = {load_data(str(place), SIZE).source.sha256 for place in (batches, batches.parent, archive)}
    assert len(hashes) == 1


def test_auto_takes_the_environments_copy_and_then_keras_cache(
    batches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECNN_DATA", str(batches))
    assert load_data("auto", SIZE).source.name == "cifar10"
    monkeypatch.delenv("EDGECNN_DATA")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    write_batches(tmp_path / "keras" / "datasets" / "cifar-10-batches-py-target" / "cifar-10-batches-py", protocol=3)
    assert load_data("cifar10", SIZE).source.spec == "cifar10"


def test_a_wrong_path_in_the_environment_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_DATA", str(tmp_path))
    with pytest.raises(InputError, match="EDGECNN_DATA"):
        load_data("auto", SIZE)


class _Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, ("touch owned",)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_pickle_that_would_run_code_is_refused(
    batches: Path, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (batches / "data_batch_1").write_bytes(pickle.dumps({b"data": _Runs(), b"labels": []}, protocol=protocol))
    with pytest.raises(InputError, match="could run code"):
        load_data(str(batches), SIZE)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("size", [0, 1, 100, 50_000])
def test_a_truncated_batch_is_refused(batches: Path, size: int) -> None:
    path = batches / "test_batch"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match="test_batch"):
        load_data(str(batches), SIZE)


def test_a_missing_batch_is_named(batches: Path) -> None:
    (batches / "data_batch_4").unlink()
    with pytest.raises(InputError, match="data_batch_4 is missing"):
        load_data(str(batches), SIZE)


def test_a_truncated_archive_is_refused(batches: Path, tmp_path: Path) -> None:
    archive = tmp_path / "cifar.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(batches, arcname=batches.name)
    archive.write_bytes(archive.read_bytes()[:-5000])
    with pytest.raises(InputError, match="damaged"):
        load_data(str(archive), SIZE)


def _archive(path: Path, fill: Callable[[tarfile.TarFile], None]) -> Path:
    with gzip.open(path, "wb", compresslevel=1) as stream, tarfile.open(fileobj=stream, mode="w:") as tar:
        fill(tar)
    return path


def test_an_archive_that_grows_when_it_is_unpacked_is_refused(batches: Path, tmp_path: Path) -> None:
    """A file that is far larger than a batch, and zeros behind the end."""

    def large(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo("cifar-10-batches-py/data_batch_1")
        info.size = 1 << 40
        tar.fileobj.write(info.tobuf())  # type: ignore[union-attr]

    def behind(tar: tarfile.TarFile) -> None:
        tar.add(batches, arcname=batches.name)
        for _ in range(300):
            tar.fileobj.write(bytes(1 << 20))  # type: ignore[union-attr]

    for name, fill in (("large", large), ("behind", behind)):
        with pytest.raises(InputError, match="holds more than CIFAR-10's batches do when it is unpacked"):
            load_data(str(_archive(tmp_path / f"{name}.tar.gz", fill)), SIZE)


def test_a_label_out_of_range_is_refused(batches: Path) -> None:
    record = pickle.loads((batches / "test_batch").read_bytes(), encoding="bytes")
    record[b"labels"][3] = 10
    (batches / "test_batch").write_bytes(pickle.dumps(record, protocol=3))
    with pytest.raises(InputError, match="label 10, out of range"):
        load_data(str(batches), SIZE)


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A server that takes connections and never says a byte."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.slow
def test_a_download_that_fails_is_tried_once_not_once_a_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("EDGECNN_DATA", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there
    for _ in range(3):
        with pytest.raises(DataUnavailable, match="cannot be downloaded"):
            load_data("cifar10", (32, 32))
    assert capsys.readouterr().err.count("downloading it from") == 1


def test_a_network_that_says_nothing_is_not_waited_for(
    silent_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("EDGECNN_DATA", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", silent_server)
    monkeypatch.setattr(cifar10, "SILENCE_SECONDS", 1.0)
    start = time.monotonic()
    with pytest.raises(DataUnavailable, match="--data synthetic"):
        load_data("cifar10", SIZE)
    assert time.monotonic() - start < 8
    data = load_data("auto", SIZE)
    assert data.source.name == "synthetic"
    assert "Synthetic data" in data.source.notice
    assert "Synthetic data" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*archive*")), "nothing half-downloaded is left"
