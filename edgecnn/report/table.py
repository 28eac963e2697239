"""Tables as data: filled once, and drawn by both pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.report.words import NONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True)
class Bar:
    """A bar in a cell, in percent of its width: up to `value`, with a line from there to `reach`."""

    value: float
    reach: float = 0.0


@dataclass(frozen=True)
class Cell:
    """A figure or words, and what stands below them in small print."""

    text: str
    note: str = ""
    state: str = ""  # "passed", "failed" or "unproven", drawn as a label of that color
    href: str = ""  # a file, relative to the page
    title: str = ""  # shown when pointed at
    bar: Bar | None = None
    shade: float = 0.0  # of the background, in [0, 1]
    code: bool = False


@dataclass(frozen=True)
class Column:
    """The head of a column."""

    name: str
    numeric: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells, the first of each being the row's head."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    kind: str = "cards"  # on a narrow screen its rows become cards; "narrow" and "matrix" stay tables


def table(
    caption: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Cell | str]],
    *,
    numeric: Sequence[str] = (),
    kind: str = "cards",
) -> Table | None:
    """A table, None where it has no rows; an empty text stands for no figure."""
    cells = tuple(tuple(_cell(cell) for cell in row) for row in rows)
    heads = tuple(Column(name, name in numeric) for name in columns)
    return Table(caption, heads, cells, kind) if cells else None


def _cell(value: Cell | str) -> Cell:
    return value if isinstance(value, Cell) else Cell(value or NONE)


def matrix(
    caption: str, corner: str, across: Sequence[str], rows: Iterable[tuple[str, Sequence[tuple[str, float]]]]
) -> Table | None:
    """A table of numbers with shaded cells: of each row its head, and each cell's text and shade in [0, 1]."""
    filled = [[Cell(head), *(Cell(text, shade=shade) for text, shade in cells)] for head, cells in rows]
    return table(caption, (corner, *across), filled, numeric=across, kind="matrix")
