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
    check_file_options,
    formats_option,
    gate_failed,
    host_options,
    json_option,
    print_json,
    providers_option,
    run_argument,
    runtimes_option,
)
from edgecnn.console import say
from edgecnn.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgecnn.records import Layers, Parity, ParityRow
    from edgecnn.run_directory import Run

GOLDEN_OPTIONS = ("formats", "runtimes", "providers", "allow_fallback", "cpus")
PRETRAINED_OPTIONS = ("run", *GOLDEN_OPTIONS, "as_json", "junit", "markdown")  # what a pretrained run takes
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
@check_file_options
@json_option
@click.pass_context
def command(
    context: click.Context,
    /,
    run: Path,
    by_layer: bool,
    as_json: bool,
    junit: Path | None,
    markdown: Path | None,
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
    from edgecnn.report.check_files import write_check_files
    from edgecnn.report.checks import parity_checks
    from edgecnn.run_directory import Run

    if options["cpus"] and (options["remote"] or options["python"]):
        raise UsageError("--cpu emulates CPUs on this machine, in this Python; leave out --remote and --python.")
    known = is_pretrained(run)
    if known:
        _refuse(context, run)
        record, layers = _check_pretrained(Run(run), options), None
    else:
        require("tensorflow", "keras")  # for the reference, before data is downloaded
        record, layers = _judge(Run.at(run), options, by_layer)
    write_check_files(parity_checks(run.name if known else str(run), record, layers), junit, markdown)
    if as_json:
        print_json(ParityAndLayers(parity=record, layers=layers) if layers else record)
    else:
        for line in (*_table(record), *(_layer_table(layers) if layers else ())):
            say(line)
    failures = [*_failures(record), *(_divergences(layers) if layers else ())]
    if failures:
        proven = record.verdict == "fail" or (layers and any(file.first_divergent_layer for file in layers.files))
        raise gate_failed("Parity failed" if proven else "Parity is not proven", failures)


def _refuse(context: click.Context, run: Path) -> None:
    """Raise UsageError for an option that a pretrained run does not take."""
    for option in context.command.params:
        given = context.get_parameter_source(str(option.name)) != DEFAULT
        if given and option.name not in PRETRAINED_OPTIONS:
            raise UsageError(
                f"{option.opts[0]} needs a run of your own; `edgecnn run my-run --model {run.name}` makes one."
            )


def _check_pretrained(run: Run, options: Mapping[str, Any]) -> Parity:
    from edgecnn.stages.golden_check import GoldenOptions, check

    return check(run, GoldenOptions(**{name: options[name] for name in GOLDEN_OPTIONS}))


def _judge(run: Run, options: Mapping[str, Any], by_layer: bool) -> tuple[Parity, Layers | None]:
    from edgecnn.stages.layerwise_parity import layers
    from edgecnn.stages.parity import ParityOptions, parity

    chosen = ParityOptions(**options)
    with run.lock():
        record = parity(run, chosen)
        if not by_layer:
            return record, None
        return record, layers(run, chosen.data, chosen.formats, chosen.providers, chosen.runtimes)


def _divergences(layers: Layers) -> Iterator[str]:
    for file in layers.files:
        if file.first_divergent_layer:
            yield f"{file.name}, layer {file.first_divergent_layer}"
    if not layers.files:
        yield "no export gives layer outputs here"


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
        yield f"Compared with {record.reference} on {record.images:,} images: {record.evaluated_on}."
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
