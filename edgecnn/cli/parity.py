"""`edgecnn parity`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli import completion
from edgecnn.cli.options import (
    DEFAULT,
    LateHelpOption,
    formats_option,
    host_options,
    json_option,
    print_json,
    providers_option,
    run_argument,
    runtimes_option,
)
from edgecnn.errors import GateFailed, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgecnn.records import Layers, Parity, ParityRow
    from edgecnn.run_directory import Run

TALLY = {"pass": "passed", "fail": "failed", "not proven": "not proven"}


def _tolerances(context: click.Context, option: click.Parameter, words: tuple[str, ...]) -> dict[str, float]:
    """Percentage points by format, "" for all of them."""
    found = {}
    for word in words:
        name, _, points = word.rpartition("=")
        try:
            found[name] = float(points)
        except ValueError:
            raise click.BadParameter(f"{word} is neither a number of points nor FORMAT=POINTS.") from None
        if not 0 <= found[name] < math.inf:
            raise click.BadParameter(f"{word}: a tolerance is 0 or more.")
    return found


def _tolerances_help() -> str:
    from edgecnn import plugins

    formats = plugins.every("format").values()
    points = sorted({format.gate.tolerance_points for format in formats})
    each = "; ".join(
        f"{tolerance:g} {', '.join(format.name for format in formats if format.gate.tolerance_points == tolerance)}"
        for tolerance in points
    )
    return f"How much accuracy may drop; repeatable. Default: {each}."


def _max_images_help() -> str:
    from edgecnn import plugins
    from edgecnn.execution.emulation import FLOAT_IMAGES, INT8_IMAGES

    slow = [f"{one.title} {one.max_images}; " for one in plugins.every("runtime").values() if one.max_images]
    return (
        f"Images that a slow runtime or an emulated CPU runs. Default: {''.join(slow)}an emulated CPU {INT8_IMAGES} "
        f"for an int8 file, {FLOAT_IMAGES} for a float file."
    )


def _cpus() -> list[str]:
    from edgecnn.execution.emulation import CPUS

    return list(CPUS)


def _cpus_help() -> str:
    return (
        f"Run the exports on this emulated CPU too: {', '.join(_cpus())}; repeatable. `edgecnn cpu list` shows which "
        "are ready."
    )


@click.command("parity")
@run_argument(pretrained=True)
@formats_option
@runtimes_option
@providers_option
@click.option(
    "--data",
    metavar="auto|cifar10|synthetic|PATH",
    shell_complete=completion.data_sets,
    help="Evaluate on this test split. Default: RUN's own.",
)
@click.option(
    "--tolerance",
    "tolerances",
    cls=LateHelpOption,
    words=_tolerances_help,
    multiple=True,
    callback=_tolerances,
    metavar="[FORMAT=]POINTS",
)
@click.option(
    "--max-images",
    cls=LateHelpOption,
    words=_max_images_help,
    type=click.IntRange(min=1),
    metavar="N",
)
@click.option(
    "--cpu",
    "cpus",
    cls=LateHelpOption,
    words=_cpus_help,
    shell_complete=completion.words(_cpus),
    multiple=True,
    metavar="NAME",
)
@click.option("--layers", "by_layer", is_flag=True, help="Compare every layer inside the exports with Keras too.")
@host_options
@json_option
@click.pass_context
def command(
    context: click.Context,
    /,
    run: Path,
    formats: Sequence[str],
    runtimes: Sequence[str],
    providers: Sequence[str],
    by_layer: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Prove that every export of RUN matches Keras; exit 1 when one does not, or when it is not proven.

    An export passes when the 95 % interval of its change in accuracy, paired image by image, stays above minus the
    tolerance. With too few images it is not proven. Without labelled images, agreement with Keras decides.

    RUN may be the name of a pretrained run: then every file in it has to give its published outputs for synthetic
    images. Nothing is written, and accuracy is not measured.

    With --cpu, every export also runs under QEMU on a CPU that this machine does not have.
    """
    from edgecnn.environment import require
    from edgecnn.pretrained import is_pretrained
    from edgecnn.records import ParityAndLayers
    from edgecnn.run_directory import Run
    from edgecnn.stages.layerwise_parity import layers as layers_stage
    from edgecnn.stages.parity import ParityOptions
    from edgecnn.stages.parity import parity as stage

    require("tensorflow", "keras")  # for the reference, before data is downloaded
    if options["cpus"] and (options["remote"] or options["python"]):
        raise UsageError("--cpu emulates CPUs on this machine, in this Python; leave out --remote and --python.")
    if is_pretrained(run):
        for option in context.command.params:
            if (
                option.name not in ("run", "as_json", "cpus")
                and context.get_parameter_source(str(option.name)) != DEFAULT
            ):
                raise click.UsageError(f"{option.opts[0]} needs a run of your own; {run.name} is a pretrained run.")
        _check_pretrained(Run(run), options["cpus"], as_json)
        return
    place = Run.at(run)
    chosen = ParityOptions(formats=tuple(formats), runtimes=tuple(runtimes), providers=tuple(providers), **options)
    with place.lock():
        record = stage(place, chosen)
        layers = layers_stage(place, chosen.data, formats, providers, runtimes) if by_layer else None
    if as_json:
        print_json(ParityAndLayers(parity=record, layers=layers) if layers else record)
    else:
        for line in (*_table(record), *(_layer_table(layers) if layers else ())):
            click.echo(line)
    failures = [
        *_failures(record),
        *(
            f"{file.name}, layer {file.first_divergent_layer}"
            for file in (layers.files if layers else ())
            if file.first_divergent_layer
        ),
    ]
    if layers and not layers.files:
        failures.append("no export gives layer outputs here")
    if failures:
        seen = layers is None or (layers.files and not any(file.first_divergent_layer for file in layers.files))
        verb = "is not proven" if record.verdict != "fail" and seen else "failed"
        raise GateFailed(f"Parity {verb}: {'; '.join(failures)}.")


