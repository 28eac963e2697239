"""The numbers, tables and messages in README and docs/ are those of the program and of the pretrained runs."""

from __future__ import annotations

import importlib.metadata
import inspect
import re
import tomllib

import pytest

from edgecnn import errors, processes
from edgecnn.environment import not_installed
from edgecnn.export.format import Format
from edgecnn.plugins import discover
from tests import pages
from tests.pages import PAGES, ROOT

README = PAGES["README.md"]


def test_the_table_of_tolerances_is_what_the_formats_say() -> None:
    rows = {cells[0].strip("`"): (float(cells[1]), cells[2]) for cells in pages.table("docs/parity.md", "tolerances")}
    gates = {name: format.gate for name, format in discover(Format).items()}
    assert rows == {name: (gate.tolerance_points, f"{100 * gate.min_agreement:g}%") for name, gate in gates.items()}


def test_the_table_of_cpus_names_those_that_there_are() -> None:
    from edgecnn.execution.emulation import CPUS

    assert [cells[0].strip("`") for cells in pages.table("docs/parity.md", "cpus")] == list(CPUS)


def test_the_exit_codes_are_those_that_the_program_has() -> None:
    kinds = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, errors.EdgecnnError)]
    signals = {processes.SIGNALLED + number for number in processes.ENDING}
    codes = {0, *signals, errors.EXIT_PIPE_CLOSED, *(kind.exit_code for kind in kinds)}
    section = PAGES["docs/cli.md"].split("\n## Exit codes\n", 1)[1].split("\n## ", 1)[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)} == codes
    line = README.split("\n## Exit codes\n", 1)[1].split(". Errors", 1)[0]
    assert {int(code) for code in re.findall(r"(?:^|· )(\d+) ", line.replace("\n", " ").strip())} == codes


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
    from edgecnn.benchmark import budget, latency_stats, session
    from edgecnn.bundles import golden, tflite_micro
    from edgecnn.cli.bench import command as bench
    from edgecnn.data.datasets import cifar10, synthetic
    from edgecnn.execution import emulation
    from edgecnn.export import onnx_converter
    from edgecnn.parity import evidence
    from edgecnn.report import deployment
    from edgecnn.runtimes import tflite_micro as runtime
    from edgecnn.stages import golden_check, layerwise_parity
    from edgecnn.stages.compare import CompareOptions
    from edgecnn.training.recipes import TUTORIAL

    first, second = onnx_converter.OPSETS
    allowed = CompareOptions()
    seconds = next(option.default for option in bench.params if option.name == "time_budget")
    words = {3: "three", 10: "ten", 0.1: "tenth"}
    return [
        ("data", f"`synthetic`: {synthetic.TRAIN_COUNT + synthetic.TEST_COUNT:,} synthetic images in "),
        ("data", f"no byte for {cifar10.SILENCE_SECONDS:.0f} s is given up"),
        ("parity", f"TFLite Micro, which is slow: {runtime.PLUGIN.max_images:,} images"),
        ("parity", f"over {emulation.INT8_IMAGES:,} images of an int8 file and {emulation.FLOAT_IMAGES} of a float"),
        ("parity", f"with Keras over {layerwise_parity.IMAGES} images"),
        ("parity", f"{words[int(evidence.SAFETY)]} times the differences seen"),
        ("parity", f"its factor of {evidence.SAFETY:.0f}"),
        ("benchmarking", f"`--time-budget` ({seconds} s)"),
        ("benchmarking", f"a minimum of {budget.MIN_ROUNDS} rounds"),
        ("benchmarking", f"started up to {words[budget.STARTS]} times"),
        ("benchmarking", f"those wider than {budget.SETTLED:.0%}"),
        ("benchmarking", f"two blocks in succession are at most {session.WARM:.0%} faster"),
        ("benchmarking", f"the fastest {words[latency_stats.TYPICAL]} of a block"),
        ("benchmarking", f"Its {latency_stats.RATIO_CONFIDENCE:.0%} interval allows {latency_stats.RESTART_SHARE:.0%}"),
        ("benchmarking", f"p99 with {latency_stats.CONFIDENCE:.0%} intervals"),
        ("benchmarking", f"both parts hold at least {latency_stats.MIN_MODE_SHARE:.0%}"),
        ("benchmarking", f"their medians are at least {latency_stats.MIN_MODE_RATIO - 1:.0%} apart"),
        ("benchmarking", f"at most one value in {1 / latency_stats.MAX_VALLEY_SHARE:.0f} lies in the middle third"),
        ("formats", f"of those within {deployment.CLOSE - 1:.0%} of it the smallest"),
        ("formats", f"ONNX is opset {first}, IR 8; opset {second} where"),
        ("bundles", f"up to {tflite_micro.GOLDEN_IMAGES} images"),
        ("bundles", f"of {golden.COUNT} images the pixels to the bit"),
        ("bundles", f"within {golden.TOLERANCE:.0e} of the largest".replace("e-0", "e-")),
        ("bundles", f"depends on the kernels, within {golden.INTEGER_TOLERANCE:.0e}".replace("e-0", "e-")),
        ("web", f"{golden.COUNT} golden images"),
        ("web", f"agree with Python's within {golden.TOLERANCE:.0e}".replace("e-0", "e-")),
        ("pretrained", f"gave for {golden_check.COUNT} synthetic images"),
        ("pretrained", ", ".join(f"{db:.0f} dB in {dtype}" for dtype, db in golden_check.LEAST_DB.items())),
        ("ci", f"`--max-slowdown`, {allowed.max_slowdown_percent:g}%"),
        ("ci", f"`--max-growth`, {allowed.max_growth_percent:g}%"),
        ("training", f"Adam, batches of {TUTORIAL.batch_size}, {TUTORIAL.epochs} epochs, the test images"),
    ]


