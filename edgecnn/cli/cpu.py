"""`edgecnn cpu`."""

from __future__ import annotations

import click

from edgecnn.cli.options import json_option, print_json, resumable
from edgecnn.cli.program import as_called
from edgecnn.console import say


@click.group("cpu")
def command() -> None:
    """List the CPUs that `edgecnn parity --cpu` emulates, and install what they need."""


@command.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List the CPUs, what each stands for, and whether it is ready here."""
    from edgecnn.execution.emulation import statuses

    found = statuses()
    if as_json:
        print_json(found)
        return
    for cpu in found:
        say(f"{cpu.name:11} {cpu.stands_for}")
        say(f"{'':11} {f'ready: {cpu.emulator}' if cpu.ready else f'not ready: {as_called(cpu.reason)}'}")


@command.command("install")
@click.argument("architecture", type=click.Choice(["arm64"]), metavar="arm64")
def install_command(architecture: str) -> None:
    """Install a Python for ARM in the user's cache, once: about 90 MB of Debian's packages and wheels.

    It needs no root and does not change the system. An interrupted installation leaves only downloads behind, which the
    next one reuses. Run it again after an update of numpy or a runtime.
    """
    from edgecnn.execution.arm64 import DOWNLOADS, install
    from edgecnn.execution.emulation import cache_folder

    with resumable(cache_folder(), DOWNLOADS):
        install()
