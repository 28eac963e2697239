"""`edgecnn doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgecnn.cli.options import json_option, print_json
from edgecnn.cli.program import as_called
from edgecnn.console import say
from edgecnn.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgecnn.records import Diagnosis


@click.command("doctor")
@json_option
def command(as_json: bool) -> None:
    """Say what edgecnn has on this machine, what is missing, and what brings it.

    Each runtime and execution provider is tried with a small model, in a process of its own. Nothing is installed or
    downloaded. Exit 3 when `edgecnn run` cannot work here.
    """
    from edgecnn.stages.doctor import diagnose

    found = diagnose()
    if as_json:
        print_json(found)
    else:
        for line in (*_table(found), *_remedies(found)):
            say(as_called(line))
    if not found.ready:
        raise _not_ready(found)


def _table(found: Diagnosis) -> Iterator[str]:
    width = max(len(check.name) for check in found.checks)
    for check in found.checks:
        size = f", {check.size_bytes / 2**20:,.0f} MiB" if check.size_bytes is not None else ""
        yield f"{check.state:8}  {check.group:7}  {check.name:{width}}  {check.detail}{size}"


def _remedies(found: Diagnosis) -> Iterator[str]:
    """Each remedy once, with what it is for."""
    named: dict[str, dict[str, None]] = {}
    for check in found.checks:
        if check.remedy:
            named.setdefault(check.remedy, {})[check.name] = None
    for remedy, names in named.items():
        yield f"{', '.join(names)}: {remedy}"


def _not_ready(found: Diagnosis) -> MachineError:
    bad = next(check for check in found.checks if check.stops_run)
    remedy = f": {bad.remedy}" if bad.remedy else ""
    return MachineError(f"`edgecnn run` cannot work here ({bad.name}: {bad.detail}){remedy}.")
