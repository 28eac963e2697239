"""The bundle for Android: compiled against Android's classes, run with its decoders and every engine."""

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

from edgecnn.bundles.android import HERE, PLUGIN
from edgecnn.data.loading import load_data
from edgecnn.data.samples import synthetic_images
from edgecnn.errors import DataUnavailable
from edgecnn.preprocessing.decode import decode_image, prepare
from edgecnn.pretrained import pretrained_runs
from edgecnn.run_directory import Run
from edgecnn.runtimes import c_host, litert, onnxruntime
from edgecnn.stages.bundle import bundle
from tests import pages
from tests.alterations import replacing, swapping_labels
from tests.frames import android_frame
from tests.png_files import png_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edgecnn.arrays import Floats, Pixels
    from edgecnn.runtimes.runtime import Session

pytestmark = pytest.mark.slow
RUN = Run(pretrained_runs()["cifar10-cnn"])
CODE = "src/main/kotlin/edgecnn/classifier"
KTLINT = "1.5.0"
PNG_FILES = 140
IMAGES = int(os.environ.get("EDGECNN_TEST_IMAGES", "60"))
FRAMES = [(32, 32, 1, 0), (48, 64, 2, 0), (37, 51, 2, 13), (120, 90, 1, 6), (1, 1, 1, 0)]  # sizes, pixel stride, gap
TOLERANCES = {
    "onnx_float32": 1e-4, "onnx_int8": 0, "tflite_float32": 1e-4, "tflite_float16": 1e-4,
    "tflite_int8": 0.3,  # LiteRT 2.16.1 runs it without XNNPACK, whose kernels round otherwise
    "c_int8": 1e-5,  # dequantized twice
}  # fmt: skip
MOST_NATIVE_BYTES = 200_000  # code and weights
SECONDS = 1200  # with all that Maven fetches, on a busy machine
AGGREGATE = """<project><modelVersion>4.0.0</modelVersion>
<groupId>edgecnn</groupId><artifactId>all</artifactId><version>1</version><packaging>pom</packaging>
<modules>{}</modules></project>"""


def _maven(folder: Path, *words: str, goal: str = "test") -> str:
    """What Maven says; skips the test where it, a JDK 17, or what it fetches is not to be had."""
    if not (shutil.which("mvn") and shutil.which("javac")):
        pytest.skip("no Maven or no JDK: apt install maven default-jdk-headless")
    version = subprocess.run(["javac", "-version"], capture_output=True, text=True, check=True)
    if int(re.search(r"(\d+)", version.stdout + version.stderr)[1]) < 17:  # type: ignore[index]
        pytest.skip(f"needs a JDK 17, and there is {version.stdout.strip()}")
    command = ["mvn", "--batch-mode", "--quiet", *words, goal]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    if "Could not resolve dependencies" in done.stdout or "could not be resolved" in done.stdout:
        pytest.skip(f"Maven cannot fetch what it needs: {done.stdout[:300]}")
    return done.stdout


def _images(count: int) -> Pixels:
    """CIFAR-10's test images where they are to be had, else synthetic ones."""
    try:
        return load_data("cifar10", (32, 32)).test_images[:count]
    except DataUnavailable:
        return synthetic_images(count, RUN.contract())


def _write_images(folder: Path) -> dict[str, Pixels]:
    """The test images, PNG files of every kind, images of the data as PNG, and a camera's frames: of each
    file, by its name, what it is decoded to."""
    from PIL import Image

    folder.mkdir()
    for one in pages.corpus():
        shutil.copy(pages.ROOT / "docs" / "corpus" / one["file"], folder)
    for number, content in enumerate(png_files(PNG_FILES, seed=11)):
        (folder / f"kind-{number}.png").write_bytes(content)
    for number, pixels in enumerate(_images(IMAGES)):
        Image.fromarray(pixels).save(folder / f"image-{number}.png")
    decoded = {path.name: decode_image(path) for path in folder.iterdir()}
    for number, (height, width, *strides) in enumerate(FRAMES):
        name = f"frame-{number}.yuv"
        content, decoded[name] = android_frame(height, width, *strides, seed=number)
        (folder / name).write_bytes(content)
    (folder / "text.png").write_text("no image")
    return decoded


