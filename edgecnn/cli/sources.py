"""Which images a command line means: files, folders, patterns, and standard input."""

from __future__ import annotations

import glob
import os
import sys
from typing import TYPE_CHECKING

import click

from edgecnn.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

STDIN = "-"
SUFFIXES = (".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp")
MAX_STDIN_BYTES = 1 << 30


def image_paths(words: Iterable[str]) -> list[str]:
    """The files that the words of a command line stand for, in their order; "-" stays what it is.

    A folder means the images in it and below, in alphabetical order, without hidden ones; of a word that is no file but
    has `*`, `?` or `[` in it, the files that match. Raises InputError where a folder or a pattern means no file. Any
    other word is taken for a file, so that whoever reads it says what is wrong.
    """
    found: list[str] = []
    for word in words:
        if os.path.isdir(word):
            found += _nonempty(_in_folder(word), f"There is no image in {word}; it has none of {', '.join(SUFFIXES)}.")
        elif word != STDIN and not os.path.exists(word) and glob.has_magic(word):
            files = sorted(path for path in glob.iglob(word, recursive=True) if os.path.isfile(path))
            found += _nonempty(files, f"There is no file like {word}; check the pattern.")
        else:
            found.append(word)
    return found


def source_of(path: str) -> str | bytes:
    """What the predictor takes for a path: itself, or of "-" the content of standard input, one image."""
    return _stdin() if path == STDIN else path


def _in_folder(folder: str) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield os.path.join(place, name)


def _nonempty(files: Iterable[str], otherwise: str) -> list[str]:
    found = list(files)
    if not found:
        raise InputError(otherwise)
    return found


def _stdin() -> bytes:
    if sys.stdin is None:
        raise InputError("- reads an image from standard input, which is closed; redirect a file to it.")
    if sys.stdin.isatty():
        raise click.UsageError("- reads an image from standard input, which is this terminal; redirect a file to it.")
    content = sys.stdin.buffer.read(MAX_STDIN_BYTES + 1)
    if len(content) > MAX_STDIN_BYTES:
        raise InputError(f"Standard input is longer than {MAX_STDIN_BYTES:,} bytes, so it is not an image.")
    return content
