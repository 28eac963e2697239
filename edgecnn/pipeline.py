"""`edgecnn run`: the stages in order, skipping what is up to date."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn import run_directory
from edgecnn.console import heartbeat, log
from edgecnn.environment import require_extra
from edgecnn.parity.verdict import FAIL
from edgecnn.records import Layers, Parity
from edgecnn.report.page import PAGE
from edgecnn.stages import bench, export, features, from_pretrained, layerwise_parity, parity, report, train
from edgecnn.stages.bench import BenchOptions
from edgecnn.stages.parity import ParityOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edgecnn.run_directory import Run
    from edgecnn.stages.from_pretrained import StartOptions
    from edgecnn.stages.train import TrainOptions


@dataclass(frozen=True)
class Step:
    """One stage of the pipeline."""

    name: str
    is_current: Callable[[], bool]
    execute: Callable[[], object]
    remind: Callable[[], object] = lambda: None  # what is logged again where it is up to date


def first_step(run: Run, options: TrainOptions | StartOptions, show: Callable[[str], None]) -> Step:
    """Where the model comes from: a training, or a pretrained run."""
    if isinstance(options, from_pretrained.StartOptions):
        return Step(
            "start", lambda: from_pretrained.is_current(run, options), lambda: from_pretrained.start(run, options)
        )
    return Step("train", lambda: train.is_current(run, options), lambda: train.train(run, options, show))


def steps(
    run: Run, options: TrainOptions | StartOptions, show: Callable[[str], None], measuring: BenchOptions
) -> tuple[Step, ...]:
    """The stages of a whole run, in order."""
    return (
        first_step(run, options, show),
        Step(
            "export", lambda: export.is_current(run, ()), lambda: export.export(run), lambda: export.show_failures(run)
        ),
        Step("parity", lambda: parity.is_current(run, ParityOptions()), lambda: parity.parity(run, ParityOptions())),
        Step("layers", lambda: layerwise_parity.is_current(run), lambda: layerwise_parity.layers(run)),
        Step("bench", lambda: bench.is_current(run, measuring), lambda: bench.bench(run, measuring)),
        Step("features", lambda: features.is_current(run), lambda: _draw_features(run)),
        Step("report", lambda: report.is_current(run), lambda: report.report(run)),
    )


def _draw_features(run: Run) -> None:
    if features.drawn_from(run) is None:
        log("No feature maps: they are drawn from an ONNX export, and there is none")
    else:
        features.draw_run(run)


def _execute(step: Step) -> None:
    begun = time.perf_counter()
    if step.is_current():
        log(f"[{step.name}] up to date")
        step.remind()
        return
    log(f"[{step.name}]")
    step.execute()
    log(f"[{step.name}] done in {time.perf_counter() - begun:.1f} s")


def run_all(
    run: Run,
    options: TrainOptions | StartOptions,
    show: Callable[[str], None] = log,
    measuring: BenchOptions = BenchOptions(),  # noqa: B008 - frozen
) -> tuple[Path, str]:
    """Bring a run directory up to date, stage by stage; the report's path, and the verdict of parity.

    A gate that fails does not stop the run, nor does a format that cannot be exported: the report shows it. Raises what
    the stages raise, and MachineError where a package is missing, before anything is downloaded or written.
    """
    require_extra("export")
    with run.lock():
        for step in steps(run, options, show, measuring):
            with heartbeat(step.name):
                _execute(step)
        verdict = run.load(run_directory.PARITY, Parity, "parity").verdict
        if any(file.first_divergent_layer for file in run.load(run_directory.LAYERS, Layers, "parity").files):
            verdict = FAIL
    return run.path(PAGE), verdict
