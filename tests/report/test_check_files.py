"""JUnit XML that build servers accept, and Markdown that a pull request shows."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from edgecnn import run_directory
from edgecnn.cli import _run as command
from edgecnn.parity.intervals import accuracy
from edgecnn.records import SCHEMA, Latency, LayerParity, Layers
from edgecnn.report.check_files import junit_xml, markdown_table, write_check_files
from edgecnn.report.checks import Check, CheckList, latency_checks, parity_checks
from edgecnn.run_directory import Run
from tests.factories import DATA, MACHINE, measured, parity_record, parity_row

if TYPE_CHECKING:
    from pathlib import Path

# Of Jenkins' schema junit-10.xsd: what an element holds, its attributes, and those of them that it must have.
TEXT: tuple[str, ...] = ()
SCHEMA_RULES = {
    "testsuites": (("testsuite",), {"name", "time", "tests", "failures", "errors"}, set()),
    "testsuite": (
        ("testsuite", "properties", "testcase", "system-out", "system-err"),
        {"name", "tests", "failures", "errors", "time", "skipped", "timestamp", "hostname", "id", "package"},
        {"name", "tests", "failures", "errors"},
    ),
    "properties": (("property",), set(), set()),
    "property": (TEXT, {"name", "value"}, {"name", "value"}),
    "testcase": (
        ("skipped", "error", "failure", "system-out", "system-err"),
        {"name", "classname", "time", "group"},
        {"name"},
    ),
    "failure": (TEXT, {"type", "message"}, set()),
    "skipped": (TEXT, {"type", "message"}, set()),
    "system-out": (TEXT, set(), set()),
}
NUMBERS = {"time": r"\d+\.\d{3}", **dict.fromkeys(("tests", "failures", "errors", "skipped"), r"\d+"),
           "timestamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"}  # fmt: skip
NASTY = "a\0b \x1b[31m <failed> & | `x` *y* \ud800 \uffff\n\n# z 'q' \"r\""


def parsed(text: str) -> ET.Element:
    """The suite in a file that follows the schema's rules, and whose counts are those of its cases."""
    root = ET.fromstring(text.encode())
    assert root.tag == "testsuites"
    for element in root.iter():
        children, attributes, needed = SCHEMA_RULES[element.tag]
        assert {child.tag for child in element} <= set(children), element.tag
        assert needed <= set(element.attrib) <= attributes, element.tag
        for name, value in element.attrib.items():
            assert re.fullmatch(NUMBERS.get(name, ".*"), value, re.DOTALL), (name, value)
        if children and element.tag != "testcase":
            assert not (element.text or "").strip()
    (suite,) = root
    cases = suite.findall("testcase")
    assert int(suite.get("tests", "")) == len(cases) == len({case.get("name") for case in cases})
    assert int(suite.get("failures", "")) == len(suite.findall("testcase/failure"))
    assert int(suite.get("skipped", "")) == len(suite.findall("testcase/skipped"))
    return suite


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_parity_has_a_case_per_row_with_what_it_failed_for(run: Run) -> None:
    rows = (
        parity_row("onnx_float32", accuracy=accuracy(900, 1000, "test")),
        parity_row("tflite_int8", verdict="fail", reason="accuracy fell by 2.00 points, 1 are allowed"),
        parity_row("tflite_float16", verdict="not proven", reason="not proven with 10 images"),
    )
    record = parity_record(run, rows, skipped={"tflite_micro": "not installed"}, reasons=("x runs on no runtime here",))
    suite = parsed(junit_xml(parity_checks("RUN", record)))
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("5", "3", "1")
    failures = {case.get("name"): case.find("failure") for case in suite.iter("testcase")}
    failed = failures["tflite_int8 on litert (xnnpack)"]
    assert failed is not None and failed.attrib == {
        "type": "fail", "message": "accuracy fell by 2.00 points, 1 are allowed",
    }  # fmt: skip
    assert failed.text == failed.get("message"), "some servers show the one, some the other"
    open_one, whole = failures["tflite_float16 on litert (xnnpack)"], failures["the run as a whole"]
    assert open_one is not None and open_one.get("type") == "not proven"
    assert whole is not None and whole.get("message") == "x runs on no runtime here"
    properties = {one.get("name"): one.get("value") for one in suite.iter("property")}
    assert properties["machine"] == MACHINE.words and properties["subject"] == "RUN"
    assert float(suite.get("time", "")) == pytest.approx(4.5)
    assert "accuracy: 90.00%" in (suite.findtext("testcase/system-out") or "")


def test_layers_that_diverge_fail_too(run: Run) -> None:
    file = LayerParity(
        format="onnx_int8", runtime="onnxruntime", provider="cpu", artifact_sha256="", output_difference=0.0,
        fused_by_runtime=(), layers=(), first_divergent_layer="conv2d", advice="Export again.",
    )  # fmt: skip
    record = parity_record(run, (parity_row("onnx_int8"),))
    layers = Layers(schema=SCHEMA, origin=record.origin, data=DATA, images=1, files=(file,), skipped={"a": "b"})
    suite = parsed(junit_xml(parity_checks("RUN", record, layers)))
    messages = {case.get("name"): case.find("failure") for case in suite.iter("testcase")}
    found = messages["layers of onnx_int8 on onnxruntime (cpu)"]
    assert found is not None and found.get("message") == "layer conv2d diverges: Export again."
    none = parsed(junit_xml(parity_checks("RUN", record, replace(layers, files=(), skipped={}))))
    assert none.get("failures") == "1", "no layers seen is no pass"


