"""What a reader has to know before the figures: what is missing, older than the exports, or did not work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn import run_directory
from edgecnn.report.summary import scores_note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgecnn.records import Report

MADE_BY = {
    run_directory.PARITY: "edgecnn parity RUN",
    run_directory.LAYERS: "edgecnn parity --layers RUN",
    run_directory.LATENCY: "edgecnn bench RUN",
    run_directory.FEATURES: "edgecnn features RUN",
}


@dataclass(frozen=True)
class Note:
    """A sentence, with a command and what follows it."""

    text: str
    command: str = ""
    rest: str = ""


def notices(record: Report) -> list[str]:
    """What is to be known of the data, each once."""
    parts = (
        record.contract, record.training, record.artifacts, record.parity, record.layers, record.latency,
        record.features,
    )  # fmt: skip
    return list(dict.fromkeys(part.data.notice for part in parts if part and part.data.notice))


def notes(record: Report, stale: Sequence[str]) -> list[Note]:
    """Notes on exports, parity and latency; `stale` are files of the run that are older than its exports."""
    found = [Note(text) for text in (scores_note(record), _short_training(record)) if text]
    for name in stale:
        text = f"{name} is older than the last export: figures of files that have changed since are left out."
        found += [Note(text, MADE_BY[name], " updates it.")] if name != run_directory.FEATURES else []
    if record.parity is None:
        found.append(Note("Accuracy and agreement are missing: run", MADE_BY[run_directory.PARITY], "."))
    if record.latency is None:
        found.append(Note("Latencies are missing: run", MADE_BY[run_directory.LATENCY], "."))
    skipped = {
        **(record.parity.skipped if record.parity else {}),
        **(record.latency.skipped if record.latency else {}),
    }
    return found + [Note(f"{name} did not run on this machine: {reason}.") for name, reason in skipped.items()]


def _short_training(record: Report) -> str:
    """That the model was trained for fewer epochs than its recipe has; else empty."""
    training = record.training
    epochs = len(training.history)
    if not epochs or epochs >= (training.recipe_epochs or 0):
        return ""
    return (
        f"Trained for {epochs} of the {training.recipe_epochs} epochs of the recipe {training.recipe}: the model is "
        "less accurate than it can be."
    )


def layer_notes(record: Report) -> list[str]:
    """Remarks on the comparison of layers."""
    if record.layers is None:
        return []
    found = [
        f"{file.name}: while its layers are observed, its outputs differ by up to {file.output_difference:.1g} from "
        "the usual ones."
        for file in record.layers.files
        if file.output_difference
    ]
    found += [
        f"{file.name}: fused by the runtime, and not observable without changing outputs: "
        f"{', '.join(file.fused_by_runtime)}."
        for file in record.layers.files
        if file.fused_by_runtime
    ]
    return found + [f"{name}: layers not compared, {reason}." for name, reason in record.layers.skipped.items()]
