"""`edgecnn fit`."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecnn.cli import completion
from edgecnn.cli.options import json_option, print_json, run_argument
from edgecnn.console import say
from edgecnn.environment.boards import BOARDS, pick_board
from edgecnn.errors import GateFailed, InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgecnn.records import EngineFit, Fit

UNITS = {"": 1, "K": 1024, "M": 1024**2}
HEADINGS = ("layer", "operators", "output", "arena", "constants", "code", "multiply-adds")
LEFT = 3  # columns of words
WIDTH = 98  # of sentences, in letters


class Bytes(click.ParamType):  # type: ignore[type-arg]  # generic in newer clicks only
    """A number of bytes, as 16384, 16K or 2M."""

    name = "bytes"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> int:
        """The number; K is 1,024 and M 1,048,576 bytes."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"([0-9]{1,9})([KM]?)(i?B)?", str(value), re.IGNORECASE)
        if not found or not int(found[1]):
            self.fail(f"'{value}' is no size: 16384, 16K and 2M are.", param, context)
        return int(found[1]) * UNITS[found[2].upper()]


@click.command("fit")
@run_argument(pretrained=True, metavar="MODEL")
@click.option("--flash", type=Bytes(), help="Bytes of flash for the model, as 256K or 2M; K is 1,024 bytes.")
@click.option("--ram", type=Bytes(), help="Bytes of RAM for the model, as 16K.")
@click.option(
    "--board", metavar="NAME", shell_complete=completion.words(lambda: BOARDS),
    help=f"Where --flash or --ram is not given, all that the board has: {', '.join(BOARDS)}.",
)  # fmt: skip
@click.option(
    "--plot", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Draw the memory that each layer needs, as a PNG.",
)  # fmt: skip
@json_option
def command(run: Path, flash: int | None, ram: int | None, board: str | None, plot: Path | None, as_json: bool) -> None:
    """Say whether MODEL fits a microcontroller, layer by layer, as generated C and in TFLite Micro.

    MODEL is a run with tflite_int8_micro, from which c_int8 is generated; a pretrained run's name; or a full-integer
    .tflite file. Exit 1 when generated C does not fit.
    """
    known = pick_board(board) if board else None
    if flash is None and ram is None and known is None:
        raise UsageError(f"Say how much memory there is: --flash, --ram, or --board, one of {', '.join(BOARDS)}.")
    from edgecnn.stages import fit as stage

    if known:
        flash, ram = flash or known.flash_bytes, ram or known.ram_bytes
    record = stage.fit(run, flash, ram, f"{known.title}, {known.chip}, {known.core}" if known else "")
    if as_json:
        print_json(record)
    else:
        for line in _lines(record):
            say(line)
    generated = record.engines[0]
    if generated.fits is None:
        raise InputError(f"{generated.verdict}.")
    if plot:
        from edgecnn.visualization.memory import draw_memory

        draw_memory(record, plot)
    if not generated.fits:
        raise GateFailed(f"{generated.engine[0].upper()}{generated.engine[1:]} {generated.verdict}.")


def _lines(record: Fit) -> Iterator[str]:
    """The table of the steps, what there is, and each engine."""
    if record.steps:
        yield from _table([HEADINGS, *_rows(record)])
        yield "Bytes; arena: in use while the layer runs, * at its peak, | row by row with others; code at most."
        yield ""
    there = (("flash", record.flash_bytes), ("RAM", record.ram_bytes))
    sizes = ", ".join(f"{size:,} bytes of {kind}" for kind, size in there if size is not None)
    yield f"{record.board or 'Memory'}: {sizes}"
    for engine in record.engines:
        yield ""
        yield from _about(engine)


def _rows(record: Fit) -> Iterator[tuple[str, ...]]:
    for step in record.steps:
        numbers = (step.constant_bytes, step.code_bytes, step.multiply_adds)
        arena = f"{step.arena_bytes:,} {'|' if step.in_turn else ' '}{'*' if step.peak else ' '}"
        yield step.layer, step.operators, "x".join(map(str, step.shape)), arena, *(f"{number:,}" for number in numbers)


def _about(engine: EngineFit) -> Iterator[str]:
    if engine.fits is None:
        yield f"{engine.engine}: {engine.verdict}."
        return
    yield f"{engine.engine} {engine.verdict}."
    for name, total, parts in (("flash", engine.flash_bytes, engine.flash), ("RAM", engine.ram_bytes, engine.ram)):
        yield f"  {name:5} {total:>9,}  {', '.join(f'{part} {size:,}' for part, size in parts.items())}"
    yield from (f"  {line}" for line in textwrap.wrap(engine.basis, WIDTH))


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Columns; words to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = [str.ljust] * LEFT + [str.rjust] * (len(widths) - LEFT)
    for row in rows:
        cells = (align(cell, width) for align, cell, width in zip(aligned, row, widths, strict=True))
        yield "  ".join(cells).rstrip()
