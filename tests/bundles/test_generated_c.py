"""The bundles of generated C: CMake builds, installs and finds one, a board's compiler and a sketch take the other."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgecnn.bundles.bundle import Bundle, BundleSource
from edgecnn.cli import _run as command
from edgecnn.codegen import image
from edgecnn.codegen.reader import read
from edgecnn.codegen.reference import outputs_of
from edgecnn.data.samples import synthetic_images
from edgecnn.plugins import pick
from edgecnn.preprocessing.decode import fitted
from edgecnn.pretrained import pretrained_runs
from edgecnn.run_directory import Run
from edgecnn.stages.bundle import bundle

RUN = Run(pretrained_runs()["cifar10-cnn"])
NAME = "cnn_cifar10"
SHIM = Path(__file__).parent / "arduino_shim"
WARNINGS = ["-Wall", "-Wextra", "-Werror"]
APP = f"""
#include <{NAME}.h>
static uint8_t arena[CNN_CIFAR10_ARENA_BYTES];
int main(void) {{ return {NAME}_selftest(arena); }}
"""
APP_PROJECT = f"""
cmake_minimum_required(VERSION 3.16)
project(app LANGUAGES C)
find_package({NAME} REQUIRED)
add_executable(app app.c)
target_link_libraries(app PRIVATE {NAME}::{NAME})
"""

pytestmark = pytest.mark.skipif(not (shutil.which("gcc") and shutil.which("g++")), reason="needs gcc and g++")
needs_cmake = pytest.mark.skipif(not shutil.which("cmake"), reason="no cmake: apt install cmake")


def _call(*words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def _golden() -> tuple[np.ndarray, np.ndarray]:
    """The bundle's image, and the outputs of the numpy reference for it."""
    image = synthetic_images(1_000, RUN.contract())[:1]
    return image, outputs_of(read(RUN.path("exports/tflite_int8_micro.tflite").read_bytes()), image)[0]