def test_latencies_pass_with_their_figures(tmp_path: Path) -> None:
    record = measured(tmp_path / "run", 1, 1.0).load(run_directory.LATENCY, Latency, "bench")
    checks = latency_checks("RUN", replace(record, skipped={"keras": "not installed"}), ["A remark."])
    suite = parsed(junit_xml(checks))
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "0", "1")
    case = suite.findall("testcase")[1]
    assert case.get("name") == "tflite_int8 on litert (xnnpack), 1 thread"
    assert float(case.get("time", "")) == pytest.approx(sum(record.rows[1].samples_ns) / 1e9, abs=1e-3)
    assert "p50 ms: 0.025\n" in (case.findtext("system-out") or "")
    text = markdown_table(checks)
    assert text.startswith("### edgecnn bench\n\nRUN: 2 measured, 1 skipped. A remark.\n")
    assert "- keras skipped: not installed" in text and "|  0.025 |" in text and "passed" not in text


def test_no_text_breaks_the_files(tmp_path: Path) -> None:
    checks = CheckList(
        command="parity", subject=NASTY, columns=("a", "b"), facts={NASTY: NASTY, "machine": NASTY}, notes=(NASTY,),
        checks=(
            Check(name=NASTY, state="failed", kind="fail", reason=NASTY, figures=(NASTY, NASTY)),
            Check(name="other", state="skipped", reason=NASTY),
        ),
    )  # fmt: skip
    paths = tmp_path / "new folder" / "checks.xml", tmp_path / "new folder" / "checks.md"
    write_check_files(checks, *paths)
    suite = parsed(paths[0].read_text("utf-8"))
    failure = suite.find("testcase/failure")
    assert failure is not None and failure.get("message", "").startswith("a\\x00b \\x1b[31m <failed> & | `x`")
    lines = paths[1].read_text("utf-8").splitlines()
    assert not any(re.search(r"(?<!\\)[<`]", line) or line.startswith("# ") for line in lines)
    row = next(line for line in lines if "**fail**" in line)
    assert len(re.findall(r"(?<!\\)\|", row)) == 5, "four cells"
    assert not list(tmp_path.rglob(".tmp-*"))


@pytest.mark.parametrize("failing", [0, 5, 200])
def test_markdown_is_short_and_shows_failures_first(run: Run, failing: int) -> None:
    names = [f"format_{i}" for i in range(200)]
    rows = tuple(
        parity_row(name, verdict="fail" if i >= 200 - failing else "pass", reason="why " * 200)
        for i, name in enumerate(names)
    )
    skipped = {f"runtime_{i}": "why " * 200 for i in range(50)}
    text = markdown_table(parity_checks("RUN", parity_record(run, rows, skipped=skipped, reasons=("x",) * 3)))
    lines = text.splitlines()
    assert len(lines) <= 40 and max(map(len, lines)) < 1000
    verdicts = [line.rsplit("|", 2)[1].strip() for line in lines if line.startswith("| format")]
    assert verdicts[: min(failing, 16)] == ["**fail**"] * min(failing, 16)
    assert len(verdicts) == 16 and "184 more are not shown." in lines
    assert "accuracy" not in lines[4], "no column without a figure"
    assert not re.search(r"<\w", text)


def test_rows_are_kept_apart_by_threads_and_batch(tmp_path: Path) -> None:
    record = measured(tmp_path / "run", 1, 1.0).load(run_directory.LATENCY, Latency, "bench")
    rows = tuple(replace(record.rows[0], threads=n, batch=m) for n in (1, 2) for m in (1, 8))
    parsed(junit_xml(latency_checks("RUN", replace(record, rows=rows), [])))


def test_a_place_that_cannot_be_written_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    asked = ["parity", "cifar10-cnn", "--format", "onnx_int8"]
    assert command([*asked, "--junit", str(tmp_path)]) == 2
    assert "is a directory" in capsys.readouterr().err
    assert command([*asked, "--junit", str(tmp_path / "file" / "x.xml")]) == 3
    assert "part of this path is not a directory" in capsys.readouterr().err


def test_parity_writes_both_files_for_a_pretrained_run(tmp_path: Path) -> None:
    junit, markdown = tmp_path / "a.xml", tmp_path / "a.md"
    words = ["parity", "cifar10-cnn", "--format", "onnx_int8", "--junit", str(junit), "--markdown", str(markdown)]
    assert command(words) == 0
    assert parsed(junit.read_text()).get("name") == "edgecnn parity cifar10-cnn"
    assert markdown.read_text().startswith("### edgecnn parity: passed\n\ncifar10-cnn: 2 passed, 0 failed, 0 skipped. ")
