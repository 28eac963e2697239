"""Every command line in README and docs/ is one that the program takes, and every snippet compiles."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import click
import pytest

from edgecnn.export.format import Format
from edgecnn.plugins import discover
from edgecnn.runtimes.runtime import Runtime
from tests import pages
from tests.pages import PAGES, ROOT, Block, blocks

if TYPE_CHECKING:
    from pathlib import Path

OTHER_PROGRAMS = {"curl", "head", "python3", "gpu/bin/pip", "tensorflow_model_server"}  # in shell blocks, not ours
RUN = {"predictor", "exports", "resize", *pages.PLUG_INS}  # first words of the marks of what other tests run


def _known_values() -> dict[str, set[str]]:
    """Parameter of a command -> the values that it may have in the pages."""
    from edgecnn.bundles.bundle import Bundle
    from edgecnn.codegen.target import TARGETS
    from edgecnn.execution.emulation import CPUS
    from edgecnn.training.architecture import Architecture
    from edgecnn.training.recipes import recipes_of

    architectures = discover(Architecture)
    examples = set(re.findall(r'\bname="([\w-]+)"', PAGES["docs/extending.md"]))
    providers = {name for runtime in discover(Runtime).values() for name in runtime.providers}
    return {
        "formats": {*discover(Format), *examples},
        "runtimes": {*discover(Runtime), *examples},
        "providers": providers,
        "cpus": set(CPUS),
        "target": {*discover(Bundle), *TARGETS, *examples},
        "architecture": {*architectures, "arm64"},
        "recipe": {name for architecture in architectures.values() for name in recipes_of(architecture)},
    }


def _check_command(words: list[str], where: str) -> None:
    """Every word is a command, an option or a value that the program takes."""
    context = None
    try:
        context = pages.parse(words)
    except click.UsageError as error:
        pytest.fail(f"{where}: edgecnn {' '.join(words)}: {error.format_message()}")
    for name, known in _known_values().items():
        given = context.params.get(name) if context else None
        for value in (given,) if isinstance(given, str) else given or ():
            assert value in known or value.isupper(), f"{where}: {value} is none of {sorted(known)}"


def _check_tool(words: list[str], where: str) -> None:
    """A program in tools/ that takes these options."""
    tool, *arguments = words
    if tool == "tools/quickstart":
        _check_command(["run", "RUN", *arguments], where)
        return
    text = (ROOT / tool).read_text()
    for word in arguments:
        assert not word.startswith("--") or word in text, f"{where}: {tool} has no {word}"


def _check_words(words: list[str], where: str) -> None:
    if words[0] == ".venv/bin/python":
        words = words[1:]
    if words[0] == "edgecnn":
        _check_command(words[1:], where)
    elif words[0].startswith("tools/"):
        _check_tool(words, where)
    else:
        assert words[0] in OTHER_PROGRAMS, f"{where}: what is {words[0]}?"


@pytest.mark.parametrize(("where", "line"), pages.shell_lines())
def test_command_lines_in_blocks_are_ones_the_program_takes(where: str, line: str) -> None:
    for words in pages.commands(line):
        _check_words(words, where)


@pytest.mark.parametrize("page", PAGES)
def test_command_lines_in_the_text_are_ones_the_program_takes(page: str) -> None:
    for code in pages.inline_code(page):
        for words in pages.commands(code) if code.startswith(("edgecnn ", "tools/", ".venv/bin/python ")) else ():
            if not (words[0] == "edgecnn" and pages.is_name(words[1:])):
                _check_words(words, page)


def test_a_renamed_option_would_be_noticed() -> None:
    with pytest.raises(click.UsageError):
        pages.parse(["bench", "RUN", "--no-such-option"])
    with pytest.raises(click.UsageError):
        pages.parse(["no-such-command", "RUN"])
    with pytest.raises(pytest.fail.Exception):
        _check_command(["cpu", "remove"], "here")


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.where)
def test_python_compiles_and_is_run_by_a_test(block: Block) -> None:
    compile(block.code, block.where, "exec")
    assert block.mark.split(" ")[0] in RUN, f"{block.where} is marked with no test that runs it"


@pytest.mark.parametrize("block", [one for one in blocks("js") if not one.mark], ids=lambda block: block.where)
def test_javascript_compiles_and_uses_the_names_of_the_contract(block: Block, tmp_path: Path) -> None:
    node = shutil.which("node")
    if not node:
        pytest.skip("needs node")
    (tmp_path / "snippet.mjs").write_text(block.code)
    done = subprocess.run([node, "--check", tmp_path / "snippet.mjs"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    contract = _contract()
    assert f"{{ {contract.output.name} }} = await session.run({{ {contract.input.name} }})" in block.code
    assert f"{[1, *contract.input.shape[1:]]}" in block.code
    _check_files(block)


@pytest.mark.parametrize("block", [one for one in blocks("c") if one.mark == "image"], ids=lambda block: block.where)
def test_c_prepares_a_camera_s_frame(block: Block, tmp_path: Path) -> None:
    if not shutil.which("gcc"):
        pytest.skip("no C compiler: apt install gcc")
    import numpy as np

    from edgecnn.codegen import image
    from edgecnn.preprocessing.decode import fitted

    (tmp_path / "snippet.c").write_text(block.code)
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", f"-I{image.FOLDER}"]
    sources = [tmp_path / "snippet.c", image.FOLDER / "edgecnn_image.c"]
    subprocess.run(["gcc", *flags, *sources, "-o", tmp_path / "app.so"], check=True)
    app = ctypes.CDLL(str(tmp_path / "app.so"))
    bytes_needed = app.edgecnn_resize_scratch(240, 320, 32, 32)
    assert f"is {bytes_needed:,} bytes" in block.code
    assert 4 * int(re.search(r"scratch\[(\d+)\]", block.code)[1]) >= bytes_needed  # type: ignore[index]
    frame = np.random.default_rng(1).integers(0, 1 << 16, (240, 320), np.uint16)
    r, g, b = frame >> 11, frame >> 5 & 63, frame & 31
    rgb = np.stack([r << 3 | r >> 2, g << 2 | g >> 4, b << 3 | b >> 2], axis=-1).astype(np.uint8)
    found = np.zeros((32, 32, 3), np.uint8)
    assert app.prepare(frame.tobytes(), ctypes.c_void_p(found.ctypes.data)) == 0
    np.testing.assert_array_equal(found, fitted(rgb, 32, 32, 3))


@pytest.mark.parametrize("block", [one for one in blocks("c") if not one.mark], ids=lambda block: block.where)
def test_c_compiles_with_the_generated_model_and_classifies(block: Block, tmp_path: Path) -> None:
    if not shutil.which("gcc"):
        pytest.skip("no C compiler: apt install gcc")
    from edgecnn.codegen.emitter import emit
    from edgecnn.codegen.reader import read

    contract = _contract()
    exported = ROOT / "artifacts" / "cifar10-cnn" / "exports" / "tflite_int8_micro.tflite"
    emit(read(exported.read_bytes()), contract, tmp_path)
    (tmp_path / "snippet.c").write_text(block.code)
    words = [
        "gcc",
        "-std=c99",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-fPIC",
        "-shared",
        *sorted(map(str, tmp_path.glob("*.c"))),
    ]
    done = subprocess.run([*words, "-o", str(tmp_path / "app.so")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    classify = ctypes.CDLL(str(tmp_path / "app.so")).classify
    classify.restype = ctypes.c_char_p
    assert classify(bytes(32 * 32 * 3)).decode() in contract.labels


@pytest.mark.parametrize("block", blocks("kotlin"), ids=lambda block: block.where)
def test_kotlin_uses_the_shapes_of_the_contract(block: Block) -> None:
    contract = _contract()
    assert f"allocateDirect({' * '.join(map(str, contract.input.shape[1:]))})" in block.code
    assert f"FloatArray({contract.output.shape[-1]})" in block.code
    _check_files(block)


def _contract() -> Any:
    from edgecnn.run_directory import Run

    return Run(ROOT / "artifacts" / "cifar10-cnn").contract()


def _check_files(block: Block) -> None:
    """The model files that a snippet names are those that exports have."""
    names = {f"{name}{format.suffix}" for name, format in discover(Format).items() if format.suffix}
    found = re.findall(r'"(\w+\.(?:onnx|tflite))"', block.code)
    assert found and set(found) <= names


def test_every_language_in_the_pages_is_known() -> None:
    languages = {line[3:] for text in PAGES.values() for line in text.splitlines() if re.match("```.", line)}
    assert languages <= {"sh", "python", "js", "kotlin", "cpp", "c", "text", "yaml"}


def test_a_channel_that_the_pages_show_is_not_the_same_all_over() -> None:
    import numpy as np

    from edgecnn import Predictor
    from edgecnn.data.datasets.synthetic import draw

    shown = [words for _, line in pages.shell_lines() for words in pages.commands(line) if "--channel" in words]
    assert shown
    images, _ = draw(10, seed=1, split="test")
    for command in (pages.parse(words[1:]) for words in shown):
        assert command is not None
        layer, channel = command.params["layers"][0], command.params["channel"]
        predictor = Predictor(str(command.params["model"]))
        for image in images:
            maps = predictor.features(image, [layer])[layer]
            assert maps[..., channel].std() > 0.02 * np.ptp(maps), f"{layer} {channel} is one color"
