"""The bundle for Android: compiled against Android's classes, run with its decoders, ONNX Runtime for Java, and C."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.bundles.android import PLUGIN
from edgecnn.data.samples import synthetic_images
from edgecnn.preprocessing.decode import decode_image, prepare
from edgecnn.pretrained import pretrained_runs
from edgecnn.run_directory import Run
from edgecnn.runtimes import c_host, onnxruntime
from edgecnn.stages.bundle import bundle
from tests import pages
from tests.alterations import replacing
from tests.png_files import png_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgecnn.arrays import Floats, Pixels

pytestmark = pytest.mark.slow
RUN = Run(pretrained_runs()["cifar10-cnn"])
CODE = "src/main/kotlin/edgecnn/classifier"
PNG_FILES, SYNTHETIC = 140, 60
MOST_NATIVE_BYTES = 200_000  # code and weights
SECONDS = 1200  # with all that Maven fetches, on a busy machine
AGGREGATE = """<project><modelVersion>4.0.0</modelVersion>
<groupId>edgecnn</groupId><artifactId>all</artifactId><version>1</version><packaging>pom</packaging>
<modules>{}</modules></project>"""


def _maven(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Maven; skips the test where it, a JDK 17, or what it fetches is not to be had."""
    if not (shutil.which("mvn") and shutil.which("javac")):
        pytest.skip("no Maven or no JDK: apt install maven default-jdk-headless")
    version = subprocess.run(["javac", "-version"], capture_output=True, text=True, check=True)
    if int(re.search(r"(\d+)", version.stdout + version.stderr)[1]) < 17:  # type: ignore[index]
        pytest.skip(f"needs a JDK 17, and there is {version.stdout.strip()}")
    command = ["mvn", "--batch-mode", "--quiet", *words, "test"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    if "Could not resolve dependencies" in done.stdout or "could not be resolved" in done.stdout:
        pytest.skip(f"Maven cannot fetch what it needs: {done.stdout[:300]}")
    return done


def _write_images(folder: Path) -> None:
    """The test images, PNG files of every kind, and synthetic images as a photograph's PNG."""
    from PIL import Image

    folder.mkdir()
    for one in pages.corpus():
        shutil.copy(pages.ROOT / "docs" / "corpus" / one["file"], folder)
    for number, content in enumerate(png_files(PNG_FILES, seed=11)):
        (folder / f"kind-{number}.png").write_bytes(content)
    for number, pixels in enumerate(synthetic_images(SYNTHETIC, RUN.contract())):
        Image.fromarray(pixels).save(folder / f"synthetic-{number}.png")
    (folder / "text.png").write_text("no image")


@pytest.mark.parametrize("format", PLUGIN.formats)
def test_pixels_and_answers_are_python_s(format: str, tmp_path: Path) -> None:
    folder = bundle(RUN, "android", tmp_path / "made", format=format)
    _write_images(tmp_path / "images")
    done = _maven(folder, f"-Dedgecnn.images={tmp_path / 'images'}")
    assert done.returncode == 0, done.stdout
    listed = dict(line.split(" ", 1) for line in (tmp_path / "images" / "listed.txt").read_text().splitlines())
    assert listed.pop("text.png") == "refused"
    assert len(listed) == len(pages.corpus()) + PNG_FILES + SYNTHETIC
    prepared, scores = [], []
    for name, line in listed.items():
        decoded, pixels = decode_image(tmp_path / "images" / name), prepare(tmp_path / "images" / name, RUN.contract())
        *found, values = line.split(" ")
        sums = [zlib.crc32(array.tobytes()) for array in (decoded, pixels)]
        assert [int(one) for one in found] == [*decoded.shape[:2], *sums], name
        prepared.append(pixels)
        scores.append([float(value) for value in values.split(",")])
    atol = {"onnx_float32": 1e-4, "onnx_int8": 0, "c_int8": 1e-5}[format]  # C's are dequantized twice
    np.testing.assert_allclose(np.float32(scores), _expected(format, np.stack(prepared), folder), rtol=0, atol=atol)
    if format == "c_int8":
        assert (folder / "target" / "native" / "libedgecnn_model.so").stat().st_size <= MOST_NATIVE_BYTES


def _expected(format: str, pixels: Pixels, folder: Path) -> Floats:
    """What Python gives for the same pixels."""
    if format == "c_int8":
        session = c_host.load(folder / "src" / "main" / "cpp", 1, "cpu", ())
    else:
        session = onnxruntime.load(RUN.path(f"exports/{format}.onnx"), 1, "cpu", (), exact_int8=True)
    return next(iter(session.run(pixels).values()))


def _swap_labels(folder: Path) -> None:
    path = folder / "src/main/assets/edgecnn/contract.json"
    text = re.sub(r'("labels": \[\s+)("\w+"),(\s+)("\w+")', r"\1\4,\3\2", path.read_text())
    assert text != path.read_text()
    path.write_text(text)


PIXELS = "its pixels are prepared otherwise"
MUTATIONS: dict[str, tuple[Callable[[Path], None], str]] = {
    "channels": (replacing(f"{CODE}/Pixels.kt", "CHANNELS[c]]", "CHANNELS[2 - c]]"), PIXELS),
    "resize": (replacing(f"{CODE}/Pixels.kt", "var sum = ONE / 2", "var sum = 0"), PIXELS),
    "alpha": (
        replacing(f"{CODE}/Pixels.kt", "value + 255 - alpha else", "value else"), PIXELS,
    ),
    "exif": (
        replacing(f"{CODE}/Images.kt", "?.let(::orientation) ?: 1", "?.let { 1 } ?: 1"),
        PIXELS,
    ),
    "labels": (_swap_labels, "The labels were changed."),
    "scale": (
        replacing(f"{CODE}/ModelEngine.kt", ".put(pixels)", ".put(pixels.map { (it / 255).toByte() }.toByteArray())"),
        "its outputs differ by",
    ),
}  # fmt: skip


def test_every_mutation_fails_the_golden_test(tmp_path: Path) -> None:
    folder = bundle(RUN, "android", tmp_path / "made")
    for name, (change, _) in MUTATIONS.items():
        change(Path(shutil.copytree(folder, tmp_path / name)))
        pom = (tmp_path / name / "pom.xml").read_text()
        (tmp_path / name / "pom.xml").write_text(pom.replace("<artifactId>classifier<", f"<artifactId>{name}<"))
    (tmp_path / "pom.xml").write_text(AGGREGATE.format("".join(f"<module>{name}</module>" for name in MUTATIONS)))
    done = _maven(tmp_path, "--fail-at-end", f"--threads={min(2, os.cpu_count() or 1)}",
                  "-Dtest=GoldenTest#theGoldenImagesGiveWhatTheyMust")  # fmt: skip
    assert done.returncode != 0
    for name, (_, words) in MUTATIONS.items():
        reports = list((tmp_path / name / "target" / "surefire-reports").glob("*.txt"))
        assert reports, (name, done.stdout[-2000:])
        assert words in reports[0].read_text(), name
