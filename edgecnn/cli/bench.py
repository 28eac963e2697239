"""`edgecnn bench`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli import completion
from edgecnn.cli.options import (
    check_file_options,
    formats_option,
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
    from collections.abc import Callable, Iterator

    from edgecnn.records import Latency


def _numbers(context: click.Context, option: click.Parameter, words: str | None) -> tuple[int, ...]:
    """ "1,2,4" as numbers in order, each once."""
    if not words:
        return ()
    try:
        found = sorted({int(word) for word in words.split(",")})
    except ValueError:
        raise click.BadParameter(f"{words} is not a list of numbers such as 1,2,4.") from None
    if found[0] < 1:
        raise click.BadParameter("every number is 1 or more.")
    return tuple(found)


def _cores(context: click.Context, option: click.Parameter, words: str) -> str:
    try:
        return ",".join(map(str, sorted({int(word) for word in words.split(",")}))) if words else ""
    except ValueError:
        raise click.BadParameter(f"{words} is not a list of numbers such as 0,1.") from None


def _untimed(context: click.Context, option: click.Parameter, cpus: tuple[str, ...]) -> None:
    """`--cpu`, as parity takes it, is refused with the reason."""
    if cpus:
        raise UsageError(
            f"{cpus[0]} would be emulated, and the speed of QEMU says nothing about the speed of that CPU; measure on "
            "the device itself with --remote."
        )


def time_budget_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--time-budget`: how long latency is measured."""
    return click.option(
        "--time-budget",
        type=click.IntRange(min=1),
        default=40,
        show_default=True,
        metavar="SECONDS",
        help="How long to measure latency; spent where intervals are widest. Each target's minimum is measured in any "
        "case.",
    )(command)


@click.command("bench")
@run_argument(pretrained=True)
@formats_option
@runtimes_option
@providers_option
@click.option("--threads", callback=_numbers, metavar="N,...", help="Default: 1, and all cores.")
@click.option(
    "--batch",
    "batches",
    callback=_numbers,
    metavar="N,...",
    default="1",
    show_default=True,
    help="Images per call; a TFLite file takes 1.",
)
@click.option(
    "--baseline",
    default="",
    metavar="FORMAT",
    shell_complete=completion.plugins("format", "keras"),
    help="Format that ratios are relative to. Default: onnx_float32.",
)
@time_budget_option
@click.option("--cpu-affinity", callback=_cores, default="", metavar="N,...", help="Run on these CPU cores only.")
@click.option("--io-binding", is_flag=True, help="ONNX Runtime: keep input and output on the device, copies untimed.")
@click.option("--cpu", hidden=True, multiple=True, callback=_untimed, expose_value=False)
@host_options
@check_file_options
@json_option
def command(run: Path, as_json: bool, junit: Path | None, markdown: Path | None, **options: Any) -> None:
    """Measure the latency of RUN's model and exports: one image, on one thread and on all cores.

    Targets are measured in turn, in short blocks, so that other load on the machine affects all of them alike. Ratios
    compare blocks measured next to each other, with a 99 % interval.

    RUN may be the name of a pretrained run: then the input is synthetic images, and nothing is written.
    """
    from edgecnn.pretrained import is_pretrained
    from edgecnn.report.check_files import write_check_files
    from edgecnn.report.checks import latency_checks
    from edgecnn.run_directory import Run
    from edgecnn.stages.bench import BenchOptions, remarks
    from edgecnn.stages.bench import bench as stage

    chosen = BenchOptions(**options)
    if known := is_pretrained(run):
        record = stage(Run(run), chosen, keep=False)
    else:
        place = Run.at(run)
        with place.lock():
            record = stage(place, chosen)
    notes = remarks(replace(record, skipped={}))  # those are checks of their own
    write_check_files(latency_checks(run.name if known else str(run), record, notes), junit, markdown)
    if as_json:
        print_json(record)
        return
    for line in (*_table(record), *remarks(record)):
        say(line)
    if known:
        say(f"Nothing was written: {run.name} is a pretrained run.")


def _table(record: Latency) -> Iterator[str]:
    widths = (7, 5, 8, 8, 8, 17, 9, 22, 8, 8, 7)
    head = ("threads", "batch", "p50 ms", "p90 ms", "p99 ms", "p50's 95 %", "images/s", "ratio", "load ms", "first ms",
            "MiB")  # fmt: skip
    yield "  ".join(
        [" " * 38, *(word.rjust(width) for word, width in zip(head, widths, strict=True)), " " * 19, "compute nodes"]
    )
    for row in record.rows:
        interval, ratio = row.p50_interval_ms, row.ratio
        cells = (
            f"{row.threads}", f"{row.batch}", f"{row.p50_ms:.3f}", f"{row.p90_ms:.3f}", f"{row.p99_ms:.3f}",
            f"{interval.low:.3f} to {interval.high:.3f}",
            f"{row.images_per_s:,.0f}",
            f"{ratio.value:.3f} ({ratio.low:.3f}-{ratio.high:.3f})" if ratio else "baseline",
            f"{row.load_ms:.0f}", f"{row.first_call_ms:.1f}",
            f"{row.peak_memory_bytes / 2**20:.0f}",
        )  # fmt: skip
        words = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
        nodes = ", ".join(f"{place} {count}" for place, count in row.placement.compute_nodes.items())
        yield "  ".join([row.name.ljust(38), *words, (ratio.state if ratio else "").ljust(19), nodes])
