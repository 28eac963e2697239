"""Where figures come from: files of the run, machines, versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.report.table import Cell, Table, table
from edgecnn.report.words import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgecnn.records import Origin

SOURCES = ("File", "Figures", "SHA-256")


def sources_table(sources: Mapping[str, tuple[str, str]]) -> Table | None:
    """The files of the run, with what each says and its hash."""
    rows = [
        (Cell(name, href=name, code=True), figures, Cell(sha256, code=True))
        for name, (figures, sha256) in sources.items()
    ]
    return table("Sources", SOURCES, rows)


def machines_table(origins: Sequence[tuple[list[str], Origin]]) -> Table | None:
    """Machine and versions of each stage."""
    columns = [_machine(origin) for _, origin in origins]
    names = dict.fromkeys(name for column in columns for name in column)
    rows = [(name, *(column.get(name, "") for column in columns)) for name in names]
    return table("Machine and versions", ("", *(", ".join(stages) for stages, _ in origins)), rows, kind="narrow")


def _machine(origin: Origin) -> dict[str, str]:
    machine = origin.machine
    return {
        "CPU": f"{machine.processor}, {counted(machine.cores, 'core')}",
        "Memory": f"{machine.memory_bytes / 2**30:.1f} GiB",
        "System": machine.system,
        "Python": machine.python,
        **origin.versions,
    }