@pytest.fixture(scope="module")
def cmake_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle, built in build/."""
    folder = bundle(RUN, "cmake", tmp_path_factory.mktemp("cmake") / "made")
    _call("cmake", "-S", folder, "-B", folder / "build", f"-DCMAKE_C_FLAGS={' '.join(WARNINGS)}")
    _call("cmake", "--build", folder / "build")
    return folder


@needs_cmake
def test_ctest_passes(cmake_bundle: Path) -> None:
    done = _call("ctest", "--test-dir", cmake_bundle / "build")
    assert "100% tests passed, 0 tests failed out of 2" in done.stdout


@needs_cmake
def test_another_project_finds_the_installed_package(cmake_bundle: Path, tmp_path: Path) -> None:
    _call("cmake", "--install", cmake_bundle / "build", "--prefix", tmp_path / "prefix")
    (tmp_path / "app.c").write_text(APP)
    (tmp_path / "CMakeLists.txt").write_text(APP_PROJECT)
    _call("cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={tmp_path / 'prefix'}")
    _call("cmake", "--build", tmp_path / "build")
    _call(tmp_path / "build" / "app")


@needs_cmake
def test_the_example_classifies_and_refuses(cmake_bundle: Path, tmp_path: Path) -> None:
    program, pixels = cmake_bundle / "build" / "classify", _golden()[0].tobytes()
    best = int(_golden()[1].argmax())
    assert (cmake_bundle / "example" / "golden.pnm").read_bytes().endswith(pixels)
    image = tmp_path / "image.ppm"
    image.write_bytes(b"P6 # a comment\n32 32\n255\n" + pixels)
    assert _call(program, image).stdout.startswith(f"{best}: {RUN.contract().labels[best]} ")
    for content, words in (
        (b"P4\n32 32\n255\n" + pixels, "is not a binary PPM or PGM file"),
        (b"P6\n0 32\n255\n" + pixels, "has a size that is not taken"),
        (b"P6\n99999 32\n255\n" + pixels, "has a size that is not taken"),
        (b"P6\n32 32\n65535\n" + pixels, "8 bits a channel"),
        (b"P6\n32 32\n255\n" + pixels[1:], "ends too early"),
    ):
        image.write_bytes(content)
        assert words in _call(program, image, code=1).stderr
    assert "cannot be opened" in _call(program, tmp_path / "none", code=1).stderr
    assert "usage" in _call(program, code=2).stderr


@needs_cmake
@pytest.mark.parametrize(("kind", "channels"), [("P6", 3), ("P5", 1)])
def test_the_example_resizes_as_python_does(kind: str, channels: int, cmake_bundle: Path, tmp_path: Path) -> None:
    frame = np.random.default_rng(4).integers(0, 256, (75, 100, channels), np.uint8)
    path = tmp_path / "image.pnm"
    path.write_bytes(f"{kind}\n100 75\n255\n".encode() + frame.tobytes())
    graph = read(RUN.path("exports/tflite_int8_micro.tflite").read_bytes())
    best = int(outputs_of(graph, fitted(frame, 32, 32, 3)[None])[0].argmax())
    assert _call(cmake_bundle / "build" / "classify", path).stdout.startswith(f"{best}: ")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle(RUN, "arduino", tmp_path_factory.mktemp("arduino") / "made")


def _sketch(library: Path, folder: Path) -> list[str]:
    """What the sketch prints on this computer."""
    objects = []
    for source in sorted((library / "src").glob("*.c")):
        objects.append(folder / f"{source.stem}.o")
        _call("gcc", "-std=gnu11", "-O1", *WARNINGS, "-c", source, "-o", objects[-1])
    places = [f"-I{SHIM}", f"-I{library / 'src'}"]
    sketch = library / "examples" / "SelfTest" / "SelfTest.ino"
    flags = ["-std=gnu++11", *WARNINGS, *places, "-include", "Arduino.h"]
    _call("g++", *flags, "-x", "c++", sketch, "-x", "none", *objects, "-o", folder / "sketch")
    return _call(folder / "sketch").stdout.splitlines()


def test_the_sketch_prints_the_golden_answer(library: Path, tmp_path: Path) -> None:
    label = RUN.contract().labels[int(_golden()[1].argmax())]
    assert _sketch(library, tmp_path) == ["self-test: PASS", "image: PASS", f"label: {label}"]


def test_the_sketch_notices_other_outputs(library: Path, tmp_path: Path) -> None:
    changed = Path(shutil.copytree(library, tmp_path / "changed"))
    source = changed / "src" / f"{NAME}.c"
    text = re.sub(r"(_bias\[\d+\] = \{\n\s+)(-?\d+)", lambda found: f"{found[1]}{int(found[2]) + 9000}",
                  source.read_text())  # fmt: skip
    source.write_text(text)
    assert _sketch(changed, tmp_path)[:2] == ["self-test: FAIL", "image: FAIL"]


def test_the_library_has_what_the_ide_reads(library: Path) -> None:
    lines = (library / "library.properties").read_text().splitlines()
    fields = dict(line.split("=", 1) for line in lines)
    assert "url" in fields
    for name in ("name", "version", "author", "maintainer", "sentence", "paragraph", "category", "architectures"):
        assert fields[name], name
    assert (library / "src" / fields["includes"]).is_file()
    assert re.fullmatch(r"[A-Za-z0-9][\w .-]{0,62}", fields["name"])


@pytest.mark.skipif(not shutil.which("arm-none-eabi-gcc"), reason="no arm-none-eabi-gcc: apt install gcc-arm-none-eabi")
def test_it_compiles_for_a_cortex_m0plus_and_takes_no_ram(library: Path, tmp_path: Path) -> None:
    for source in sorted((library / "src").glob("*.c")):
        flags = ["-mcpu=cortex-m0plus", "-mthumb", "-std=gnu11", "-Os", "-ffreestanding", *WARNINGS]
        _call("arm-none-eabi-gcc", *flags, "-c", source, "-o", tmp_path / "model.o")
        data, bss = _call("arm-none-eabi-size", tmp_path / "model.o").stdout.splitlines()[1].split()[1:3]
        assert (data, bss) == ("0", "0")


@needs_cmake
def test_scores_are_labels_each_by_itself(tmp_path: Path) -> None:
    artifact = next(one for one in RUN.artifacts().artifacts if one.format == "tflite_int8_micro")
    contract = replace(RUN.contract(), output_meaning="scores")
    source = BundleSource(artifact, RUN.artifact_path(artifact), contract, _golden()[0], True)
    for target in ("cmake", "arduino"):
        (tmp_path / target).mkdir()
        pick(Bundle, target).make(source, tmp_path / target)
    _call("cmake", "-S", tmp_path / "cmake", "-B", tmp_path / "build", f"-DCMAKE_C_FLAGS={' '.join(WARNINGS)}")
    _call("cmake", "--build", tmp_path / "build")
    _call("ctest", "--test-dir", tmp_path / "build")
    found = _call(tmp_path / "build" / "classify", tmp_path / "cmake" / "example" / "golden.pnm").stdout
    names = [line.split(" ", 1)[1].rsplit(" ", 1)[0] for line in found.splitlines()]
    assert len(names) > 1
    assert _sketch(tmp_path / "arduino", tmp_path) == [
        "self-test: PASS", "image: PASS", *(f"label: {name}" for name in names),
    ]  # fmt: skip


def test_a_run_s_own_export_is_handed_over_as_it_is(every_format_run: Path, golden_run: Path, tmp_path: Path) -> None:
    for target in ("cmake", "arduino"):
        made = bundle(Run(every_format_run), target, tmp_path / target) / "src"
        exported = every_format_run / "exports" / "c_int8"
        assert {path.name: path.read_bytes() for path in made.iterdir()} == {
            path.name: path.read_bytes() for path in [*exported.iterdir(), *image.FOLDER.glob("*.[ch]")]
        }


def test_a_run_without_the_export_is_told_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = Path(shutil.copytree(RUN.root, tmp_path / "mine"))
    for target in ("cmake", "arduino"):
        assert command(["bundle", str(mine), "--target", target]) == 4
        assert f"run `edgecnn export {mine} --format c_int8`" in capsys.readouterr().err
