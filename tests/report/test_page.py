"""Both pages: every figure is there, the source is valid, strings from data stay text, nothing comes from elsewhere."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest

from edgecnn import records, run_directory
from edgecnn.pretrained import PLACES
from edgecnn.report.page import MARKDOWN, PAGE
from edgecnn.report.render import escape_markdown, markdown_table
from edgecnn.report.summary import commands
from edgecnn.report.table import Cell, table
from edgecnn.report.words import duration, three_digits
from edgecnn.run_directory import Run
from edgecnn.stages.report import report
from tests.html_page import Page
from tests.report.runs import CHANGE, DATA, EVIL, FORMATS, build, page_of, parity_of

pytest.importorskip("jinja2")

MAX_LINES = 40  # of what a pull request's reader sees of report.md


@pytest.fixture
def small(tmp_path: Path) -> Run:
    return build(tmp_path / "run")


def test_the_page_holds_every_figure(small: Run) -> None:
    text = page_of(small).text
    for figure in (
        "cnn-small", "All 2 exports match the trained model", "85.00%", "82.00% to 88.00%", "N = 700", "122,570",
        "131", "negative flip", "positive flip", "wrong both times",
        "485", "0.0188", "0.0461", "0.500", "0.138", "1.50", "86.00%", "+0.57", "98.29%",
        "12 flips", "0.0312", "agreement at least 98.0%", "XNNPACK 7", "LiteRT kernels 2", "500", "min-max", "tool 1",
        "2 epochs in 2 min 4 s", "a synthetic frog", "Layer conv2d", "60 calls per target", "qubits is not installed",
        "1 thread", "2 threads", "66.67%",
        "99.11%", "36.4", "0.99912", "a file to the predictor", "equal to the bit", "24.8", "1.0500", "activation",
        "12.05", "0.15", "The search took 35 s of the export.", "-2.1 to 19.1", "178.4",
        *FORMATS, *(f"on {runtime} (cpu)" for runtime, _ in FORMATS.values()),
    ):  # fmt: skip
        assert figure in text, f"{figure} is not on the page"
    assert text.count("differ in size") == 1


def test_the_markdown_holds_the_same_tables(small: Run) -> None:
    report(small)
    text = small.path(MARKDOWN).read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    interval = f"{CHANGE.low_points:+.2f} to {CHANGE.high_points:+.2f}".replace("-", "\N{MINUS SIGN}")
    name = "tflite_int8 (on litert (cpu))"
    assert [
        name,
        "131",
        "86.00% (83.00% to 89.00%)",
        "+0.57",
        "98.29% (12 flips)",
        "0.0312",
        "✓ pass",
        "0.0188 ms (0.0169 to 0.0207)",
    ] in rows
    assert [name, "✓ pass", "agreement at least 98.0%", "700", f"+0.57 ({interval})", "3 / 7 / 2", "0.34", "99.11%",
            "36.4", "0.99912", "–"] in rows  # fmt: skip
    assert ["onnx_float32 (on onnxruntime (cpu), 2 threads)", "0.500 (0.450 to 0.550)"] in [row[:2] for row in rows]
    assert ["tflite_int8", "conv2d_1", "activation"] in rows
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert len(blocks) == 22
    for block in blocks:
        assert len({len(line) for line in block.splitlines()}) == 1, "a table is not padded"
    assert "\n\n\n" not in text and text.count("<details>") == text.count("</details>") == 10


@pytest.mark.parametrize("failing", ["", "tflite_int8"])
@pytest.mark.parametrize("name", ["small", "cifar10-cnn", "cifar10-resnet8"])
def test_what_a_pull_request_needs_stands_in_the_first_lines(name: str, failing: str, tmp_path: Path) -> None:
    run = build(tmp_path / "run") if name == "small" else Run(shutil.copytree(PLACES[1] / name, tmp_path / "run"))
    if failing:
        parity = run.load(run_directory.PARITY, records.Parity, "parity")
        rows = tuple(
            replace(row, verdict="fail", reason="too bad") if row.format == failing else row for row in parity.rows
        )
        run.save(run_directory.PARITY, replace(parity, rows=rows, verdict="fail"))
    report(run)
    text = run.path(MARKDOWN).read_text(encoding="utf-8")
    first = text.split("<details>")[0]
    assert len(first.splitlines()) <= MAX_LINES
    assert len(text) < 65_536, "a comment on GitHub takes no more"
    assert "| Phone " in first and "| Server " in first
    for row in (row for row in run.artifacts().artifacts if row.format in FORMATS):
        assert row.format in first
    assert ("✗ fail" in first) == bool(failing)
    assert re.search(r"0\.0\d+ ms", first) and "95% interval" in first


@pytest.mark.parametrize("name", ["small", "unmeasured", "failing", "cifar10-cnn", "cifar10-resnet8"])
def test_the_source_is_valid(name: str, tmp_path: Path) -> None:
    if name.startswith("cifar10"):
        run = Run(shutil.copytree(PLACES[1] / name, tmp_path / "run"))
    else:
        run = build(tmp_path / "run", replace(DATA, notice="No network.") if name == "failing" else DATA)
    for part in (run_directory.PARITY, run_directory.LATENCY, run_directory.LAYERS, run_directory.FEATURES):
        if name == "unmeasured":
            run.path(part).unlink()
    if name == "failing":
        run.save(run_directory.PARITY, parity_of(run, DATA, failing="tflite_int8"))
    page = page_of(run)
    assert page.problems == []
    tags = [tag for tag, _ in page.tags]
    assert tags.count("table") == tags.count("caption")
    assert tags.count("figure") == tags.count("figcaption")


def test_what_is_wrong_with_a_source_is_seen() -> None:
    page = Page(
        '<html><p id="a"><div id="a"></div></p><table><tr><td>1<td></tr></table><a href="#b">x</a><h1>1</h1><h3>3</h3>'
        '<img src="x"><span class="a" class="b">'
    )
    words = " ".join(page.problems)
    for problem in ("<div> inside", "id a twice", "<tr> in <table>", "</tr> closes", "#b leads nowhere", "h3 after h1",
                    "without words", "attribute twice", "<span> is not closed", "no doctype"):  # fmt: skip
        assert problem in words


def test_the_page_needs_nothing_else(small: Run) -> None:
    page = page_of(small)
    source = small.path(PAGE).read_text(encoding="utf-8")
    without_pictures = re.sub(r"base64,[A-Za-z0-9+/=]+", "", source)
    assert not re.search(r"https?:|//|@import|url\(|\.(?:css|js)\b", without_pictures)
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "object", "embed"}
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        assert tag == "a" or all(attributes.get(name, "data:").startswith("data:") for name in ("src", "href"))
    assert len([tag for tag, _ in page.tags if tag == "img"]) == 2
    assert str(small.root) not in source and "/home/someone" not in source


def test_links_lead_to_files_of_the_run(tmp_path: Path) -> None:
    run = Run(shutil.copytree(PLACES[1] / "cifar10-cnn", tmp_path / "run"))
    page = page_of(run)
    links = [a["href"] for tag, a in page.tags if tag == "a" and not a["href"].startswith("#")]
    assert {f"./{artifact.path}" for artifact in run.artifacts().artifacts} <= {*links}
    for link in links:
        assert link.startswith("./") and run.path(unquote(link)).exists(), link
    for artifact in run.artifacts().artifacts:
        assert artifact.sha256 in page.text


def test_a_path_cannot_leave_the_page(small: Run) -> None:
    artifacts = small.artifacts()
    evil = tuple(
        replace(a, path=path) for a, path in zip(artifacts.artifacts, ("javascript:a()", "//evil"), strict=True)
    )
    small.save(run_directory.ARTIFACTS, replace(artifacts, artifacts=evil))
    hrefs = {a["href"] for tag, a in page_of(small).tags if tag == "a"}
    assert {"./javascript%3Aa%28%29", ".///evil"} <= hrefs


def test_strings_from_data_stay_text(small: Run) -> None:
    page = page_of(small)
    assert EVIL in page.text
    assert "script" not in {tag for tag, _ in page.tags}
    markdown = small.path(MARKDOWN).read_text(encoding="utf-8")
    assert r"\<script\>alert('\|\`\*')\</script\>" in markdown
    assert "<script" not in markdown.replace(r"\<script", "")


def test_the_trained_model_stands_first_where_it_was_measured(small: Run) -> None:
    latency = small.load(run_directory.LATENCY, records.Latency, "bench")
    model = replace(
        latency.rows[1], format="keras", runtime="keras", artifact_sha256=small.contract().model_sha256, p50_ms=0.75
    )
    small.save(run_directory.LATENCY, replace(latency, rows=(*latency.rows, model)))
    page_of(small)
    lines = [line for line in small.path(MARKDOWN).read_text().splitlines() if line.startswith("| keras ")]
    assert "0.750 ms" in lines[0] and lines[0].rstrip("| ").endswith("reference")
    assert [cell.strip() for cell in lines[1].split("|")[2:4]] == ["2.0", "85.00% (82.00% to 88.00%)"]
    small.path(run_directory.MODEL).unlink()
    page_of(small)
    assert "| keras on keras" not in small.path(MARKDOWN).read_text()


def test_escaped_markdown_stays_on_its_line_and_in_its_cell() -> None:
    assert escape_markdown("a\n# b | <i> [x](y) & `c`") == r"a # b \| \<i\> \[x\](y) \& \`c\`"
    found = table("", ("name", "n"), [("a|b", "1"), (Cell("longer", "note"), "1,000")], numeric=("n",))
    assert found is not None
    assert markdown_table(found).splitlines() == [
        "| name          |     n |", "| ------------- | ----: |", r"| a\|b          |     1 |",
        "| longer (note) | 1,000 |",
    ]  # fmt: skip


def test_a_training_without_validation_has_no_columns_for_it(small: Run) -> None:
    training = small.training()
    blind = tuple(replace(epoch, val_loss=None, val_accuracy=None) for epoch in training.history)
    held_out = replace(training.accuracy, split="held-out")
    told = replace(
        training,
        history=blind,
        accuracy=held_out,
        recipe_settings="random flip, random shift 2",
        teacher="/a/run",
        validation_images=90,
    )
    small.save(run_directory.TRAINING, told)
    report(small)
    whole, _ = commands(small.load(run_directory.REPORT, records.Report, "report"))
    assert whole.endswith("--teacher PATH/run --validation-images 90")
    for page in (PAGE, MARKDOWN):
        text = small.path(page).read_text()
        assert "random flip, random shift 2" in text
        assert "held-out images" in text
        assert "out loss" not in text


def test_figures_in_words() -> None:
    assert [duration(s) for s in (4.25, 42.4, 95.2, 119.7, 7322)] == [
        "4.2 s",
        "42 s",
        "1 min 35 s",
        "2 min 0 s",
        "2 h 2 min",
    ]
    assert [three_digits(v) for v in (0.01849, 0.5, 9.999, 42.0, 1234.5)] == [
        "0.0185",
        "0.500",
        "10.0",
        "42.0",
        "1,234",
    ]
