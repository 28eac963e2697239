"""`edgecnn compare`."""

from __future__ import annotations

import click

from edgecnn.cli import completion
from edgecnn.cli.options import json_option, print_json
from edgecnn.errors import GateFailed


@click.command("compare")
@click.argument("old", shell_complete=completion.models)
@click.argument("new", shell_complete=completion.models)
@click.option("--across-machines", is_flag=True, help="Compare latencies of different machines too.")
@json_option
def command(old: str, new: str, across_machines: bool, as_json: bool) -> None:
    """Check whether the run NEW is worse than the run OLD; exit 1 when it is.

    Latencies are compared where both were measured, block by block, with 99 % intervals.

    Run `edgecnn parity` on both first; either may be the name of a pretrained run. Accuracies are compared image by
    image where both runs used the same images.
    """
    from edgecnn.pretrained import find_run
    from edgecnn.run_directory import Run
    from edgecnn.stages.compare import compare, describe, describe_latency

    record = compare(Run.at(find_run(old)), Run.at(find_run(new)), across_machines=across_machines)
    if as_json:
        print_json(record)
    else:
        for row in record.rows:
            click.echo(describe(row))
        for timed in record.latencies:
            click.echo(describe_latency(timed))
        for names, run in ((record.only_old, record.old), (record.only_new, record.new)):
            if names:
                click.echo(f"Only in {run}: {', '.join(names)}")
    if record.regressions:
        raise GateFailed(f"{record.new} is worse than {record.old}: {', '.join(record.regressions)}.")