def test_numbers_in_the_text_are_the_program_s() -> None:
    for page, phrase in _numbers():
        text = re.sub(r"\s+", " ", PAGES[f"docs/{page}.md"]).replace(" %", "%")
        assert phrase in text, (page, phrase)


def test_the_number_of_preprocessing_paths_is_right() -> None:
    from edgecnn.parity.preprocessing_check import WAYS

    assert len(WAYS) == 6
    for page, phrase in (("parity", "Six ways"), ("preprocessing", "compares six preprocessing paths")):
        assert phrase in PAGES[f"docs/{page}.md"]


def test_the_base_install_has_as_many_packages_as_the_readme_says() -> None:
    """Counted by the requirements of what is installed here; test_install.py installs it."""
    requirement = pytest.importorskip("packaging.requirements").Requirement
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found, open_ = {"edgecnn"}, [requirement(line) for line in project["dependencies"]]
    while open_:
        one = open_.pop()
        name = one.name.lower().replace("_", "-")
        if name not in found and (one.marker is None or one.marker.evaluate({"extra": ""})):
            found.add(name)
            open_ += [requirement(line) for line in importlib.metadata.requires(name) or ()]
    assert f": {len(found)} packages, no" in README, sorted(found)


@pytest.mark.parametrize("name", ["cifar10-cnn", "cifar10-resnet8"])
def test_the_table_of_formats_says_what_the_pretrained_runs_show(name: str) -> None:
    from edgecnn.records import Latency, Parity
    from edgecnn.run_directory import LATENCY, PARITY, Run

    run = Run(ROOT / "artifacts" / name)
    sizes = {artifact.format: artifact.size_bytes for artifact in run.artifacts().artifacts}
    assert max(sizes, key=lambda name: sizes[name]) == "saved_model"
    for small in ("onnx_int8", "tflite_dynamic", "tflite_int8"):  # "a third of the size or less"
        assert sizes[small] <= 0.34 * sizes["onnx_float32" if small == "onnx_int8" else "tflite_float32"]
    assert 0.45 <= sizes["tflite_float16"] / sizes["tflite_float32"] <= 0.55
    rows = [row for row in run.load(PARITY, Parity, "parity").rows if not row.cpu]
    for row in rows:
        if row.format in ("onnx_float32", "tflite_float32"):
            assert row.agreement == 1, row.format
        if row.format == "tflite_float16":  # "about one label in a thousand"
            assert row.agreement >= 0.998
    timed = [row for row in run.load(LATENCY, Latency, "bench").rows if (row.threads, row.batch) == (1, 1)]
    p50 = {row.format: row.p50_ms for row in timed if row.runtime != "keras"}
    assert max(p50, key=lambda name: p50[name]) == "saved_model"
    assert p50["tflite_int8"] <= 1.1 * min(p50.values())


def test_the_pretrained_runs_are_checked_on_as_many_cpus_as_the_readme_says() -> None:
    from edgecnn.execution.emulation import CPUS
    from edgecnn.pretrained import PLACES
    from edgecnn.records import Parity
    from edgecnn.run_directory import PARITY, Run

    assert len(CPUS) == 4
    assert "checked on four emulated CPUs" in README
    for name in ("cifar10-cnn", "cifar10-resnet8"):
        record = Run(PLACES[1] / name).load(PARITY, Parity, "parity")
        assert {row.cpu for row in record.rows} == {"", *CPUS}


