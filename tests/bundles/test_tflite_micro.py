"""The bundle for TFLite Micro: its sources compile, and say what TFLite Micro's own interpreter says."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn import run_directory
from edgecnn.bundles.tflite_micro import _method as method_of
from edgecnn.cli import _run as command
from edgecnn.codegen.c_source import string_of_c
from edgecnn.data.samples import samples_of
from edgecnn.model_files.tflite_model import File
from edgecnn.stages.bundle import bundle

if TYPE_CHECKING:
    from edgecnn.run_directory import Run

tflite_micro = pytest.importorskip("tflite_micro", reason="needs tflite-micro")
needs_gcc = pytest.mark.skipif(not (shutil.which("gcc") and shutil.which("g++")), reason="needs gcc and g++")
WARNINGS = ["-Wall", "-Wextra", "-pedantic", "-Werror"]
STUB = Path(__file__).parent / "tflm_stub"
SOURCES = ["model.c", "contract.c", "golden.c"]
NAMES = {
    "model.h", "model.c", "contract.h", "contract.c", "op_resolver.h", "golden.h", "golden.c", "main.cc", "README.md",
}  # fmt: skip


@pytest.fixture(scope="module")
def made(golden_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from edgecnn.run_directory import Run

    return bundle(Run(golden_run), "tflite-micro", tmp_path_factory.mktemp("bundle") / "made")


def _compiled(folder: Path, sources: list[str], to: Path, *, cpp: bool = False) -> ctypes.CDLL:
    compiler = ["g++", "-x", "c++", "-std=c++17"] if cpp else ["gcc", "-std=c99"]
    places = [str(folder / source) for source in sources]
    subprocess.run([*compiler, *WARNINGS, "-shared", "-fPIC", "-o", str(to), *places], check=True)
    return ctypes.CDLL(str(to))


def _golden(library: ctypes.CDLL) -> tuple[np.ndarray, np.ndarray]:
    """Images and outputs as compiled."""
    images = np.ctypeslib.as_array((ctypes.c_ubyte * (8 * 3072)).in_dll(library, "golden_images"))
    outputs = np.ctypeslib.as_array((ctypes.c_byte * (8 * 3)).in_dll(library, "golden_outputs"))
    return images.reshape(8, 32, 32, 3), outputs.reshape(8, 3)


@needs_gcc
@pytest.mark.parametrize("cpp", [False, True], ids=["C99", "C++17"])
def test_the_sources_compile_without_a_warning_and_hold_the_model(
    made: Path, run: Run, tmp_path: Path, cpp: bool
) -> None:
    library = _compiled(made, SOURCES, tmp_path / "bundle.so", cpp=cpp)
    model = run.path("exports/tflite_int8_micro.tflite").read_bytes()
    held = (ctypes.c_ubyte * len(model)).in_dll(library, "model_data")
    assert bytes(held) == model
    assert ctypes.addressof(held) % 16 == 0
    labels = (ctypes.c_char_p * 3).in_dll(library, "model_labels")
    assert tuple(label.decode() for label in labels) == run.contract().labels
    images, outputs = _golden(library)
    np.testing.assert_array_equal(images, samples_of(run, run.contract()).images[:8])
    np.testing.assert_array_equal(_answers(bytes(held), images), outputs)


def _answers(model: bytes, images: np.ndarray) -> np.ndarray:
    """What TFLite Micro says, asked directly in this process."""
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(model)
    rows = []
    for image in images:
        interpreter.set_input(image[None], 0)
        interpreter.invoke()
        rows.append(np.array(interpreter.get_output(0)[0]))
    return np.stack(rows)


@needs_gcc
def test_a_changed_weight_is_noticed(made: Path, run: Run, tmp_path: Path) -> None:
    model = run.path("exports/tflite_int8_micro.tflite").read_bytes()
    file = File(model)
    kernel = file.graph.tensors[int(file.operators[file.kinds.index("CONV_2D")].inputs[1])]
    place = model.index(bytes(file.model.buffers[kernel.buffer].data))
    folder = Path(shutil.copytree(made, tmp_path / "changed"))
    head, array = (folder / "model.c").read_text().split("= {", 1)
    bytes_in_c = list(re.finditer(r"0x(..)", array))
    start, end = bytes_in_c[place].span(1)
    changed = f"{array[:start]}{model[place] ^ 0x80:02x}{array[end:]}"
    (folder / "model.c").write_text(f"{head}= {{{changed}")
    library = _compiled(folder, SOURCES, tmp_path / "changed.so")
    images, outputs = _golden(library)
    held = bytes((ctypes.c_ubyte * len(model)).in_dll(library, "model_data"))
    assert sum(a != b for a, b in zip(held, model, strict=True)) == 1
    assert (_answers(held, images) != outputs).any()


@needs_gcc
@pytest.mark.parametrize("tree", [[], ["-DSTUB_NEW"]], ids=["classes in tflite", "classes in tflite::micro"])
@pytest.mark.parametrize("wrong", [False, True], ids=["right", "wrong"])
def test_main_compiles_and_says_whether_outputs_are_equal(
    made: Path, tmp_path: Path, tree: list[str], wrong: bool
) -> None:
    objects = [str(tmp_path / f"{name}.o") for name in SOURCES]
    for name, to in zip(SOURCES, objects, strict=True):
        subprocess.run(["gcc", "-std=c99", *WARNINGS, "-c", str(made / name), "-o", to], check=True)
    flags = [*tree, *(["-DSTUB_WRONG"] if wrong else []), f"-I{STUB}", f"-I{made}"]
    program = str(tmp_path / "check")
    subprocess.run(["g++", "-std=c++17", *WARNINGS, *flags, str(made / "main.cc"), *objects, "-o", program], check=True)
    done = subprocess.run([program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == ((1, "FAIL") if wrong else (0, "PASS"))
    assert done.stdout.count("DIFFERENT") == wrong


def _macros(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^#define (\w+) (.+)$", path.read_text(), re.MULTILINE))


def test_the_arena_is_the_smallest_that_works(made: Path, run: Run) -> None:
    from tflite_micro import runtime

    model = run.path("exports/tflite_int8_micro.tflite").read_bytes()
    macros = _macros(made / "model.h")
    measured = int(macros["MODEL_ARENA_BYTES_MEASURED"])
    assert int(macros["MODEL_BYTES"]) == len(model)
    assert int(macros["MODEL_ARENA_BYTES"]) >= 1.25 * measured
    image = samples_of(run, run.contract()).images[:1]
    enough = runtime.Interpreter.from_bytes(model, arena_size=measured)
    enough.set_input(image, 0)
    enough.invoke()
    with pytest.raises(RuntimeError):
        runtime.Interpreter.from_bytes(model, arena_size=measured - 32)


def test_the_contract_is_that_of_the_file(made: Path, run: Run) -> None:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(run.path("exports/tflite_int8_micro.tflite")))
    macros = _macros(made / "contract.h")
    for prefix, details in (("IMAGE", interpreter.get_input_details()), ("OUTPUT", interpreter.get_output_details())):
        scale, zero_point = details[0]["quantization"]
        assert np.float32(macros[f"MODEL_{prefix}_SCALE"].rstrip("f")) == np.float32(scale)
        assert int(macros[f"MODEL_{prefix}_ZERO_POINT"].strip("()")) == zero_point
    assert (macros["MODEL_IMAGE_HEIGHT"], macros["MODEL_IMAGE_CHANNELS"]) == ("32", "3")


def test_the_operators_are_exactly_those_of_the_model(made: Path) -> None:
    text = (made / "op_resolver.h").read_text()
    added = re.findall(r"resolver\.Add(\w+)\(\)", text)
    assert added == ["Conv2D", "FullyConnected", "MaxPool2D", "Quantize", "Reshape"]
    assert f"MicroMutableOpResolver<{len(added)}>" in text


@pytest.mark.parametrize(
    ("operator", "method"),
    [
        ("CONV_2D", "Conv2D"), ("DEPTHWISE_CONV_2D", "DepthwiseConv2D"), ("AVERAGE_POOL_2D", "AveragePool2D"),
        ("SOFTMAX", "Softmax"), ("ADD", "Add"), ("PADV2", "PadV2"), ("BATCH_MATMUL", "BatchMatMul"),
    ],
)  # fmt: skip
def test_the_resolver_s_methods_are_called_as_in_tflite_micro(operator: str, method: str) -> None:
    assert method_of(operator) == method


def test_everything_is_there(made: Path) -> None:
    assert {path.name for path in made.iterdir()} == NAMES
    readme = (made / "README.md").read_text()
    for name in NAMES:
        assert f"`{name}`" in readme or name == "README.md"
    assert len(readme.splitlines()) < 70, "one page"


@needs_gcc
@pytest.mark.skipif(
    not os.environ.get("EDGECNN_TFLM_TREE"), reason="needs a built TFLite Micro tree: set EDGECNN_TFLM_TREE"
)
def test_main_runs_in_a_tflite_micro_tree(made: Path, tmp_path: Path) -> None:
    tree = Path(os.environ["EDGECNN_TFLM_TREE"])
    includes = [
        tree,
        *(tree / "tensorflow/lite/micro/tools/make/downloads").glob("*"),
        *tree.glob("**/flatbuffers/include"),
    ]
    library = next(tree.glob("gen/**/libtensorflow-microlite.a"))
    sources = [str(path) for path in made.iterdir() if path.suffix in (".c", ".cc")]
    program = tmp_path / "check"
    flags = ["-DTF_LITE_STATIC_MEMORY", *(f"-I{place}" for place in includes)]  # as the tree's own Makefile
    subprocess.run(
        ["g++", "-std=c++17", *flags, "-x", "c++", *sources, "-x", "none", str(library), "-o", program], check=True
    )
    assert subprocess.run([program], check=False).returncode == 0


def test_labels_are_any_text() -> None:
    assert string_of_c('a "b"\\') == '"a \\042b\\042\\134"'
    assert string_of_c("é1") == '"\\303\\2511"'


def test_large_images_do_not_fill_the_flash(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgecnn.bundles.tflite_micro.GOLDEN_BYTES", 2 * 3072)
    assert "#define GOLDEN_COUNT 2\n" in (bundle(run, "tflite-micro", tmp_path / "out") / "golden.h").read_text()


def test_a_run_without_images_is_checked_with_drawn_ones(run: Run) -> None:
    run.path(run_directory.SAMPLES).unlink()
    folder = bundle(run, "tflite-micro")
    assert folder == run.path("bundles/tflite-micro")
    assert "8 synthetic images" in (folder / "golden.h").read_text()
    assert bundle(run, "tflite-micro") == folder, "made again in its place"


def test_refusals(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["bundle", str(run.root), "--target", "tflite-mikro"]) == 2
    assert "did you mean tflite-micro" in capsys.readouterr().err
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    assert command(["bundle", str(run.root), "--target", "tflite-micro", "--out", str(tmp_path / "full")]) == 4
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"
    run.path("exports/tflite_int8_micro.tflite").write_bytes(b"TFL3" * 100)
    assert command(["bundle", str(run.root), "--target", "tflite-micro"]) == 4
    assert "not the file that was exported" in capsys.readouterr().err
    artifacts = run.artifacts()
    others = tuple(artifact for artifact in artifacts.artifacts if artifact.format != "tflite_int8_micro")
    run.save(run_directory.ARTIFACTS, replace(artifacts, artifacts=others))
    assert command(["bundle", str(run.root), "--target", "tflite-micro"]) == 4
    assert f"run `edgecnn export {run.root} --format tflite_int8_micro`" in capsys.readouterr().err
    run.path(run_directory.ARTIFACTS).unlink()
    assert command(["bundle", str(run.root), "--target", "tflite-micro"]) == 4
    assert not run.path(run_directory.BUNDLES).exists() or not list(run.path(run_directory.BUNDLES).iterdir())