def _check_pretrained(run: Run, cpus: Sequence[str], as_json: bool) -> None:
    from edgecnn.stages.golden_check import check, describe

    record = check(run, cpus)
    if as_json:
        print_json(record)
    else:
        for row in record.rows:
            click.echo(describe(row))
        for name, reason in record.skipped.items():
            click.echo(f"{name}: skipped, {reason}")
        click.echo(f"Accuracy was not measured: {record.images} synthetic images.")
    if record.verdict != "pass":
        failures = "; ".join(f"{row.name}: {row.reason}" for row in record.rows if row.verdict == "fail")
        if not failures:
            raise GateFailed(f"{record.run} is not proven: {', '.join(record.not_run)} could not run here.")
        raise GateFailed(f"{record.run} does not give its published outputs: {failures}.")


def _failures(record: Parity) -> Iterator[str]:
    """What keeps the run from passing, in words: failing rows, or else those not proven."""
    state = record.verdict
    yield from (f"{row.name}: {row.reason}" for row in record.rows if row.verdict == state != "pass")
    yield from record.reasons


def _table(record: Parity) -> Iterator[str]:
    width = max([42, *(len(row.name) for row in record.rows)])
    yield _columns(width, "", "images", "accuracy", "change in points", "same", "flips", "SQNR", "verdict")
    for row in record.rows:
        yield _line(width, row)
    for name, reason in record.skipped.items():
        yield f"{name}: skipped, {reason}"
    states = [row.verdict for row in record.rows]
    yield ", ".join(f"{states.count(state)} {words}" for state, words in TALLY.items())
    if record.reference_accuracy is None:
        yield f"Agreement was measured on {record.evaluated_on}."
    if record.reference_macro_accuracy:
        yield "Independent scores: accuracy counts images with every label decided correctly, same the equal decisions."
        accuracies = {
            record.reference: record.reference_macro_accuracy,
            **{r.name: r.macro_accuracy for r in record.rows},
        }
        yield f"Macro accuracy: {', '.join(f'{name} {a.share:.2%}' for name, a in accuracies.items() if a)}."
    if any(row.paired for row in record.rows):
        yield "Flips: negative / positive / wrong both times. Change: with its 95 % interval."
    for row in record.rows:
        if row.cpu:
            difference = row.native.words if row.native else "it did not run natively"
            yield f"{row.name}: {difference} ({row.emulator})."


def _line(width: int, row: ParityRow) -> str:
    accuracy = f"{row.accuracy.share:.2%}" if row.accuracy else "-"
    change, flips = "-", f"{len(row.flips)}"
    if found := row.gate_difference:
        change = f"{found.points:+.2f} ({found.low_points:+.2f} to {found.high_points:+.2f})"
    if row.paired:
        negative, positive = row.paired.negative_flips, row.paired.positive_flips
        flips = f"{negative} / {positive} / {len(row.flips) - negative - positive}"
    sqnr = "equal" if row.max_logit_difference == 0 else "-" if row.sqnr_db is None else f"{row.sqnr_db:.1f} dB"
    verdict = row.verdict if row.verdict == "pass" else row.verdict.upper()
    return _columns(width, row.name, f"{row.images:,}", accuracy, change, f"{row.agreement:.2%}", flips, sqnr, verdict)


def _columns(first: int, name: str, *words: str) -> str:
    widths = (7, 9, 23, 8, 14, 8)
    cells = [word.rjust(width) for word, width in zip(words, widths, strict=False)]
    return "  ".join([name.ljust(first), *cells, words[-1]])


def _layer_table(record: Layers) -> Iterator[str]:
    from edgecnn.stages.layerwise_parity import describe

    for file in record.files:
        yield ""
        yield describe(file)
        for row in file.layers:
            gain = "-" if row.gain is None else f"{row.gain:.4f}"
            sqnr = f"{row.sqnr_db:.1f} dB" if row.sqnr_db is not None else "-" if row.gain is None else "equal"
            parts = f"  includes {', '.join(row.fused_layers)}" if row.fused_layers else ""
            mark = f"  <- {row.divergence}" if row.divergence else ""
            yield f"  {row.layer:32} {sqnr:>9}  gain {gain}{parts}{mark}"
    for name, reason in record.skipped.items():
        yield f"{name}: layers not compared, {reason}"
