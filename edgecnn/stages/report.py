"""One page that says what was trained and whether it arrived: report.html, report.md and report.json.

Everything is read from the run's JSON files and the pictures beside them; nothing is measured here. Strings from those
files are untrusted: both pages escape them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import edgecnn
from edgecnn import run_directory
from edgecnn.console import log
from edgecnn.files import staged
from edgecnn.records import SCHEMA, Features, Latency, Layers, Parity, Report
from edgecnn.report.page import PAGE, pages
from edgecnn.report.summary import verdict
from edgecnn.report.view import SOURCES
from edgecnn.run_directory import Run

R = TypeVar("R")


def inputs(run: Run) -> dict[str, str]:
    """What decides the report: the hashes of the JSON files, and the version that writes it."""
    return {**{name: run.hash_of(name) for name in SOURCES}, "edgecnn": edgecnn.__version__}


def is_current(run: Run) -> bool:
    """Whether the report was made from what the run holds now."""
    return run.is_current(run_directory.REPORT, Report, inputs(run))


def report(run: Run) -> Path:
    """Write report.html, report.md and report.json, and return the page's path.

    Raises InputError when contract, training or exports are missing, or a picture is no PNG file of the run.
    """
    contract = run.contract()
    record = Report(
        schema=SCHEMA,
        origin=run.origin("report", inputs(run), []),
        data=contract.data,
        contract=contract,
        training=run.training(),
        artifacts=run.artifacts(),
        parity=_optional(run, run_directory.PARITY, Parity),
        layers=_optional(run, run_directory.LAYERS, Layers),
        latency=_optional(run, run_directory.LATENCY, Latency),
        features=_optional(run, run_directory.FEATURES, Features),
    )
    texts = pages(run, record)
    for name, text in texts.items():
        with staged(run.path(name)) as draft:
            draft.write_text(text, encoding="utf-8")
    outputs = {name: run.hash_of(name) for name in texts}
    run.save(run_directory.REPORT, replace(record, origin=replace(record.origin, outputs=outputs)))
    log(verdict(record)[1])
    return run.path(PAGE)


def _optional(run: Run, name: str, kind: type[R]) -> R | None:
    return run.load(name, kind, "run") if run.path(name).is_file() else None
