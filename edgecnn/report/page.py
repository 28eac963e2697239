"""What the report's templates name, as one record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import edgecnn
from edgecnn import run_directory
from edgecnn.inference.ort_model import PREFIX
from edgecnn.report import deployment
from edgecnn.report.charts.curves import sweep, training_curves
from edgecnn.report.charts.scatter import scatter
from edgecnn.report.notes import layer_notes, notes, notices
from edgecnn.report.quantization_benefit import weigh
from edgecnn.report.recommendations import goals
from edgecnn.report.render import render
from edgecnn.report.sections import decision, exports, latency, layers, parity, quantization, sources, training
from edgecnn.report.summary import changed, commands, verdict
from edgecnn.report.view import SOURCES, is_stale, lines, origins, picture
from edgecnn.visualization import plots

if TYPE_CHECKING:
    from edgecnn.records import Features, LatencyRow, Report
    from edgecnn.report.charts.chart import Chart
    from edgecnn.report.notes import Note
    from edgecnn.report.sections.decision import Tile
    from edgecnn.report.sections.quantization import Search
    from edgecnn.report.table import Table
    from edgecnn.report.view import Line, Picture
    from edgecnn.run_directory import Run

PAGE, MARKDOWN = "report.html", "report.md"
CONTENTS = {
    "exports": "Exports and files",
    "latency": "Latency",
    "parity": "Parity",
    "layers": "Layer by layer",
    "quantization": "Quantization",
    "training": "Training",
    "features": "Feature maps",
    "method": "Method",
    "reproduce": "Machine, versions, commands",
    "sources": "Sources",
}


@dataclass(frozen=True, kw_only=True)
class Tables:
    """The tables of both pages; None where there is nothing to show."""

    decision: Table | None
    brief: Table | None
    exports: Table | None
    files: Table | None
    failures: Table | None
    calibration: Table | None
    placement: Table | None
    latency: Table | None
    goals: Table | None
    gates: Table | None
    cpus: Table | None
    agreement: Table | None
    paths: Table | None
    flips: Table | None
    sqnr: Table | None
    gain: Table | None
    divergent: Table | None
    fused: Table | None
    benefit: Table | None
    classes: Table | None
    confusion: Table | None
    epochs: Table | None
    machines: Table | None
    sources: Table | None


@dataclass(frozen=True, kw_only=True)
class PageView:
    """Everything that report.html.j2 and report.md.j2 name; pictures are None where there are none."""

    record: Report
    contents: dict[str, str]  # the sections that have something to show, by name, with their titles
    notices: list[str]
    verdict: tuple[str, str, list[str]]  # its state, a sentence, details
    notes: list[Note]
    tiles: list[Tile]
    rule: str  # by which files are recommended
    scatter: tuple[Chart, ...]  # wide and narrow
    more_rows: str
    tables: Tables
    calls: str  # timed per target, in words
    warmup_calls: str
    time_budget: str
    sweep: tuple[Chart, ...]
    layer_notes: list[str]
    searches: list[Search]
    facts: list[tuple[str, str]]
    curves: tuple[Chart, ...]
    mistake: str
    confusion_picture: Picture | None  # where there are too many classes for a table
    flip_sheet: Picture | None
    features: Features | None  # None where they are of earlier exports, too
    stale_features: bool
    input_picture: Picture | None
    feature_maps: dict[str, Picture | None]  # by layer
    drawable: bool  # whether there is an export that feature maps can be drawn from
    commands: tuple[str, list[str]]  # that make the run again
    version: str = edgecnn.__version__


def pages(run: Run, record: Report) -> dict[str, str]:
    """The text of both pages, by file name."""
    view = vars(page_view(run, record))
    return {name: render(name, view, html=name == PAGE) for name in (PAGE, MARKDOWN)}


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
    rows = lines(run, record)
    chosen = deployment.deployments(record, rows)
    timed = [row for line in rows for row in line.latencies]
    tables, searches = _tables(run, record, rows, chosen, timed), quantization.searches(record.artifacts.artifacts)
    confusion = picture(run, plots.CONFUSION) if tables.confusion is None else None
    return PageView(
        record=record,
        contents=_contents(record, bool(timed), tables, searches),
        notices=notices(record),
        verdict=verdict(record),
        notes=notes(record, stale),
        tiles=decision.tiles(record, rows),
        rule=deployment.RULE,
        scatter=scatter(record.parity, rows, {one.line.artifact.format for one in chosen if one.line}),
        more_rows=decision.more_rows(rows),
        tables=tables,
        calls=latency.calls(timed) if timed else "",
        warmup_calls=latency.warmup_calls(timed) if timed else "",
        time_budget=latency.budget_words(record.latency) if record.latency else "",
        sweep=sweep(timed),
        layer_notes=layer_notes(record),
        searches=searches,
        facts=training.facts(record.training, record.contract),
        curves=training_curves(record.training),
        mistake=training.most_frequent_confusion(record.training),
        confusion_picture=confusion,
        flip_sheet=picture(run, plots.FLIPS) if tables.flips else None,
        features=features,
        stale_features=run_directory.FEATURES in stale,
        input_picture=picture(run, features.input) if features else None,
        feature_maps={layer: picture(run, path) for layer, path in features.pictures.items()} if features else {},
        drawable=any(artifact.format.startswith(PREFIX) for artifact in record.artifacts.artifacts),
        commands=commands(record),
    )


def _tables(
    run: Run, record: Report, rows: list[Line], chosen: list[deployment.Deployment], timed: list[LatencyRow]
) -> Tables:
    artifacts, judged, observed = record.artifacts.artifacts, record.parity, layers.current(record)
    made = {name: (figures, run.hash_of(name)) for name, figures in SOURCES.items() if run.path(name).is_file()}
    return Tables(
        decision=decision.decision_table(chosen),
        brief=decision.brief_table(rows),
        exports=exports.exports_table(record, rows),
        files=exports.files_table(artifacts),
        failures=exports.failures_table(record.artifacts.failures),
        calibration=exports.calibration_table(artifacts),
        placement=exports.placement_table(rows),
        latency=latency.latency_table(rows),
        goals=latency.goals_table(goals(timed), latency.several_devices(rows)),
        gates=parity.gates_table(judged, rows) if judged else None,
        cpus=parity.cpus_table(rows),
        agreement=parity.agreement_matrix(judged) if judged else None,
        paths=parity.paths_table(judged) if judged else None,
        flips=parity.flips_table(changed(judged), record.contract.labels),
        sqnr=layers.sqnr_matrix(observed) if observed else None,
        gain=layers.gain_matrix(observed) if observed else None,
        divergent=layers.divergent_table(observed) if observed else None,
        fused=layers.fused_table(observed) if observed else None,
        benefit=quantization.benefit_table(weigh(record)),
        classes=training.classes_table(record.training),
        confusion=training.confusion_matrix(record.training),
        epochs=training.epochs_table(record.training),
        machines=sources.machines_table(origins(record)),
        sources=sources.sources_table(made),
    )


def _contents(record: Report, timed: bool, tables: Tables, searches: list[Search]) -> dict[str, str]:
    """The sections in order, without those that have nothing to show."""
    empty = {
        "latency": not timed,
        "parity": record.parity is None,
        "layers": record.layers is None,
        "quantization": tables.benefit is None and not searches,
    }
    return {name: title for name, title in CONTENTS.items() if not empty.get(name)}
