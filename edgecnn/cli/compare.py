"""`edgecnn compare`."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from edgecnn.cli import completion
from edgecnn.cli.options import DEFAULT, check_file_options, gate_failed, json_option, print_json
from edgecnn.console import say
from edgecnn.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgecnn.records import RunComparison


def _kinds(context: click.Context, option: click.Parameter, words: str) -> tuple[str, ...]:
    """ "accuracy,size" as kinds of regression, each once."""
    from edgecnn.stages.compare import KINDS

    found = tuple(dict.fromkeys(word.strip() for word in words.split(",")))
    for name in found:
        if name not in KINDS:
            raise unknown_name("kind of regression", name, KINDS)
    return found


def _percent(context: click.Context, option: click.Parameter, text: str) -> float:
    """ "5%" or "5" as 5.0."""
    try:
        found = float(text.strip().removesuffix("%"))
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        raise click.BadParameter(f"{text} is not a percentage such as 5%.")
    return found


@click.command("compare")
@click.argument("old", shell_complete=completion.models)
@click.argument("new", shell_complete=completion.models)
@click.option(
    "--fail-on",
    callback=_kinds,
    default="accuracy",
    show_default=True,
    metavar="KIND,...",
    help="What makes NEW worse: accuracy, latency, size. The others are compared and reported all the same.",
)
@click.option(
    "--max-slowdown",
    callback=_percent,
    default="5%",
    show_default=True,
    metavar="PERCENT",
    help="With latency: how much slower a target may become.",
)
@click.option(
    "--max-growth",
    callback=_percent,
    default="5%",
    show_default=True,
    metavar="PERCENT",
    help="With size: how much larger an export may become.",
)
@click.option("--across-machines", is_flag=True, help="Compare latencies of different machines too.")
@check_file_options
@json_option
@click.pass_context
def command(
    context: click.Context,
    /,
    old: str,
    new: str,
    fail_on: tuple[str, ...],
    max_slowdown: float,
    max_growth: float,
    across_machines: bool,
    as_json: bool,
    junit: Path | None,
    markdown: Path | None,
) -> None:
    """Check whether the run NEW is worse than the run OLD; exit 1 when it is.

    Accuracy is worse where the 95 % interval of its change lies below zero, where a target fails parity now and did not
    before, or is missing. Accuracies are compared image by image where both runs used the same images.

    Latency is worse where the 99 % interval of the ratio lies above the slowdown allowed. The runs are compared block
    by block; both have to be measured on one machine.

    Run `edgecnn parity` on both first; either may be the name of a pretrained run.
    """
    from edgecnn.pretrained import find_run
    from edgecnn.report.check_files import write_check_files
    from edgecnn.report.checks import comparison_checks
    from edgecnn.run_directory import Run
    from edgecnn.stages.compare import CompareOptions, compare

    for option, kind in (("max_slowdown", "latency"), ("max_growth", "size")):
        if kind not in fail_on and context.get_parameter_source(option) != DEFAULT:
            raise UsageError(f"--{option.replace('_', '-')} needs --fail-on {kind}.")
    options = CompareOptions(
        fail_on=fail_on,
        max_slowdown_percent=max_slowdown,
        max_growth_percent=max_growth,
        across_machines=across_machines,
    )
    found = compare(Run.at(find_run(old)), Run.at(find_run(new)), options)
    record = replace(found, old=old, new=new)  # a pretrained run's name, not where it lies
    write_check_files(comparison_checks(record), junit, markdown)
    if as_json:
        print_json(record)
    else:
        for line in _lines(record):
            say(line)
    if record.regressions:
        failures = [f"{one.kind} of {one.name}: {one.reason}" for one in record.regressions]
        raise gate_failed(f"{record.new} is worse than {record.old}", failures)


def _lines(record: RunComparison) -> Iterator[str]:
    from edgecnn.stages.compare import describe, describe_latency, describe_size

    yield from (describe(row) for row in record.rows)
    yield from (describe_latency(row) for row in record.latencies)
    yield from (describe_size(row) for row in record.sizes)
    if record.latencies_skipped:
        yield f"Latencies were not compared: {record.latencies_skipped}"
    for names, run in ((record.only_old, record.old), (record.only_new, record.new)):
        if names:
            yield f"Only in {run}: {', '.join(names)}"
    states = {"latency": [row.change.state for row in record.latencies], "size": [row.state for row in record.sizes]}
    for kind, bad in (("latency", "slower"), ("size", "larger")):
        if kind not in record.fail_on and (count := Counter(states[kind])[bad]):
            yield f"{count} {bad}: no failure without --fail-on {kind}."
