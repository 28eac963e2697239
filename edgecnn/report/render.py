"""How pages are made from templates: escaping, numbers in words, Markdown tables that line up."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from edgecnn.data.output_labels import prediction_name
from edgecnn.records.common import runtime_name, setting_name, target_name

if TYPE_CHECKING:
    from edgecnn.records import LatencyRow

# What a flip's kind is called on a page.
FLIP_NAMES = {"negative": "negative flip", "positive": "positive flip", "neutral": "wrong both times"}


def render(name: str, view: dict[str, Any], *, html: bool) -> str:
    """A page from its template; every value in it is escaped for HTML, or else for Markdown."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("edgecnn.report"),
        autoescape=html,
        finalize=None if html else escape_markdown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["percent"] = lambda share: f"{share:.2%}"
    environment.filters["kib"] = lambda size: f"{size / 1024:,.1f}" if size < 10240 else f"{size / 1024:,.0f}"
    environment.filters["count"] = lambda number: f"{number:,}"
    environment.filters["signed"] = lambda points: f"{points:+.2f}".replace("-", "\N{MINUS SIGN}")
    environment.filters["duration"] = duration
    environment.filters["nodes"] = lambda counts: ", ".join(f"{name} {n}" for name, n in counts.items()) or "none"
    environment.filters["target"] = target
    environment.filters["aligned"] = aligned
    environment.filters["prediction"] = prediction_name
    environment.globals |= {"runtime_name": runtime_name, "target_name": target_name}
    environment.filters["flip"] = lambda kind: FLIP_NAMES.get(kind, kind)
    environment.filters["code"] = lambda text: Markup(
        " ".join(text.split())
    )  # in an indented block nothing is Markdown
    return environment.get_template(f"{name}.j2").render(view)


def target(row: LatencyRow, with_device: bool) -> str:
    """How a row was measured, in words."""
    words = setting_name(row.threads, row.batch)
    return f"{words}, {row.placement.device}" if with_device else words


def duration(seconds: float) -> str:
    """Seconds in words, with two units at most."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s" if seconds >= 10 else f"{seconds:.1f} s"


def escape_markdown(value: object) -> str:
    """A value as text of one line in which nothing is Markdown or HTML; what is marked safe stays as it is."""
    if hasattr(value, "__html__"):
        return str(value)
    return re.sub(r"([\\`*\[\]<>|&])", r"\\\1", " ".join(str(value).split()))


def aligned(table: str) -> str:
    """A Markdown table, one row a line, with its columns padded so that it reads in a terminal."""
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.split("\n") if line.strip()]
    widths = [max(3, *(len(row[i]) for row in rows if row is not rows[1])) for i in range(len(rows[0]))]
    right = [rule.endswith(":") for rule in rows[1]]
    rows[1] = ["-" * (width - 1) + ":" if flush else "-" * width for width, flush in zip(widths, right, strict=True)]
    padded = [
        [
            cell.rjust(width) if flush else cell.ljust(width)
            for cell, width, flush in zip(row, widths, right, strict=True)
        ]
        for row in rows
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in padded) + "\n"
