"""Check that every file of a pretrained run still gives its published outputs, on synthetic images alone.

A pretrained run carries no image of its data set. It carries golden.json instead: what the model and each export gave
for synthetic images, which the package generates again from their seed.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn import run_directory
from edgecnn.console import log
from edgecnn.data.evaluation import Evaluation
from edgecnn.data.samples import synthetic_images
from edgecnn.environment import runtime_versions
from edgecnn.errors import InputError
from edgecnn.execution.emulation import CPUS, emulator
from edgecnn.execution.hosts import emulated
from edgecnn.execution.targets import KERAS, on_cpus, pairs, require_chosen, trained_target, with_trained
from edgecnn.files import sha256_of
from edgecnn.parity.evaluation import Inference, InferenceResult, matrix, run_published, run_targets
from edgecnn.parity.outputs import InferenceOptions
from edgecnn.parity.rows import Judgement, judged_row, overall
from edgecnn.parity.verdict import FAIL, PASS
from edgecnn.records import SCHEMA, Golden, GoldenTarget, Parity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgecnn.arrays import Logits
    from edgecnn.execution.targets import Target
    from edgecnn.run_directory import Run


COUNT = 64
PUBLISHED = "published outputs"  # what the rows are compared with
OTHER_FILE = "it is not the file that was published (its SHA-256 differs)"
LEAST_DB = {"float32": 80.0, "float16": 50.0, "int8": 25.0}  # other CPUs round otherwise, in int8 by whole steps


@dataclass(frozen=True, kw_only=True)
class GoldenOptions:
    """What to run again, and on which emulated CPUs in addition; nothing named means everything that runs here."""

    formats: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    allow_fallback: bool = False
    cpus: tuple[str, ...] = ()


def make(run: Run) -> Golden:
    """Write golden.json: outputs for the synthetic images of the model and of each export on each runtime here."""
    evaluation, contract = _images(run), run.contract()
    targets, _ = pairs(run, ())
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
        options = InferenceOptions(meaning=contract.output_meaning)
        reference, found = run_targets(trained_target(run, contract), targets, evaluation, Path(folder), options)
    record = Golden(
        schema=SCHEMA,
        origin=run.origin(
            "golden", {name: run.hash_of(name) for name in (run_directory.MODEL, run_directory.ARTIFACTS)}, []
        ),
        data=contract.data,
        images=COUNT,
        images_sha256=evaluation.source,
        reference=_numbers(reference),
        targets=tuple(
            GoldenTarget(
                format=one.target.artifact.format,
                runtime=one.target.runtime.name,
                provider=one.target.provider,
                outputs=_numbers(one.logits),
            )
            for one in found.results
        ),
    )
    run.save(run_directory.GOLDEN, record)
    return record


def check(run: Run, options: GoldenOptions | None = None) -> Parity:
    """Run the files again and compare their outputs with those published; nothing is written.

    Raises InputError where golden.json is missing, UsageError for a name that does not exist, MachineError for a CPU
    that cannot be emulated here and for a provider that was named and does not run.
    """
    options = options or GoldenOptions()
    golden, evaluation, contract = _golden(run), _images(run), run.contract()
    if evaluation.source != golden.images_sha256:
        raise InputError(f"{run.path(run_directory.GOLDEN)} is for other synthetic images than this edgecnn generates.")
    targets, skipped = with_trained(run, contract, options.formats, options.providers, options.runtimes)
    targets += on_cpus(targets, options.cpus)
    require_chosen(targets, skipped, options.runtimes, options.providers)
    log(f"Running {run.root.name} on {COUNT} synthetic images")
    inference, unpublished = _run_again(run, golden, targets, evaluation, options)
    skipped |= {**unpublished, **inference.skipped}
    inference.require(options.providers, targets, skipped)
    rows = tuple(judged_row(one, inference.results, None, _judgement(one), PUBLISHED) for one in inference.results)
    state, reasons = overall(rows, _formats(run, options, targets), targets, inference.refused, ())
    if changed := _changed_files(run, options, inference.results):
        state, reasons = FAIL, (*changed, *(reasons if state == FAIL else ()))
    return Parity(
        schema=SCHEMA,
        origin=run.origin("parity", _inputs(run, options), []),
        data=contract.data,
        evaluated_on=evaluation.words,
        images=COUNT,
        reference=PUBLISHED,
        reference_accuracy=None,
        rows=rows,
        agreement_matrix=matrix(inference.results),
        preprocessing_paths=(),
        skipped=skipped,
        verdict=state,
        reasons=reasons,
    )


def _golden(run: Run) -> Golden:
    path = run.path(run_directory.GOLDEN)
    if not path.is_file():
        raise InputError(f"{path} is missing, which holds the published outputs; install the run again.")
    return run.load(run_directory.GOLDEN, Golden, "publish")


def _images(run: Run) -> Evaluation:
    images = synthetic_images(COUNT, run.contract())
    return Evaluation(
        images, None, "synthetic images; accuracy is not measured", hashlib.sha256(images.tobytes()).hexdigest()
    )


def _inputs(run: Run, options: GoldenOptions) -> dict[str, str]:
    return {
        **{
            name: run.hash_of(name)
            for name in (run_directory.MODEL, run_directory.CONTRACT, run_directory.ARTIFACTS, run_directory.GOLDEN)
        },
        "formats": " ".join(sorted(options.formats)),
        "runtimes": " ".join(sorted(options.runtimes)),
        "providers": " ".join(sorted(options.providers)),
        "allow_fallback": str(options.allow_fallback),
        "cpus": " ".join(sorted(options.cpus)),
        **runtime_versions(),
    }


def _run_again(
    run: Run, golden: Golden, targets: Sequence[Target], evaluation: Evaluation, options: GoldenOptions
) -> tuple[Inference, dict[str, str]]:
    """What the targets give, compared with their published outputs; and those that have none -> why."""
    import numpy as np

    published = {target.name: np.array(_published(golden, target), np.float32) for target in targets}
    reason = "it did not run when the run was published"
    unpublished = {name: reason for name, outputs in published.items() if not outputs.size}
    extras = ("allow_fallback",) if options.allow_fallback or not options.providers else ()
    with emulated(options.cpus) as hosts, tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
        found = run_published(
            lambda target: published[target.name],
            [target for target in targets if target.name not in unpublished],
            run.model_path(run.contract()),
            evaluation,
            Path(folder),
            InferenceOptions(hosts=hosts, extras=extras, meaning=run.contract().output_meaning),
        )
    return found, unpublished


def _published(golden: Golden, target: Target) -> tuple[tuple[float, ...], ...]:
    """The published outputs of the target's file on its runtime, on another provider where there are none on its own;
    empty where the runtime did not run the file."""
    if target.artifact.format == KERAS:
        return golden.reference
    known = {one.name: one.outputs for one in golden.targets}
    names = [replace(target, provider=name, cpu="").name for name in (target.provider, *target.runtime.providers)]
    return next((known[name] for name in names if name in known), ())


def _judgement(one: InferenceResult) -> Judgement:
    target, found = one.target, one.agreement
    least = LEAST_DB[target.weight_dtype]
    reason = OTHER_FILE if sha256_of(target.path) != target.artifact.sha256 else ""
    if not found.finite or (found.sqnr_db is not None and found.sqnr_db < least):
        reason = f"its outputs are {found.sqnr_db or 0:.1f} dB from those published, {least:.0f} are needed"
        if target.cpu:
            reason += f"; {emulator(CPUS[target.cpu])} emulated the CPU, and the fault may be its own"
    return Judgement(
        gate=f"SQNR to the published outputs at least {least:g} dB", verdict=FAIL if reason else PASS, reason=reason
    )


def _formats(run: Run, options: GoldenOptions, targets: Sequence[Target]) -> Sequence[str]:
    """The formats that need a verdict."""
    if options.providers or options.runtimes:
        return [target.artifact.format for target in targets]
    return options.formats or [KERAS, *(artifact.format for artifact in run.artifacts().artifacts)]


def _changed_files(run: Run, options: GoldenOptions, results: Sequence[InferenceResult]) -> tuple[str, ...]:
    """Of the files that nothing here ran, those that are not the ones published, each with what is wrong."""
    ran = {one.target.artifact.format for one in results}
    return tuple(
        f"{artifact.format}: {OTHER_FILE}"
        for artifact in run.artifacts().artifacts
        if artifact.format not in ran
        and artifact.format in (options.formats or (artifact.format,))
        and sha256_of(run.path(artifact.path)) != artifact.sha256
    )


def _numbers(values: Logits) -> tuple[tuple[float, ...], ...]:
    """float32 as the shortest numbers that are read back to the same bits."""
    return tuple(tuple(float(str(value)) for value in row) for row in values)
