"""What the report's pages show: everything the templates name.

Rows of parity and latency are joined to the exports by the SHA-256 of the artifact they are about, so a figure never
is reported with a file it was not measured on.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import edgecnn
from edgecnn import run_directory
from edgecnn.errors import InputError
from edgecnn.execution.targets import KERAS
from edgecnn.inference.ort_model import PREFIX
from edgecnn.records import Report
from edgecnn.report import recommendations
from edgecnn.report.quantization_benefit import weigh
from edgecnn.report.summary import changed, commands, losses, scores_note, verdict
from edgecnn.run_directory import Run
from edgecnn.visualization import plots

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgecnn.records import Artifact, LatencyRow, Origin, ParityRow, Placement

SOURCES = {
    run_directory.CONTRACT: "model, input, output, labels",
    run_directory.TRAINING: "data, recipe, epochs, test accuracy, classes, confusion",
    run_directory.ARTIFACTS: "formats, sizes, calibration",
    run_directory.PARITY: "accuracy of the exports, agreement, flips, gates, placement",
    run_directory.LAYERS: "what arrives of each layer",
    run_directory.LATENCY: "latencies, placement",
    run_directory.FEATURES: "feature maps",
}
MADE_BY = {
    run_directory.PARITY: "parity",
    run_directory.LAYERS: "parity --layers",
    run_directory.LATENCY: "bench",
    run_directory.FEATURES: "features",
}
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_TICKS = 7  # of a scale labelled at 1, 2 and 5; a wider one is labelled at powers of ten


@dataclass(frozen=True)
class Scale:
    """A logarithmic axis of latencies; its ends are 1, 2 or 5 times a power of ten."""

    ticks_ms: tuple[float, ...]
    low_ms: float
    high_ms: float
    decimals: int  # that show the fastest median with two digits

    def at(self, ms: float) -> float:
        """Where a latency lies, in percent of the axis."""
        return 100 * math.log(ms / self.low_ms) / math.log(self.high_ms / self.low_ms)


@dataclass(frozen=True)
class Line:
    """One export on one runtime, "" where none ran, or the model on Keras; latencies by number of threads.

    `cpu` is the emulated one that ran it, "" for the machine's own: only that one is timed.
    """

    artifact: Artifact
    runtime: str
    provider: str
    cpu: str
    parity: ParityRow | None
    latencies: tuple[LatencyRow, ...]

    @property
    def name(self) -> str:
        """The export and its runtime in words."""
        return f"{self.artifact.format} on {self.where}" if self.runtime else self.artifact.format

    @property
    def is_reference(self) -> bool:
        """Whether this is what the exports are compared with."""
        return self.artifact.format == KERAS

    @property
    def where(self) -> str:
        """The runtime, the execution provider, and the CPU where that is an emulated one."""
        cpu = f", {self.cpu}" if self.cpu else ""
        return f"{self.runtime} ({self.provider}){cpu}" if self.runtime else ""

    @property
    def placements(self) -> tuple[Placement, ...]:
        """What executed it, in parity and in each measurement; equal ones once."""
        rows = (*((self.parity,) if self.parity else ()), *self.latencies)
        return tuple(
            row.placement for i, row in enumerate(rows) if row.placement not in [r.placement for r in rows[:i]]
        )


@dataclass(frozen=True)
class Picture:
    """A PNG of the run, ready to stand in a page; sides in pixels."""

    path: str
    uri: str
    width: int
    height: int


def page_view(run: Run, record: Report) -> dict[str, Any]:
    """Everything the templates name."""
    parts = {
        run_directory.PARITY: record.parity,
        run_directory.LAYERS: record.layers,
        run_directory.LATENCY: record.latency,
        run_directory.FEATURES: record.features,
    }
    stale = [name for name, part in parts.items() if part and _is_stale(run, part.origin)]
    drawn = None if run_directory.FEATURES in stale else record.features
    rows = lines(record, recommendations.shown(run, record))
    timed = [(line, row) for line in rows for row in line.latencies]
    sources = (record.contract, record.training, record.artifacts, *parts.values())
    return {
        "record": record,
        "notices": list(dict.fromkeys(part.data.notice for part in sources if part and part.data.notice)),
        "verdict": verdict(record),
        "scores_note": scores_note(record),
        "lines": rows,
        "scale": scale([row for _, row in timed]),
        "fastest": min(
            (pair for pair in timed if pair[1].batch == 1),
            key=lambda pair: pair[1].p50_ms,
            default=timed[0] if timed else None,
        ),
        "goals": recommendations.goals([row for _, row in timed]),
        "sweep_chart": _picture(run, recommendations.SWEEP),
        "choice_chart": _picture(run, recommendations.CHOICE),
        "smallest": min(record.artifacts.artifacts, key=lambda artifact: artifact.size_bytes, default=None),
        "largest_bytes": max((line.artifact.size_bytes for line in rows), default=0) or 1,
        "several_devices": len({row.placement.device for _, row in timed}) > 1,
        "classes": list(zip(record.training.data.labels, record.training.class_accuracy, strict=True)),
        "mistake": _commonest_mistake(record),
        "charts": {name: _picture(run, name) for name in plots.pictures_of(record.training)},
        "chart_names": (plots.CURVES, plots.CLASS_ACCURACY, plots.CONFUSION),
        "drawn": drawn,
        "drawable": any(artifact.format.startswith(PREFIX) for artifact in record.artifacts.artifacts),
        "input_picture": _picture(run, drawn.input) if drawn else None,
        "layers": {layer: _picture(run, path) for layer, path in drawn.pictures.items()} if drawn else {},
        "origins": _origins(record),
        "commands": commands(record),
        "weighings": weigh(record),
        "changed": changed(record.parity),
        "flip_sheet": _picture(run, plots.FLIPS),
        "layer_chart": None if run_directory.LAYERS in stale else _picture(run, plots.LAYERS),
        "made_again": {name: f"edgecnn {words} RUN" for name, words in MADE_BY.items()},
        "searches": {
            artifact.format: (
                artifact.precision,
                losses(artifact.precision),
                _picture(run, plots.precision_picture(artifact.format)),
            )
            for artifact in record.artifacts.artifacts
            if artifact.precision and artifact.precision.sensitivity
        },
        "stale": stale,
        "skipped": {
            **(record.parity.skipped if record.parity else {}),
            **(record.latency.skipped if record.latency else {}),
        },
        "sources": {
            name: (figures, run.hash_of(name)) for name, figures in SOURCES.items() if run.path(name).is_file()
        },
        "files": run_directory,
        "version": edgecnn.__version__,
    }


def _is_stale(run: Run, origin: Origin) -> bool:
    """Whether a record was made from another contract or other exports than the run holds now."""
    return any(origin.inputs.get(name, now) != now for name in SOURCES if (now := run.hash_of(name)))


def lines(record: Report, artifacts: Sequence[Artifact]) -> list[Line]:
    """The rows of the tables: each of these with every runtime and provider it ran or was measured on."""
    found = []
    for artifact in artifacts:
        asked = [r for r in (record.parity.rows if record.parity else ()) if r.artifact_sha256 == artifact.sha256]
        timed = [r for r in (record.latency.rows if record.latency else ()) if r.artifact_sha256 == artifact.sha256]
        judged = {(row.runtime, row.provider, row.cpu): row for row in asked}
        places = [*judged, *((row.runtime, row.provider, "") for row in timed)]
        for place in dict.fromkeys(places) or [("", "", "")]:
            here = [row for row in timed if (row.runtime, row.provider, "") == place]
            latencies = tuple(sorted(here, key=lambda row: (row.batch, row.threads)))
            found.append(Line(artifact, *place, judged.get(place), latencies))
    return found


def scale(rows: Sequence[LatencyRow]) -> Scale | None:
    """A scale for all medians and 99th percentiles; None where nothing was measured."""
    if not rows:
        return None
    fastest, slowest = min(row.p50_ms for row in rows), max(row.p99_ms for row in rows)
    decade = math.floor(math.log10(fastest))
    steps = [digit * 10.0**power for power in range(decade - 1, decade + 12) for digit in (1, 2, 5)]
    low = max(step for step in steps if step < 0.8 * fastest)
    high = min(step for step in steps if step >= slowest and step > low)
    inside = [step for step in steps if low <= step <= high]
    ticks = inside if len(inside) <= MOST_TICKS else [step for step in inside if math.log10(step).is_integer()]
    return Scale(tuple(ticks), low, high, max(0, 1 - decade))


def _commonest_mistake(record: Report) -> tuple[str, str, int] | None:
    """Label, prediction and count of the most frequent confusion."""
    labels, table = record.training.data.labels, record.training.confusion
    wrong = [(n, i, j) for i, row in enumerate(table) for j, n in enumerate(row) if i != j and n]
    if not wrong:
        return None
    count, label, answer = max(wrong)
    return labels[label], labels[answer], count


def _picture(run: Run, path: str) -> Picture | None:
    """A picture of the run, None when it is missing; raises InputError when it lies elsewhere or is no PNG."""
    place = run.path(path).resolve()
    if not place.is_file():
        return None
    data = place.read_bytes() if place.is_relative_to(run.root.resolve()) else b""
    if not data.startswith(PNG_SIGNATURE) or len(data) < 24:
        raise InputError(f"{path} is not a PNG picture inside {run.root}; delete it and run the stage that draws it.")
    uri = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return Picture(path, uri, int.from_bytes(data[16:20]), int.from_bytes(data[20:24]))


def _origins(record: Report) -> list[tuple[list[str], Origin]]:
    """Where the stages ran: commands that share machine and versions together, each with such an origin."""
    groups: list[tuple[list[str], Origin]] = []
    for part in (
        record.training, record.artifacts, record.parity, record.layers, record.latency, record.features
    ):  # fmt: skip
        if part is None:
            continue
        for names, origin in groups:
            if (origin.machine, origin.versions) == (part.origin.machine, part.origin.versions):
                names.append(part.origin.command)
                break
        else:
            groups.append(([part.origin.command], part.origin))
    return groups
