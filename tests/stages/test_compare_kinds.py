"""`edgecnn compare --fail-on`: which kinds of regression fail, by how much, and what is said of the others."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from edgecnn.cli import _run as command
from tests.factories import MACHINE, judged, measured

if TYPE_CHECKING:
    from pathlib import Path

    from edgecnn.records import Contract
    from edgecnn.run_directory import Run

FORMATS = ("onnx_float32", "tflite_int8")


@pytest.fixture
def old(tmp_path: Path, tiny_contract: Contract) -> Run:
    run = judged(tmp_path / "old", tiny_contract, dict.fromkeys(FORMATS, 100), dict.fromkeys(FORMATS, 10_000))
    measured(run.root, 1, 1.0)
    return run


def newer(old: Run, contract: Contract, *, wrong: int = 100, size: int = 10_000, share: float = 0.5) -> list[str]:
    """The words of a comparison with a run whose tflite_int8 is another."""
    folder = old.root.parent / "new"
    run = judged(folder, contract, {FORMATS[0]: 100, FORMATS[1]: wrong}, {FORMATS[0]: 10_000, FORMATS[1]: size})
    measured(run.root, 2, 1.0, share=share)
    return ["compare", str(old.root), str(run.root)]


def test_by_default_accuracy_decides_and_the_rest_is_told(
    old: Run, tiny_contract: Contract, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(newer(old, tiny_contract, wrong=60, size=20_000, share=0.7)) == 0
    told = capsys.readouterr().out.splitlines()
    assert "tflite_int8 on litert (xnnpack): better, accuracy 90.00% -> 94.00%, +4.00 points" in told[2]
    assert any(line.startswith("tflite_int8 on litert (xnnpack), 1 thread: slower, x1.4") for line in told)
    assert "tflite_int8: larger, 10,000 -> 20,000 bytes (+100.0 %)" in told
    assert told[-2:] == [
        "1 slower: no failure without --fail-on latency.",
        "1 larger: no failure without --fail-on size.",
    ]


def test_every_kind_that_fails_has_a_line(
    old: Run, tiny_contract: Contract, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = newer(old, tiny_contract, wrong=150, size=20_000, share=0.7)
    assert command([*asked, "--fail-on", "accuracy,latency,size", "--json"]) == 1
    told = capsys.readouterr()
    record = json.loads(told.out)
    assert [one["kind"] for one in record["regressions"]] == ["accuracy", "latency", "size"]
    assert record["fail_on"] == ["accuracy", "latency", "size"]
    head, accuracy, latency, size = told.err.splitlines()
    assert head == f"Error: {asked[2]} is worse than {asked[1]}:"
    assert accuracy.startswith("  accuracy of tflite_int8 on litert (xnnpack): -5.00 points (-6.")
    assert latency.startswith("  latency of tflite_int8 on litert (xnnpack), 1 thread: x1.4")
    assert latency.endswith("more than 5 % slower")
    assert size == "  size of tflite_int8: 10,000 -> 20,000 bytes (+100.0 %), more than 5 % larger"


def test_what_is_allowed_is_no_regression(old: Run, tiny_contract: Contract) -> None:
    asked = newer(old, tiny_contract, size=10_900, share=0.55)  # 10 % slower, 9 % larger
    assert command([*asked, "--fail-on", "latency", "--max-slowdown", "5%"]) == 1
    assert command([*asked, "--fail-on", "latency", "--max-slowdown", "20"]) == 0
    assert command([*asked, "--fail-on", "size", "--max-growth", "8.9%"]) == 1
    assert command([*asked, "--fail-on", "size", "--max-growth", "9.1%"]) == 0


def test_wrong_usage_is_refused(old: Run, tiny_contract: Contract, capsys: pytest.CaptureFixture[str]) -> None:
    asked = newer(old, tiny_contract)
    for words, reason in (
        (["--fail-on", "latencies"], "No kind of regression is called 'latencies'; did you mean latency?"),
        (["--fail-on", ""], "No kind of regression is called ''"),
        (["--fail-on", "size", "--max-slowdown", "5%"], "--max-slowdown needs --fail-on latency."),
        (["--max-growth", "5%"], "--max-growth needs --fail-on size."),
        (["--fail-on", "size", "--max-growth", "much"], "much is not a percentage such as 5%."),
        (["--fail-on", "size", "--max-growth", "nan"], "nan is not a percentage such as 5%."),
    ):
        assert command([*asked, *words]) == 2, words
        assert reason in capsys.readouterr().err


def test_latencies_are_needed_only_where_they_decide(
    old: Run, tiny_contract: Contract, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = newer(old, tiny_contract)
    (old.root.parent / "new" / "latency.json").unlink()
    assert command(asked) == 0
    assert "Latencies were not compared: " in capsys.readouterr().out
    assert command([*asked, "--fail-on", "latency"]) == 4
    assert "latency.json is missing; `edgecnn bench " in capsys.readouterr().err
    measured(old.root.parent / "new", 2, 1.0, machine=replace(MACHINE, cpu="B"))
    assert command(asked) == 0
    assert "different machines" in capsys.readouterr().out
    assert command([*asked, "--fail-on", "latency"]) == 2
    assert command([*asked, "--fail-on", "latency", "--across-machines"]) == 0


def test_nothing_in_common_is_no_pass(
    old: Run, tmp_path: Path, tiny_contract: Contract, capsys: pytest.CaptureFixture[str]
) -> None:
    other = judged(tmp_path / "other", tiny_contract, {"tflite_float16": 100}, {"tflite_float16": 1})
    assert command(["compare", str(old.root), str(other.root), "--fail-on", "size"]) == 2
    assert "no size in common" in capsys.readouterr().err


def test_files_for_a_build_server_are_written_also_when_it_fails(old: Run, tiny_contract: Contract) -> None:
    asked = newer(old, tiny_contract, wrong=150, share=0.7)
    junit, markdown = old.root.parent / "checks" / "compare.xml", old.root.parent / "checks" / "compare.md"
    files = ["--junit", str(junit), "--markdown", str(markdown)]
    assert command([*asked, "--fail-on", "accuracy,latency", *files]) == 1
    suite = ET.parse(junit).getroot()[0]
    assert suite.get("failures") == "2" and suite.get("tests") == "7"  # Keras and both exports, 2 latencies, 2 sizes
    assert "no difference" not in (suite.findtext("testcase/system-out") or ""), "what changed comes first"
    failed = [case.get("name") for case in suite.iter("testcase") if case.find("failure") is not None]
    assert failed == [
        "accuracy of tflite_int8 on litert (xnnpack)",
        "latency of tflite_int8 on litert (xnnpack), 1 thread",
    ]
    assert markdown.read_text().startswith("### edgecnn compare: failed\n")
    assert "| **accuracy** |" in markdown.read_text()
