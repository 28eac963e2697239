"""How pages are made from templates: escaping, and tables in HTML and Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from edgecnn.console import printable
from edgecnn.report import words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from markupsafe import Markup

    from edgecnn.report.table import Cell, Table

FILTERS = (words.percent, words.kib, words.count, words.counted, words.signed, words.duration, words.ms)


def render(name: str, view: dict[str, Any], *, html: bool) -> str:
    """A page from its template; every value in it is escaped for HTML, or else for Markdown."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("edgecnn.report"),
        autoescape=html,
        finalize=None if html else escape_markdown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {function.__name__: function for function in FILTERS}
    environment.filters |= {"markdown": markdown_table, "captioned": captioned, "code": code}
    text = environment.get_template(f"{name}.j2").render(view)
    return printable(text if html else re.sub(r"\n{3,}", "\n\n", text).lstrip("\n"), lines=True)


def code(text: str) -> Markup:
    """Text of an indented block, in which nothing is Markdown."""
    from markupsafe import Markup

    return Markup(" ".join(text.split()))


def escape_markdown(value: object) -> str:
    """A value as text of one line in which nothing is Markdown or HTML; what is marked safe stays as it is."""
    if hasattr(value, "__html__"):
        return str(value)
    return re.sub(r"([\\`*\[\]<>|&])", r"\\\1", " ".join(str(value).split()))


def markdown_table(table: Table) -> Markup:
    """A table in Markdown, without columns of bars alone, and padded so that it reads in a terminal."""
    from markupsafe import Markup

    kept = [number for number in range(len(table.columns)) if any(row[number].text for row in table.rows)]
    columns = [table.columns[number] for number in kept]
    heads = [escape_markdown(column.name) for column in columns]
    rows = [[_markdown_cell(row[number]) for number in kept] for row in table.rows]
    return Markup("\n".join(padded_rows(heads, rows, [column.numeric for column in columns])))


def padded_rows(heads: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool]) -> list[str]:
    """The lines of a Markdown table of cells that are Markdown, padded so that it reads in a terminal."""
    widths = [max(3, *map(len, column)) for column in zip(heads, *rows, strict=True)]
    rules = ["-" * (width - 1) + ":" if right else "-" * width for width, right in zip(widths, numeric, strict=True)]
    padded = [
        [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        for row in (heads, rules, *rows)
    ]
    return [f"| {' | '.join(row)} |" for row in padded]


def captioned(tables: Iterable[Table | None]) -> Markup:
    """Those tables that there are, in Markdown with their captions."""
    from markupsafe import Markup

    found = [f"**{escape_markdown(table.caption)}**\n\n{markdown_table(table)}" for table in tables if table]
    return Markup("\n\n".join(found))


def _markdown_cell(cell: Cell) -> str:
    plain = cell.code and re.fullmatch(r"[\w./-]+", cell.text)
    text = f"`{cell.text}`" if plain else escape_markdown(cell.text)
    return f"{text} ({escape_markdown(cell.note)})" if cell.note else text
