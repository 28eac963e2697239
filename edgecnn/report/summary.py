"""The summary of a report: the verdict in a sentence, the flips, and the commands that reproduce the run."""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from edgecnn.data.output_labels import SCORES, THRESHOLD
from edgecnn.export.format import default_formats
from edgecnn.parity.verdict import FAIL, NOT_PROVEN, PASS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edgecnn.records import Flip, LayerParity, LayerSpread, MixedPrecision, Parity, Report

WIDE = 16  # of int8's 256 steps that many are left for the small ones
MOST_CHANGED = 24  # images in the table of flips
# The inputs that stages record options under. A name in the plural is of an option that is repeated, or of a list.
REPEATED = {"formats": "--format", "runtimes": "--runtime", "providers": "--ep", "tolerances": "--tolerance",
            "cpus": "--cpu"}  # fmt: skip
LISTS = {"threads": "--threads", "batches": "--batch"}
SINGLE = ("max_images", "data", "baseline", "time_budget", "cpu_affinity", "python", "remote", "max_accuracy_drop",
          "rounding", "target")  # fmt: skip
FLAGS = ("allow_fallback", "io_binding")
DEFAULTS = {"batches": "1", "time_budget": "40", "max_accuracy_drop": "0.5"}


def verdict(record: Report) -> tuple[str, str, list[str]]:
    """The state "passed", "failed" or "unproven", the sentence that says so, and further details."""
    current = {artifact.sha256: artifact.format for artifact in record.artifacts.artifacts}
    parity = record.parity
    rows = [row for row in (parity.rows if parity else ()) if row.artifact_sha256 in current or row.verdict == FAIL]
    of = {state: dict.fromkeys(row.format for row in rows if row.verdict == state) for state in (FAIL, NOT_PROVEN)}
    unchecked = [name for name in current.values() if name not in {row.format for row in rows}]
    total = f"{len(current)} export{'' if len(current) == 1 else 's'}"
    details = [f"{row.name}: {row.reason}." for row in rows if row.verdict != PASS]
    details += [f"{reason}." for reason in (parity.reasons if parity else ())]
    failures = record.artifacts.failures
    details += [f"{failure.format} could not be exported: {failure.reason}." for failure in failures]
    details += [
        f"{file.name}: layer {file.first_divergent_layer} diverges. {file.advice}" for file in divergent_files(record)
    ]
    if unchecked and rows:
        details.append(f"Not checked: {', '.join(unchecked)}.")
    if of[FAIL] or (parity and parity.verdict == FAIL) or divergent_files(record):
        names = list(dict.fromkeys([*of[FAIL], *(file.format for file in divergent_files(record))]))
        if not names:
            return "failed", f"Not all of {total} match the trained model", details
        verb = "does" if len(names) == 1 else "do"
        open_ones = [name for name in dict.fromkeys([*of[NOT_PROVEN], *unchecked]) if name not in names]
        rest = f"{len(current) - len({*names, *open_ones} & {*current.values()})} pass, {len(open_ones)} not proven"
        return (
            "failed",
            f"{len(names)} of {total} {verb} not match the trained model: {', '.join(names)} ({rest})",
            details,
        )
    if not rows:
        return "unproven", "Not proven yet: no export has been checked against the trained model", details
    least = min(rows, key=lambda row: row.agreement)
    summary = f"the lowest agreement is {least.agreement:.2%} over {least.images:,} images, {least.name}."
    if of[NOT_PROVEN] or unchecked:
        names = list(dict.fromkeys([*of[NOT_PROVEN], *unchecked]))
        passed = len(current) - len(names)
        known = f"{passed} pass, {len(names)} not proven" if passed else "none proven"
        return "unproven", f"None of {total} fails, {known} yet: {', '.join(names)}", [
            f"No gate failed; {summary}", *details,
        ]  # fmt: skip
    sentence = f"All {total} match the trained model" if len(current) > 1 else "The export matches the trained model"
    if failures:
        sentence += f"; not exported: {', '.join(failure.format for failure in failures)}"
    unmeasured = [] if parity and parity.reference_accuracy else ["Accuracy was not measured."]
    return "passed", sentence, [f"Every gate passed; {summary}", *unmeasured, *details]


def scores_note(record: Report) -> str:
    """What the figures count where the outputs are independent scores, and the macro accuracies; else empty."""
    if record.contract.output_meaning != SCORES:
        return ""
    text = (
        f"The outputs are independent scores: a label applies above {THRESHOLD:g}. Accuracy here counts the images "
        "with every label decided correctly, agreement the equal decisions over images and labels, and a flip is an "
        f"image with any decision changed; the {record.training.accuracy.split} accuracy above counts images whose own "
        "label has the highest score."
    )
    parity = record.parity
    found = {parity.reference: parity.reference_macro_accuracy} if parity else {}
    found |= {row.name: row.macro_accuracy for row in (parity.rows if parity else ())}
    figures = [f"{name} {a.share:.2%} ({a.low:.2%} to {a.high:.2%})" for name, a in found.items() if a]
    return f"{text} Macro accuracy, the mean over labels: {'; '.join(figures)}." if figures else text


