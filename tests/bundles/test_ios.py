"""The bundle for iOS: its C on this computer, with every image and fault; its Swift where there is a compiler."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.bundles.ios import PLUGIN, SOURCES, SWIFT, C
from edgecnn.preprocessing.decode import decode_image
from edgecnn.pretrained import pretrained_runs
from edgecnn.run_directory import Run
from edgecnn.stages.bundle import bundle
from tests import pages
from tests.alterations import replacing, swapping_labels
from tests.png_files import png_files

if TYPE_CHECKING:
    from collections.abc import Callable

RUN = Run(pretrained_runs()["cifar10-cnn"])
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror"]
SANITIZERS = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
PNG_FILES, DAMAGED = 700, 1500
MOST_BYTES, MOST_CODE_BYTES = 200_000, 40_000  # in an app, of code and constants; of code alone

pytestmark = pytest.mark.skipif(not shutil.which("clang"), reason="no clang: apt install clang zlib1g-dev")


@pytest.fixture(scope="module", params=PLUGIN.formats)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle(RUN, "ios", tmp_path_factory.mktemp("made") / "ios", format=request.param)


def _self_test(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the README's command."""
    command = re.search(r"^    (cc .*selftest.*)$", (folder / "README.md").read_text(), re.M)
    assert command
    return subprocess.run(command[1], shell=True, cwd=folder, capture_output=True, text=True, check=False)


def test_the_readme_s_command_runs_the_golden_images(folder: Path) -> None:
    done = _self_test(folder)
    assert (done.returncode, done.stdout) == (0, "16 golden images, 0 problems\n"), done.stderr


def test_the_c_is_clean_and_an_iphone_s_compiler_takes_it(folder: Path) -> None:
    sources = [*map(str, (folder / C).glob("*.c")), str(folder / "Tests" / "selftest.c")]
    include = [f"-I{folder / C / 'include'}"]
    subprocess.run(["clang", *STRICT, "-fsyntax-only", *include, *sources], check=True)
    own = [name for name in sources if name.endswith(("edgecnn_image.c", "cifar10.c"))]  # others take system headers
    iphone = ["-target", "arm64-apple-ios15", "-ffreestanding", "-fsyntax-only"]
    subprocess.run(["clang", *STRICT, *iphone, *include, *own], check=True)


def _altered(name: str, old: str, new: str) -> Callable[[Path], None]:
    return replacing(f"{C}/{name}", old, new)


