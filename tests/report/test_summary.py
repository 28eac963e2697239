"""The commands in the report reproduce the run."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from edgecnn import records, run_directory
from edgecnn.cli import cli
from edgecnn.export.format import default_formats
from edgecnn.records import Report
from edgecnn.report import summary
from edgecnn.report.summary import commands
from edgecnn.run_directory import Run
from edgecnn.stages.report import report
from tests.report.runs import DATA, build, parity_of

pytest.importorskip("jinja2")


@pytest.fixture
def small(tmp_path: Path) -> Run:
    return build(tmp_path / "run")


def test_commands_reproduce_the_run_without_naming_places_of_this_machine(small: Run) -> None:
    parity = parity_of(small, DATA)
    chosen = {"data": "/data/other set.npz", "formats": "onnx_float32 tflite_int8"}
    small.save(
        run_directory.PARITY, replace(parity, origin=replace(parity.origin, inputs={**parity.origin.inputs, **chosen}))
    )
    latency = small.load(run_directory.LATENCY, records.Latency, "bench")
    swept = {"runtimes": "keras onnxruntime", "threads": "1 2", "batches": "1 8", "time_budget": "9",
             "io_binding": "False",
             "cpu_affinity": "0,1", "python": "/home/me/python", "allow_fallback": "True",
             "remote": "ssh://pi"}  # fmt: skip
    small.save(
        run_directory.LATENCY,
        replace(latency, origin=replace(latency.origin, inputs={**latency.origin.inputs, **swept})),
    )
    report(small)
    whole, stages = commands(small.load(run_directory.REPORT, Report, "report"))
    options = "RUN --data PATH/small.npz --architecture cnn --recipe tutorial --epochs 2 --seed 7"
    assert whole == f"edgecnn run {options} --time-budget 9"
    assert stages == [
        f"edgecnn train {options}", "edgecnn export RUN",
        "edgecnn parity RUN --format onnx_float32 --format tflite_int8 --data 'PATH/other set.npz' --layers",
        "edgecnn bench RUN --runtime keras --runtime onnxruntime --threads 1,2 --batch 1,8 --time-budget 9 "
        "--cpu-affinity 0,1 --python PATH/python --remote ssh://pi --allow-fallback",
        "edgecnn features RUN", "edgecnn report RUN",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("formats", "max_accuracy_drop", "options"),
    [
        (default_formats(), "0.5", ""),
        (["onnx_int8", "tflite_int8"], "0.5", " --format onnx_int8 --format tflite_int8"),
        (default_formats(), "0.25", " --max-accuracy-drop 0.25"),
    ],
)
def test_the_command_of_an_export_has_its_options(
    small: Run, formats: list[str], max_accuracy_drop: str, options: str
) -> None:
    artifacts = small.artifacts()
    inputs = {**artifacts.origin.inputs, "formats": " ".join(formats), "max_accuracy_drop": max_accuracy_drop}
    small.save(run_directory.ARTIFACTS, replace(artifacts, origin=replace(artifacts.origin, inputs=inputs)))
    report(small)
    _, stages = commands(small.load(run_directory.REPORT, Report, "report"))
    assert f"edgecnn export RUN{options}" in stages


def test_every_option_of_a_command_in_the_report_is_one_of_the_command_line() -> None:
    options = {
        option: parameter
        for command in cli.commands.values()
        for parameter in command.params
        for option in parameter.opts
    }
    named = {name: summary._option(name) for name in (*summary.SINGLE, *summary.FLAGS)}
    for option in (*summary.REPEATED.values(), *summary.LISTS.values(), *named.values()):
        assert option in options
    for name, value in summary.DEFAULTS.items():
        assert str(options[{**summary.LISTS, **named}[name]].default) == value
    for option in re.findall(r"--[a-z-]+", Path(summary.__file__).read_text()):
        assert option in options