def losses(search: MixedPrecision) -> list[tuple[str, float, LayerSpread | None, str]]:
    """The layers that a mixed-precision search measured, the worst first: layer, SQNR in dB when it alone is quantized,
    the range that int8 has to represent, and the reason for a loss where it is visible there."""
    found = []
    for layer, sqnr_db in sorted(search.sensitivity_sqnr_db.items(), key=lambda item: item[1]):
        spread = search.spreads.get(layer)
        wide = [
            f"its {what} differ in size {ratio:,.0f} times and share one scale"
            for what, ratio in (
                (("output's channels", spread.channel_ratio), ("weights by input channel", spread.weight_ratio))
                if spread
                else ()
            )
            if ratio >= WIDE
        ]
        found.append((layer, sqnr_db, spread, "; ".join(wide)))
    return found


def divergent_files(record: Report) -> list[LayerParity]:
    """The exports with a divergent layer."""
    current = {artifact.sha256 for artifact in record.artifacts.artifacts}
    files_seen = record.layers.files if record.layers else ()
    return [file for file in files_seen if file.first_divergent_layer and file.artifact_sha256 in current]


def changed(parity: Parity | None) -> list[tuple[Flip, list[str]]]:
    """Images that exports classify differently, those of most exports first, with their formats."""
    seen: dict[tuple[int, int], tuple[Flip, list[str]]] = {}
    for row in parity.rows if parity else ():
        for flip in row.flips:
            seen.setdefault((flip.image, flip.prediction), (flip, []))[1].append(row.format)
    found = sorted(seen.values(), key=lambda pair: (-len(pair[1]), pair[0].image))[:MOST_CHANGED]
    return [(flip, list(dict.fromkeys(formats))) for flip, formats in found]


def commands(record: Report) -> tuple[str, list[str]]:
    """The commands that reproduce this run: one for all of it ("" for a model trained elsewhere), and one per stage."""
    training = record.training
    options = (
        f"RUN --data {_portable(training.data.spec)} --architecture {shlex.quote(training.architecture)} "
        f"--recipe {shlex.quote(training.recipe)} --epochs {len(training.history)} --seed {training.seed}"
        f"{f' --teacher {_portable(training.teacher)}' if training.teacher else ''}"
        f"{f' --validation-images {training.validation_images}' if training.validation_images else ''}"
    )
    trained = training.origin.command == "train"
    stages = [f"edgecnn train {options}"] if trained else []
    for name, part in (("export", record.artifacts), ("parity", record.parity), ("bench", record.latency)):
        inputs = part.origin.inputs if part else {}
        if name == "export" and inputs.get("formats", "").split() == default_formats():
            inputs = {**inputs, "formats": ""}  # what it records where none is named
        words = _options(inputs)
        words += ["--layers"] if name == "parity" and record.layers else []
        stages.append(" ".join([f"edgecnn {name} RUN", *words]))
    budget = record.latency.origin.inputs.get("time_budget", "") if record.latency else ""
    whole = f"edgecnn run {options}{'' if budget in ('', DEFAULTS['time_budget']) else f' --time-budget {budget}'}"
    return whole if trained else "", [*stages, "edgecnn features RUN", "edgecnn report RUN"]


def recorded(options: object, names: Iterable[str]) -> dict[str, str]:
    """These options of a stage, a dataclass named as the command line names them, as its record's inputs hold them."""
    return {name: str(getattr(options, name)) for name in names}


def _options(inputs: Mapping[str, str]) -> list[str]:
    """The options of a stage, from the inputs it recorded; what is the default is left out."""
    words = []
    for name, option in REPEATED.items():
        words += [f"{option} {shlex.quote(word.lstrip('='))}" for word in inputs.get(name, "").split()]
    for name, option in (*LISTS.items(), *((name, _option(name)) for name in SINGLE)):
        if inputs.get(name, "") not in ("", DEFAULTS.get(name)):
            words.append(f"{option} {_portable(inputs[name].replace(' ', ',') if name in LISTS else inputs[name])}")
    return words + [_option(name) for name in FLAGS if inputs.get(name) == "True"]


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _portable(spec: str) -> str:
    """A word of a command line, quoted; of a path on this machine only the last name."""
    for kind in (PurePosixPath, PureWindowsPath):
        if kind(spec).is_absolute():
            return shlex.quote(f"PATH/{kind(spec).name}")
    return shlex.quote(spec)