def _reactor(root: Path, names: Iterable[str], *words: str) -> dict[str, str]:
    """Run Maven on the modules below a folder, and give the report of each."""
    for name in names:
        pom = root / name / "pom.xml"
        text = pom.read_text().replace("<artifactId>classifier<", f"<artifactId>{name}<")
        pom.write_text(text.replace("<edgecnn.images><", f"<edgecnn.images>{root / name}-images<"))
    (root / "pom.xml").write_text(AGGREGATE.format("".join(f"<module>{name}</module>" for name in names)))
    said = _maven(root, "--fail-at-end", f"--threads={min(2, os.cpu_count() or 1)}", *words)
    reports = {name: list((root / name / "target" / "surefire-reports").glob("*.txt")) for name in names}
    assert all(reports.values()), said[-3000:]
    return {name: found[0].read_text() for name, found in reports.items()}


def test_pixels_and_answers_are_python_s(tmp_path: Path) -> None:
    decoded = _write_images(tmp_path / "images")
    for format in PLUGIN.formats:
        bundle(RUN, "android", tmp_path / format, format=format)
        shutil.copytree(tmp_path / "images", tmp_path / f"{format}-images")
    reports = _reactor(tmp_path, PLUGIN.formats)
    for format in PLUGIN.formats:
        assert "Failures: 0, Errors: 0, Skipped: 0" in reports[format], reports[format]
        _compare(format, tmp_path / format, tmp_path / f"{format}-images" / "listed.txt", decoded)


def _compare(format: str, folder: Path, listed: Path, decoded: dict[str, Pixels]) -> None:
    """Hold what a module's test wrote of every image to what Python makes of it."""
    found = dict(line.split(" ", 1) for line in listed.read_text().splitlines())
    assert found.pop("text.png") == "refused"
    assert found.keys() == decoded.keys()
    prepared, scores = [], []
    for name, line in found.items():
        pixels = prepare(decoded[name], RUN.contract())
        *facts, values = line.split(" ")
        sums = [zlib.crc32(array.tobytes()) for array in (decoded[name], pixels)]
        assert [int(one) for one in facts] == [*decoded[name].shape[:2], *sums], (format, name)
        prepared.append(pixels)
        scores.append([float(value) for value in values.split(",")])
    expected = _expected(format, np.stack(prepared), folder)
    np.testing.assert_allclose(np.float32(scores), expected, rtol=0, atol=TOLERANCES[format], err_msg=format)
    if format == "c_int8":
        assert (folder / "target" / "native" / "libedgecnn_model.so").stat().st_size <= MOST_NATIVE_BYTES


def _expected(format: str, pixels: Pixels, folder: Path) -> Floats:
    """What Python gives for the same pixels."""
    session: Session
    if format == "c_int8":
        session = c_host.load(folder / "src" / "main" / "cpp", 1, "cpu", ())
    elif format.startswith("tflite"):
        session = litert.load(RUN.path(f"exports/{format}.tflite"), 1, "xnnpack", ())
    else:
        session = onnxruntime.load(RUN.path(f"exports/{format}.onnx"), 1, "cpu", (), exact_int8=True)
    return next(iter(session.run(pixels).values()))


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
    "labels": (swapping_labels("src/main/assets/edgecnn/contract.json"), "The labels were changed."),
    "scale": (
        replacing(f"{CODE}/ModelEngine.kt", ".put(pixels)", ".put(pixels.map { (it / 255).toByte() }.toByteArray())"),
        "its outputs differ by",
    ),
}  # fmt: skip


def test_every_mutation_fails_the_golden_test(tmp_path: Path) -> None:
    folder = bundle(RUN, "android", tmp_path / "made")
    for name, (change, _) in MUTATIONS.items():
        change(Path(shutil.copytree(folder, tmp_path / name)))
    reports = _reactor(tmp_path, MUTATIONS, "-Dtest=GoldenTest#theGoldenImagesGiveWhatTheyMust")
    for name, (_, words) in MUTATIONS.items():
        assert words in reports[name], name


def test_kotlin_is_formatted_and_linted(tmp_path: Path) -> None:
    """By ktlint, in the style of Android Studio."""
    plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.9.0:copy"
    _maven(tmp_path, f"-Dartifact=com.pinterest.ktlint:ktlint-cli:{KTLINT}:jar:all", f"-DoutputDirectory={tmp_path}",
           goal=plugin)  # fmt: skip
    style = tmp_path / "editorconfig"
    style.write_text("[*.kt]\nktlint_code_style = android_studio\nmax_line_length = 130\n")
    command = ["java", "-jar", tmp_path / f"ktlint-cli-{KTLINT}-all.jar", f"--editorconfig={style}", "**/*.kt"]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
