"""What the report's pages are made of: rows of tables, pictures, origins.

Rows of parity and latency are joined to the exports by the SHA-256 of the artifact they are about, so a figure never
is reported with a file it was not measured on.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn import run_directory
from edgecnn.errors import InputError
from edgecnn.execution.targets import KERAS, trained
from edgecnn.records import Report
from edgecnn.records.common import runtime_name, target_name
from edgecnn.run_directory import MODEL, Run

if TYPE_CHECKING:
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
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


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
        return target_name(self.artifact.format, self.runtime, self.provider, self.cpu)

    @property
    def is_reference(self) -> bool:
        """Whether this is what the exports are compared with."""
        return self.artifact.format == KERAS

    @property
    def where(self) -> str:
        """The runtime, the execution provider, and the CPU where that is an emulated one."""
        return runtime_name(self.runtime, self.provider, self.cpu) if self.runtime else ""

    @property
    def one_thread(self) -> LatencyRow | None:
        """The latency of one image on one thread, None where it was not measured."""
        return next((row for row in self.latencies if (row.threads, row.batch) == (1, 1)), None)

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


def is_stale(run: Run, origin: Origin) -> bool:
    """Whether a record was made from another contract or other exports than the run holds now."""
    return any(origin.inputs.get(name, now) != now for name in SOURCES if (now := run.hash_of(name)))


def _artifacts(run: Run, record: Report) -> tuple[Artifact, ...]:
    """The exports, and before them the trained model where it was measured."""
    timed = {row.artifact_sha256 for row in (record.latency.rows if record.latency else ())}
    measured = record.contract.model_sha256 in timed and run.hash_of(MODEL) == record.contract.model_sha256
    return (*((trained(run, record.contract),) if measured else ()), *record.artifacts.artifacts)


def lines(run: Run, record: Report) -> list[Line]:
    """The rows of the tables: each export with every runtime and provider it ran or was measured on, and before them
    the trained model where it was measured."""
    found = []
    for artifact in _artifacts(run, record):
        asked = [r for r in (record.parity.rows if record.parity else ()) if r.artifact_sha256 == artifact.sha256]
        timed = [r for r in (record.latency.rows if record.latency else ()) if r.artifact_sha256 == artifact.sha256]
        judged = {(row.runtime, row.provider, row.cpu): row for row in asked}
        places = [*judged, *((row.runtime, row.provider, "") for row in timed)]
        for place in dict.fromkeys(places) or [("", "", "")]:
            here = [row for row in timed if (row.runtime, row.provider, "") == place]
            latencies = tuple(sorted(here, key=lambda row: (row.batch, row.threads)))
            found.append(Line(artifact, *place, judged.get(place), latencies))
    return found


def picture(run: Run, path: str) -> Picture | None:
    """A picture of the run, None when it is missing; raises InputError when it lies elsewhere or is no PNG."""
    place = run.path(path).resolve()
    if not place.is_file():
        return None
    data = place.read_bytes() if place.is_relative_to(run.root.resolve()) else b""
    if not data.startswith(PNG_SIGNATURE) or len(data) < 24:
        raise InputError(f"{path} is not a PNG picture inside {run.root}; delete it and run the stage that draws it.")
    uri = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return Picture(path, uri, int.from_bytes(data[16:20]), int.from_bytes(data[20:24]))


def origins(record: Report) -> list[tuple[list[str], Origin]]:
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
