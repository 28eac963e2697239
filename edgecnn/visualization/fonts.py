"""Fonts for class names in pictures: installed ones that have the letters, or numbers in place of what none has."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DEFAULT = "DejaVu Sans"  # matplotlib's own, which it carries along
PLACEHOLDERS = "Last Resort"  # of the font that has a box for everything


def families(texts: Iterable[str]) -> list[str]:
    """matplotlib's font, and after it those installed that have what it lacks, the ones with most of it first."""
    found, missing = [DEFAULT], _letters(texts) - _has(DEFAULT)
    while missing:
        best, gained = "", frozenset[str]()
        for name in _installed():
            more = missing & _has(name)
            if len(more) > len(gained):
                best, gained = name, more
            if gained == missing:
                break
        if not gained:
            break
        found.append(best)
        missing -= gained
    return found


def drawable(names: Sequence[str]) -> tuple[list[str], str]:
    """The names as pictures show them: one with a letter that no installed font has as "#" and its number, counted from
    0; and the sentence that says so, empty where all can be drawn."""
    letters = frozenset[str]().union(*(_has(family) for family in families(names)))
    shown = [name if _letters([name]) <= letters else f"#{number}" for number, name in enumerate(names)]
    if shown == list(names):
        return shown, ""
    return shown, "#: the number of a class, counted from 0, whose name no font on this machine can draw."


def _letters(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(letter for text in texts for letter in text if not letter.isspace())


@cache
def _installed() -> Mapping[str, str]:
    """The name of each installed font -> its file; upright and of normal weight where there is a choice."""
    from matplotlib.font_manager import fontManager

    plain_last = sorted(fontManager.ttflist, key=lambda font: font.style == "normal" and font.weight in (400, "normal"))
    return {font.name: font.fname for font in plain_last if not font.name.startswith(PLACEHOLDERS)}


@cache
def _has(family: str) -> frozenset[str]:
    """The letters of a font; none of one that cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(map(chr, FT2Font(_installed()[family]).get_charmap()))
    except (KeyError, OSError, RuntimeError):
        return frozenset()