PIXELS, OUTPUTS = "has pixels that are prepared otherwise", "has outputs that differ"
COPY = "memcpy(arena + CNN_CIFAR10_IMAGE_OFFSET, pixels, CNN_CIFAR10_IMAGE_BYTES);"
SCALE = "for (int i = 0; i < CNN_CIFAR10_IMAGE_BYTES; i++) arena[CNN_CIFAR10_IMAGE_OFFSET + i] = pixels[i] / 255;"
READ = "found->orientation = orientation_in(content, length);"
MUTATIONS = {
    "channels": (_altered("edgecnn_decode.c", ": c * wide], alpha);", ": (2 - c) * wide], alpha);"), PIXELS),
    "resize": (_altered("edgecnn_image.c", "sums[3] = {ONE / 2u, ONE / 2u, ONE / 2u};", "sums[3] = {0};"), PIXELS),
    "alpha": (_altered("edgecnn_decode.c", "255u * (255u - alpha)", "0u"), PIXELS),
    "exif": (_altered("edgecnn_decode.c", READ, ";"), PIXELS),
    "labels": (swapping_labels(f"{SWIFT}/Model/contract.json"), "contract.json is not the file that was bundled"),
    "scale": (_altered("edgecnn_model.c", COPY, SCALE), OUTPUTS),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_mutation_fails_the_self_test(name: str, tmp_path: Path) -> None:
    change, words = MUTATIONS[name]
    folder = bundle(RUN, "ios", tmp_path / "made")
    change(folder)
    done = _self_test(folder)
    assert done.returncode == 1, done.stderr
    assert words in done.stdout


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    library = tmp_path_factory.mktemp("decoder") / "decoder.so"
    command = ["clang", "-O1", "-shared", "-fPIC", f"-I{SOURCES / C / 'include'}", SOURCES / C / "edgecnn_decode.c"]
    subprocess.run([*command, "-lz", "-o", library], check=True)
    return ctypes.CDLL(str(library))


def _decoded(library: ctypes.CDLL, content: bytes) -> np.ndarray:
    """The upright pixels, as Swift calls the C for them."""
    height, width, orientation = ctypes.c_uint32(), ctypes.c_uint32(), ctypes.c_int()
    file, size = ctypes.c_char_p(content), ctypes.c_size_t(len(content))
    assert library.edgecnn_png_size(file, size, ctypes.byref(height), ctypes.byref(width)) == 0
    rgb = np.empty((height.value, width.value, 3), np.uint8)
    turned = np.empty_like(rgb)
    pixels, out = (ctypes.c_void_p(array.ctypes.data) for array in (rgb, turned))
    assert library.edgecnn_png_decode(file, size, pixels, ctypes.byref(orientation)) == 0
    library.edgecnn_turn(pixels, height, width, orientation, out)
    return turned.reshape(width.value, height.value, 3) if 5 <= orientation.value <= 8 else turned


def test_every_png_file_is_decoded_to_python_s_pixels(decoder: ctypes.CDLL) -> None:
    files = [(pages.ROOT / "docs" / "corpus" / one["file"]) for one in pages.corpus() if one["file"].endswith(".png")]
    contents = [*(path.read_bytes() for path in files), *png_files(PNG_FILES, seed=23)]
    for number, content in enumerate(contents):
        np.testing.assert_array_equal(_decoded(decoder, content), decode_image(content), err_msg=str(number))


def test_damaged_files_are_refused_within_their_memory(tmp_path: Path) -> None:
    """Every file, cut short or with some bytes changed, in a program that the sanitizers watch."""
    random = np.random.default_rng(3)
    whole = [*png_files(60, seed=29)]
    (tmp_path / "files").mkdir()
    for number in range(DAMAGED):
        content = bytearray(whole[number % len(whole)])
        for at in random.integers(0, len(content), 3):
            content[at] = int(random.integers(0, 256))
        end = int(random.integers(1, len(content))) if number % 2 else len(content)
        (tmp_path / "files" / f"{number:04}").write_bytes(content[:end])
    (tmp_path / "main.c").write_text(HARNESS)
    command = ["gcc", "-O1", *SANITIZERS, f"-I{SOURCES / C / 'include'}", SOURCES / C / "edgecnn_decode.c", "main.c"]
    subprocess.run([*command, "-lz", "-o", "main"], cwd=tmp_path, check=True)
    names = sorted(map(str, (tmp_path / "files").iterdir()))
    done = subprocess.run(["./main", *names], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 0 < int(done.stdout) < DAMAGED, "some files are still whole enough"


HARNESS = r"""
#include <stdio.h>
#include <stdlib.h>
#include "edgecnn_decode.h"

int main(int count, char **names) {
  int taken = 0;
  for (int i = 1; i < count; i++) {
    uint8_t buffer[1 << 16];
    FILE *const stream = fopen(names[i], "rb");
    const size_t size = fread(buffer, 1, sizeof buffer, stream);
    fclose(stream);
    uint8_t *const file = malloc(size); /* nothing beyond it may be read */
    for (size_t k = 0; k < size; k++) file[k] = buffer[k];
    uint32_t height, width;
    int orientation;
    if (edgecnn_png_size(file, size, &height, &width) == 0) {
      uint8_t *const rgb = malloc((size_t)height * width * 3), *const turned = malloc((size_t)height * width * 3);
      if (edgecnn_png_decode(file, size, rgb, &orientation) == 0) {
        edgecnn_turn(rgb, height, width, orientation, turned);
        taken++;
      }
      free(rgb);
      free(turned);
    }
    free(file);
  }
  printf("%d\n", taken);
  return 0;
}
"""


def test_what_an_app_grows_by(tmp_path: Path) -> None:
    folder = bundle(RUN, "ios", tmp_path / "made")
    include = f"-I{folder / C / 'include'}"
    for source in sorted((folder / C).glob("*.c")):
        subprocess.run(["clang", "-Os", "-c", include, source, "-o", tmp_path / f"{source.stem}.o"], check=True)
    listed = subprocess.run(["size", *tmp_path.glob("*.o")], capture_output=True, text=True, check=True).stdout
    total = sum(int(line.split()[3]) for line in listed.splitlines()[1:])
    constants = int(re.search(r"weights take ([\d,]+) bytes", (folder / "README.md").read_text())[1].replace(",", ""))  # type: ignore[index]
    assert total <= MOST_BYTES
    assert total - constants <= MOST_CODE_BYTES


@pytest.mark.slow
def test_swift_builds_and_its_tests_pass(tmp_path: Path) -> None:
    if not shutil.which("swiftc"):  # a program `swift` may be another
        pytest.skip("no Swift: apt install swiftlang (Debian 13 or newer)")
    folder = bundle(RUN, "ios", tmp_path / "made")
    done = subprocess.run(["swift", "test"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Executed 4 tests, with 0 failures" in done.stdout + done.stderr
