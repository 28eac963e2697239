"""`edgecnn fit`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli import completion
from edgecnn.cli.options import json_option, print_json, run_argument
from edgecnn.environment.boards import BOARDS
from edgecnn.errors import GateFailed, InputError, UsageError

if TYPE_CHECKING:
    from edgecnn.records import Fit

UNITS = {"": 1, "K": 1024, "M": 1024**2}
HEADINGS = ("layer", "operators", "output", "arena", "constants", "code", "multiply-adds")


class Bytes(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks only
    """A number of bytes, as 16384, 16K or 2M."""

    name = "bytes"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> int:
        """The number; K is 1,024 and M 1,048,576 bytes."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d{1,9})([KM]?)(i?B)?", str(value), re.IGNORECASE)
        if not found or not int(found[1]):
            self.fail(f"'{value}' is no size: 16384, 16K and 2M are.", param, context)
        return int(found[1]) * UNITS[found[2].upper()]


@click.command("fit")
@run_argument(pretrained=True, metavar="MODEL")
@click.option("--flash", type=Bytes(), help="Flash for the model, as 256K (of 1,024 bytes).")
@click.option("--ram", type=Bytes(), help="RAM for the model, as 16K.")
@click.option(
    "--board", metavar="NAME", shell_complete=completion.words(lambda: BOARDS),
    help=f"Take both from a board's: {', '.join(BOARDS)}.",
)  # fmt: skip
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw memory over the layers to a PNG.")
@json_option
def command(run: Path, flash: int | None, ram: int | None, board: str | None, plot: Path | None, as_json: bool) -> None:
    """Say whether MODEL fits a microcontroller, layer by layer, as generated C and in TFLite Micro.

    MODEL is a run, a pretrained one, or its tflite_int8_micro file. Exit 1 when generated C does not fit.
    """
    from edgecnn.environment.boards import pick_board
    from edgecnn.stages import fit as stage

    known = pick_board(board) if board else None
    if known:
        flash, ram = flash or known.flash_bytes, ram or known.ram_bytes
    if flash is None or ram is None:
        raise UsageError(f"Say how much there is: --flash and --ram, or --board, one of {', '.join(BOARDS)}.")
    record = stage.fit(run, flash, ram, known.title if known else "")
    if plot:
        from edgecnn.visualization.memory import draw_memory

        draw_memory(record, plot)
    if as_json:
        print_json(record)
    else:
        click.echo("\n".join(_lines(record)))
    generated = record.engines[0]
    if generated.fits is None:
        raise InputError(f"Whether it fits is {generated.reason}.")
    if not generated.fits:
        raise GateFailed(f"{generated.engine[0].upper()}{generated.engine[1:]} {generated.reason}.")


def _lines(record: Fit) -> list[str]:
    peak = max((step.arena_bytes for step in record.steps), default=0)
    rows = [
        (step.layer, step.operators, "x".join(map(str, step.shape)),
         f"{step.arena_bytes:,}{' *' if step.arena_bytes == peak else '  '}",
         f"{step.constant_bytes:,}", f"{step.code_bytes:,}", f"{step.multiply_adds:,}")
        for step in record.steps
    ]  # fmt: skip
    lines = _table([HEADINGS, *rows]) if rows else []
    if rows:
        lines += ["Bytes; code at most; *: where the arena is fullest.", ""]
    where = record.board or "What was named"
    lines.append(f"{where}: {record.flash_bytes:,} bytes of flash, {record.ram_bytes:,} bytes of RAM.")
    for engine in record.engines:
        lines.append(f"{engine.engine}: {engine.reason}")
        if engine.fits is not None:
            lines.append(f"  flash {engine.flash_bytes:>9,}  {engine.flash_is}")
            lines.append(f"  RAM   {engine.ram_bytes:>9,}  {engine.ram_is}")
    return lines


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    """Columns; names to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = [str.ljust] * 3 + [str.rjust] * (len(widths) - 3)
    return [
        "  ".join(align(cell, width) for align, cell, width in zip(aligned, row, widths, strict=True)).rstrip()
        for row in rows
    ]
