"""What the report's templates name, as one record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import edgecnn
from edgecnn import run_directory
from edgecnn.inference.ort_model import PREFIX
from edgecnn.report import recommendations
from edgecnn.report.quantization_benefit import weigh
from edgecnn.report.summary import changed, commands, losses, scores_note, verdict
from edgecnn.report.view import SOURCES, is_stale, lines, most_frequent_confusion, origins, picture, scale
from edgecnn.visualization import plots

if TYPE_CHECKING:
    from edgecnn.records import Artifact, Features, Flip, LatencyRow, LayerSpread, MixedPrecision, Origin, Report
    from edgecnn.report.quantization_benefit import Weighing
    from edgecnn.report.recommendations import Goal
    from edgecnn.report.view import Line, Picture, Scale
    from edgecnn.run_directory import Run

    Losses = list[tuple[str, float, LayerSpread | None, str]]

MADE_BY = {
    run_directory.PARITY: "parity",
    run_directory.LAYERS: "parity --layers",
    run_directory.LATENCY: "bench",
    run_directory.FEATURES: "features",
}


@dataclass(frozen=True, kw_only=True)
class PageView:
    """Everything that report.html.j2 and report.md.j2 name; pictures are None where there are none."""

    record: Report
    notices: list[str]  # what a reader of any figure has to know
    verdict: tuple[str, str, list[str]]  # its state, a sentence, details
    scores_note: str
    stale: list[str]  # files of the run that are about other exports than it holds now
    lines: list[Line]  # rows of the tables
    scale: Scale | None  # of latencies
    fastest: tuple[Line, LatencyRow] | None
    goals: list[Goal]
    smallest: Artifact | None
    largest_bytes: int
    several_devices: bool
    classes: list[tuple[str, Any]]  # labels with their accuracies
    mistake: tuple[str, str, int] | None  # label, prediction and count of the most frequent confusion
    features: Features | None
    drawable: bool  # whether there is an export that feature maps can be drawn from
    origins: list[tuple[list[str], Origin]]
    commands: tuple[str, list[str]]  # that make the run again
    weighings: list[Weighing]
    changed: list[tuple[Flip, list[str]]]
    searches: dict[str, tuple[MixedPrecision, Losses, Picture | None]]  # for layers that lose in int8, by format
    skipped: dict[str, str]
    sources: dict[str, tuple[str, str]]  # file -> what it says, its SHA-256
    sweep_chart: Picture | None
    choice_chart: Picture | None
    charts: dict[str, Picture | None]
    input_picture: Picture | None
    layers: dict[str, Picture | None]  # feature maps by layer
    flip_sheet: Picture | None
    layer_chart: Picture | None
    chart_names: tuple[str, ...] = (plots.CURVES, plots.CLASS_ACCURACY, plots.CONFUSION)
    made_again: dict[str, str] = field(
        default_factory=lambda: {name: f"edgecnn {words} RUN" for name, words in MADE_BY.items()}
    )
    files: Any = run_directory
    version: str = edgecnn.__version__


def page_view(run: Run, record: Report) -> PageView:
    """The view of a run's records and pictures."""
    parts = {
        run_directory.PARITY: record.parity,
        run_directory.LAYERS: record.layers,
        run_directory.LATENCY: record.latency,
        run_directory.FEATURES: record.features,
    }
    stale = [name for name, part in parts.items() if part and is_stale(run, part.origin)]
    features = None if run_directory.FEATURES in stale else record.features
    rows = lines(record, recommendations.shown(run, record))
    timed = [(line, row) for line in rows for row in line.latencies]
    sources = (record.contract, record.training, record.artifacts, *parts.values())
    return PageView(
        record=record,
        notices=list(dict.fromkeys(part.data.notice for part in sources if part and part.data.notice)),
        verdict=verdict(record),
        scores_note=scores_note(record),
        stale=stale,
        lines=rows,
        scale=scale([row for _, row in timed]),
        fastest=_fastest(timed),
        goals=recommendations.goals([row for _, row in timed]),
        smallest=min(record.artifacts.artifacts, key=lambda artifact: artifact.size_bytes, default=None),
        largest_bytes=max((line.artifact.size_bytes for line in rows), default=0) or 1,
        several_devices=len({row.placement.device for _, row in timed}) > 1,
        classes=list(zip(record.training.data.labels, record.training.class_accuracy, strict=True)),
        mistake=most_frequent_confusion(record),
        features=features,
        drawable=any(artifact.format.startswith(PREFIX) for artifact in record.artifacts.artifacts),
        origins=origins(record),
        commands=commands(record),
        weighings=weigh(record),
        changed=changed(record.parity),
        searches=_searches(run, record),
        skipped={
            **(record.parity.skipped if record.parity else {}),
            **(record.latency.skipped if record.latency else {}),
        },
        sources={name: (figures, run.hash_of(name)) for name, figures in SOURCES.items() if run.path(name).is_file()},
        sweep_chart=picture(run, recommendations.SWEEP),
        choice_chart=picture(run, recommendations.CHOICE),
        charts={name: picture(run, name) for name in plots.pictures_of(record.training)},
        input_picture=picture(run, features.input) if features else None,
        layers={layer: picture(run, path) for layer, path in features.pictures.items()} if features else {},
        flip_sheet=picture(run, plots.FLIPS),
        layer_chart=None if run_directory.LAYERS in stale else picture(run, plots.LAYERS),
    )


def _fastest(timed: list[tuple[Line, LatencyRow]]) -> tuple[Line, LatencyRow] | None:
    """The row with the lowest median for one image; the first where no row is of one image."""
    single = [pair for pair in timed if pair[1].batch == 1] or timed[:1]
    return min(single, key=lambda pair: pair[1].p50_ms, default=None)


def _searches(run: Run, record: Report) -> dict[str, tuple[MixedPrecision, Losses, Picture | None]]:
    found = {artifact.format: artifact.mixed_precision for artifact in record.artifacts.artifacts}
    return {
        format: (precision, losses(precision), picture(run, plots.precision_picture(format)))
        for format, precision in found.items()
        if precision and precision.sensitivity_sqnr_db
    }