@pytest.mark.parametrize("target", ["android", "arduino", "cmake", "python", "tflite-micro", "web"])
def test_the_table_of_a_bundle_s_files_is_complete(target: str) -> None:
    sources = ROOT / "edgecnn" / "bundles" / target.replace("-", "_") / "sources"
    made = {str(path.relative_to(sources)).removesuffix(".j2") for path in sources.rglob("*") if path.is_file()}
    page = "docs/web.md" if target == "web" else "docs/bundles.md"
    named = [cells[0] for cells in pages.table(page, f"bundle files {target}")]
    assert set(re.findall(r"`([^`]+)`", " ".join(named))) == made


def test_the_table_of_roundings_is_complete() -> None:
    from edgecnn.codegen.rounding import ROUNDINGS

    rows = [(re.search(r"`([^`]+)`", cells[0]), cells[1]) for cells in pages.table("docs/c.md", "roundings")]
    assert {name[1]: runtime for name, runtime in rows if name} == {
        rounding.name: rounding.runtime for rounding in ROUNDINGS.values()
    }


def test_the_table_of_targets_is_complete() -> None:
    from edgecnn.codegen.target import TARGETS

    rows = {cells[0].split("`")[1]: cells[1:] for cells in pages.table("docs/c.md", "targets")}
    assert rows == {
        target.name: [target.summary, f"`{' '.join(target.flags)}`" if target.flags else "none"]
        for target in TARGETS.values()
    }


def test_the_table_of_boards_is_complete() -> None:
    from edgecnn.runtimes import linux_user
    from edgecnn.runtimes.bare_metal import BOARDS

    rows = {cells[0].strip("`"): cells[1:] for cells in pages.table("docs/c.md", "boards")}
    sizes = {board.name: [board.flash_bytes, board.ram_bytes] for board in BOARDS.values()}
    wanted = {b.name: [b.title, ", ".join(f"{n // 1024:,} KiB" for n in sizes[b.name])] for b in BOARDS.values()}
    assert rows == {**wanted, "aarch64": [linux_user.TITLE, "-"]}


def test_the_table_of_arenas_is_what_fit_says() -> None:
    from edgecnn.pretrained import pretrained_runs
    from edgecnn.runtimes import tflm_interpreter
    from edgecnn.stages.fit import fit

    said = [[int(cell.replace(",", "")) for cell in cells[1:]] for cells in pages.table("docs/c.md", "arenas")]
    engines = [fit(run, None, 1 << 20).engines for run in pretrained_runs().values()]
    wanted = [[engine.ram.get("arena") for engine in both] for both in zip(*engines, strict=True)]
    assert said[0] == wanted[0]
    if not tflm_interpreter.is_installed():
        pytest.skip(not_installed("tflite_micro"))
    assert said == wanted


def test_the_bounds_of_code_are_the_program_s() -> None:
    from edgecnn.codegen.footprint import CODE_BYTES, CODE_BYTES_ALONE, DIVISION_BYTES, MEASURED_WITH

    said = {cells[0]: int(cells[1].replace(",", "")) for cells in pages.table("docs/c.md", "code bytes")}
    assert said == {f"`{kernel}`": size for kernel, size in CODE_BYTES.items()} | {
        "the function around them": CODE_BYTES_ALONE,
        "a division, once, where `average_pooling` is called": DIVISION_BYTES,
    }
    assert MEASURED_WITH in " ".join(PAGES["docs/c.md"].split())


def test_the_first_hour_in_the_readme_is_the_one_that_was_measured() -> None:
    measured = dict(line.split(maxsplit=1) for line in (ROOT / "docs" / "first-hour.txt").read_text().splitlines())
    total, cpu = re.findall(r"(\d+) s", measured["total"])
    text = " ".join((ROOT / "README.md").read_text().split())
    processor = measured["machine"].rsplit(", 2 cores", 1)[0]
    installation = measured["installation"].split()[0]
    said = f"took {total} s on two quiet cores of an {processor}, {installation} s of it installation"
    assert f"{said}, {cpu} s of CPU time" in text
    megabytes = int(measured["downloaded"].split()[0])
    assert (
        f"download {megabytes / 1000:.1f} GB of packages, which take {measured['disk'].split()[0]} GB of disk" in text
    )
    assert float(measured["longest"].split()[1]) < 5
