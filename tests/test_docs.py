"""README and docs/ say what the program does: links, names, options, numbers, and generated parts."""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
import sys
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import pytest

from edgecnn import errors
from edgecnn.export.format import Format
from edgecnn.plugins import discover
from edgecnn.preprocessing.resize import resize
from edgecnn.runtimes.runtime import Runtime
from tests import pages
from tests.pages import PAGES, ROOT, Block, blocks

if TYPE_CHECKING:
    from pathlib import Path

README = PAGES["README.md"]
OTHER_PROGRAMS = {"curl", "head", "python3", "gpu/bin/pip", "tensorflow_model_server"}  # in shell blocks, not ours
PREDICTOR, EXPORTS, PLUGIN, RESIZE = "predictor", "exports", ("format", "runtime", "bundle"), "resize"
PYTHON = {PREDICTOR, EXPORTS, RESIZE, *PLUGIN}  # first words of marks; what is run stands here and in test_docs_run.py


def test_the_generated_parts_are_up_to_date() -> None:
    done = subprocess.run([sys.executable, ROOT / "tools" / "docs", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 200


def test_every_format_is_described() -> None:
    section = README.split("\n## Formats\n", 1)[1].split("\n## ", 1)[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(discover(Format))
    for name in discover(Format):
        assert f"`{name}`" in PAGES["docs/formats.md"], name


def test_every_command_is_described() -> None:
    for name in pages.cli.commands:
        assert f"`edgecnn {name} " in README, name


def test_the_package_tree_names_every_module_at_the_root() -> None:
    block = README.split("```text\nedgecnn/\n", 1)[1].split("```", 1)[0]
    names = re.findall(r"^  (\w+(?:\.py|/))", block, re.MULTILINE)
    assert len(names) > 10
    for name in names:
        assert (ROOT / "edgecnn" / name).exists(), name
    for path in (ROOT / "edgecnn").iterdir():
        name = f"{path.name}/" if path.is_dir() else path.name
        assert name in {*names, "__init__.py", "__main__.py", "__pycache__/", "published/"}, f"{name} is missing"


def test_no_registry_is_named() -> None:
    text = "".join(PAGES.values()) + (ROOT / "pyproject.toml").read_text()
    text += (ROOT / "tools" / "constraints.txt").read_text()
    assert not re.search(r"https?://\S*(py" r"pi|pythonhosted|npm|debian)", text)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in pages.links(page):
        assert not link.startswith("/"), link
        if link.startswith("http"):
            continue
        target, _, anchor = link.partition("#")
        path = ((ROOT / page).parent / target).resolve() if target else ROOT / page
        assert path.exists(), link
        name = path.relative_to(ROOT).as_posix()
        assert not anchor or anchor in pages.anchors(name), link


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {link.partition("#")[0] for link in pages.links("README.md")}
    assert set(PAGES) - {"README.md"} <= linked


@pytest.mark.parametrize("page", PAGES)
def test_files_and_options_that_a_page_names_exist(page: str) -> None:
    made = {block.mark.split()[1] for block in blocks("python") if block.mark.startswith(PLUGIN)}
    tools = "".join(path.read_text() for path in (ROOT / "tools").iterdir() if path.is_file())
    for code in pages.inline_code(page):
        for path in re.findall(r"(?:^| )((?:edgecnn|tools|tests|docs)/[\w./-]+)", code):
            assert (ROOT / path).exists() or path in made, path
        for option in re.findall(r"(?:^| )(--[a-z][\w-]*)", "" if code.startswith("pip ") else code):
            assert option in pages.options() or option in tools, option


def _known_values() -> dict[str, set[str]]:
    """Parameter of a command -> the values that it may have in the pages."""
    from edgecnn.bundles.bundle import Bundle
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
        "target": {*discover(Bundle), *examples},
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
    assert block.mark.split(" ")[0] in PYTHON, f"{block.where} is marked with no test that runs it"


@pytest.mark.parametrize("block", blocks("js"), ids=lambda block: block.where)
def test_javascript_compiles_and_uses_the_names_of_the_contract(block: Block, tmp_path: Path) -> None:
    node = shutil.which("node")
    if not node:
        pytest.skip("needs node")
    (tmp_path / "snippet.mjs").write_text(block.code)
    done = subprocess.run([node, "--check", tmp_path / "snippet.mjs"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    contract = _contract()
    assert f"{{ {contract.output.name} }} = await session.run({{ {contract.image.name} }})" in block.code
    assert f"{[1, *contract.image.shape[1:]]}" in block.code
    _check_files(block)


@pytest.mark.parametrize("block", blocks("kotlin"), ids=lambda block: block.where)
def test_kotlin_uses_the_shapes_of_the_contract(block: Block) -> None:
    contract = _contract()
    assert f"allocateDirect({' * '.join(map(str, contract.image.shape[1:]))})" in block.code
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
    assert languages <= {"sh", "python", "js", "kotlin", "cpp", "text"}


@lru_cache
def _page_code() -> dict[str, Any]:
    """The functions of the preprocessing page."""
    (block,) = (block for block in blocks("python") if block.mark == RESIZE)
    names: dict[str, Any] = {}
    exec(compile(block.code, block.where, "exec"), names)
    names["weights"] = lru_cache(maxsize=None)(names["weights"])
    return names


def _by_page(image: np.ndarray, height: int, width: int) -> np.ndarray:
    channels = [_page_code()["resize"](image[..., c].tolist(), height, width) for c in range(image.shape[2])]
    return np.stack([np.array(channel, np.uint8) for channel in channels], axis=-1)


@pytest.mark.parametrize("seed", range(12))
def test_the_resize_on_the_page_is_the_program_s(seed: int) -> None:
    random = np.random.default_rng(seed)
    h, w, height, width = (int(side) for side in random.integers(1, 60, 4))
    image = random.integers(0, 256, (h, w, 3), np.uint8)
    np.testing.assert_array_equal(_by_page(image, height, width), resize(image, height, width))


def _sides(cell: str) -> tuple[int, int]:
    height, width = cell.split(" x ")
    return int(height), int(width)


@pytest.mark.parametrize(
    "row", pages.table("docs/preprocessing.md", "vectors"), ids=lambda row: f"{row[0]} to {row[1]}"
)
def test_the_vectors_are_what_the_program_and_the_page_give(row: list[str]) -> None:
    (h, w), (height, width) = _sides(row[0]), _sides(row[1])
    y, x, c = np.meshgrid(np.arange(h), np.arange(w), np.arange(3), indexing="ij")
    image = eval(_formula(), {"x": x, "y": y, "c": c}).astype(np.uint8)
    results = [resize(image, height, width)]
    if h * w <= 1 << 14:  # plain Python takes seconds for more
        results.append(_by_page(image, height, width))
    for result in results:
        assert f"{zlib.crc32(np.ascontiguousarray(result).tobytes()):08x}" == row[2]
        assert str(result[0, 0].tolist()) == row[3]


def _formula() -> str:
    """The pixel's formula as the page has it, as Python writes it."""
    found = re.search(r"^`(.+) mod (256)`", PAGES["docs/preprocessing.md"], re.MULTILINE)
    assert found
    return f"{found[1]} % {found[2]}"


def test_the_table_of_tolerances_is_what_the_formats_say() -> None:
    rows = {cells[0].strip("`"): (float(cells[1]), cells[2]) for cells in pages.table("docs/parity.md", "tolerances")}
    gates = {name: format.gate for name, format in discover(Format).items()}
    assert rows == {name: (gate.tolerance_points, f"{100 * gate.min_agreement:g}%") for name, gate in gates.items()}


def test_the_table_of_cpus_names_those_that_there_are() -> None:
    from edgecnn.execution.emulation import CPUS

    assert [cells[0].strip("`") for cells in pages.table("docs/parity.md", "cpus")] == list(CPUS)


def test_the_exit_codes_are_those_that_the_program_has() -> None:
    kinds = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, errors.EdgecnnError)]
    codes = {0, errors.EXIT_INTERRUPTED, errors.EXIT_PIPE_CLOSED, *(kind.exit_code for kind in kinds)}
    section = PAGES["docs/cli.md"].split("\n## Exit codes\n", 1)[1].split("\n## ", 1)[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)} == codes
    line = README.split("\n## Exit codes\n", 1)[1].split(". Errors", 1)[0]
    assert {int(code) for code in re.findall(r"(?:^|· )(\d+) ", line.replace("\n", " ").strip())} == codes


def test_the_plug_ins_interfaces_are_where_the_page_says() -> None:
    rows = re.findall(r"^\| ([\w ]+) \| `(\S+)` \| `(\S+)` \|$", PAGES["docs/architecture.md"], re.MULTILINE)
    assert len(rows) == 5
    for kind, interface, folder in rows:
        name = "Dataset" if kind == "data set" else kind.capitalize()
        assert f"class {name}:" in (ROOT / interface).read_text()
        assert f'"{folder.strip("/").replace("/", ".")}"' in (ROOT / interface).read_text()


def test_messages_in_troubleshooting_are_ones_the_program_has() -> None:
    sources = " ".join(path.read_text() for path in (ROOT / "edgecnn").rglob("*.py"))
    sources = re.sub(r'"\s*\n\s*f?"', "", sources)  # a message over several lines is one string
    messages = re.findall(r"^\| `([^`]+)`", PAGES["docs/troubleshooting.md"], re.MULTILINE)
    assert len(messages) > 5
    for message in messages:
        for part in filter(None, (part.strip() for part in message.split("..."))):
            assert part in sources, message


def _numbers() -> list[tuple[str, str]]:
    """(page, phrase that it has to have): numbers in the text, from where the program has them."""
    from edgecnn.benchmark import latency_stats
    from edgecnn.bundles import tflite_micro
    from edgecnn.cli.bench import command as bench
    from edgecnn.data.datasets import cifar10, synthetic
    from edgecnn.execution import emulation
    from edgecnn.export import onnx_converter
    from edgecnn.parity import evidence
    from edgecnn.runtimes import tflite_micro as runtime
    from edgecnn.stages import golden_check, layerwise_parity
    from edgecnn.training.recipes import TUTORIAL

    first, second = onnx_converter.OPSETS
    starts = next(option.default for option in bench.params if option.name == "starts")
    words = {3: "three", 10: "ten", 0.1: "tenth"}
    return [
        ("data", f"`synthetic`: {synthetic.TRAIN_COUNT + synthetic.TEST_COUNT:,} synthetic images in "),
        ("data", f"no byte for {cifar10.SILENCE_SECONDS:.0f} s is given up"),
        ("parity", f"TFLite Micro, which is slow: {runtime.PLUGIN.max_images:,} images"),
        ("parity", f"over {emulation.INT8_IMAGES:,} images of an int8 file and {emulation.FLOAT_IMAGES} of a float"),
        ("parity", f"with Keras over {layerwise_parity.IMAGES} images"),
        ("parity", f"{words[int(evidence.SAFETY)]} times the differences seen"),
        ("parity", f"its factor of {evidence.SAFETY:.0f}"),
        ("benchmarking", f"started {words[starts]} times"),
        ("benchmarking", f"the fastest {words[latency_stats.TYPICAL]} of a block"),
        ("benchmarking", f"Its {latency_stats.RATIO_CONFIDENCE:.0%} interval allows {latency_stats.RESTART_SHARE:.0%}"),
        ("benchmarking", f"p99 with {latency_stats.CONFIDENCE:.0%} intervals"),
        ("formats", f"ONNX is opset {first}, IR 8; opset {second} where"),
        ("bundles", f"up to {tflite_micro.GOLDEN_IMAGES} images"),
        ("pretrained", f"gave for {golden_check.COUNT} synthetic images"),
        ("training", f"Adam, batches of {TUTORIAL.batch_size}, {TUTORIAL.epochs} epochs, the test images"),
    ]


def test_numbers_in_the_text_are_the_program_s() -> None:
    for page, phrase in _numbers():
        text = re.sub(r"\s+", " ", PAGES[f"docs/{page}.md"]).replace(" %", "%")
        assert phrase in text, (page, phrase)


def test_the_number_of_preprocessing_paths_is_right() -> None:
    from edgecnn.parity.preprocessing_check import pathways

    assert len(pathways(_contract())) == 6
    for page, phrase in (("parity", "Six ways"), ("preprocessing", "compares six ways")):
        assert phrase in PAGES[f"docs/{page}.md"]
