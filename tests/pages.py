"""The pages of the documentation, taken apart for the tests: code blocks, tables, links, command lines."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from edgecnn.cli import cli

ROOT = Path(__file__).parent.parent
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in (ROOT / "README.md", *ROOT.glob("docs/*.md"))}
PLUG_INS = ("format", "runtime", "bundle")  # marks of the examples that are put into a copy of the package
_MARK = re.compile(r"<!-- test: (.+) -->")


@dataclass(frozen=True)
class Block:
    """A fenced block; `mark` is what the `<!-- test: ... -->` line above it says, "" for none."""

    page: str
    line: int
    language: str
    mark: str
    code: str

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(language: str) -> list[Block]:
    """All blocks of a language, in the order of the pages."""
    found = []
    for page, text in PAGES.items():
        lines = text.splitlines()
        start = None
        for number, line in enumerate(lines):
            if not line.startswith("```"):
                continue
            if start is None:
                start = number
                continue
            above = _MARK.fullmatch(lines[start - 1]) if start else None
            code = "\n".join(lines[start + 1 : number]) + "\n"
            found.append(Block(page, start + 2, lines[start][3:], above[1] if above else "", code))
            start = None
        assert start is None, f"{page} has a block without an end"
    return [block for block in found if block.language == language]


def prose(page: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", PAGES[page], flags=re.MULTILINE | re.DOTALL)


def inline_code(page: str) -> list[str]:
    """What stands between backticks in a page's text."""
    return [re.sub(r"\s+", " ", code).replace("\\|", "|") for code in re.findall(r"`([^`]+)`", prose(page))]


def table(page: str, mark: str) -> list[list[str]]:
    """The rows of the table below `<!-- test: mark -->`, without its head."""
    rows = PAGES[page].split(f"<!-- test: {mark} -->\n", 1)[1].split("\n\n", 1)[0].splitlines()
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def corpus() -> list[dict[str, Any]]:
    """The test images in docs/corpus/, as corpus.json lists them."""
    found: list[dict[str, Any]] = json.loads((ROOT / "docs" / "corpus" / "corpus.json").read_text())
    return found


def shell_lines() -> list[tuple[str, str]]:
    """(where, line) of every command line in a sh block, without its comment."""
    found = []
    for block in blocks("sh"):
        for number, line in enumerate(block.code.splitlines()):
            code = re.sub(r"(^|\s)#.*", "", line).strip()
            if code:
                found.append((f"{block.page}:{block.line + number}", code))
    return found


def commands(line: str) -> list[list[str]]:
    """The words of each command of a line that joins several with && or a pipe; redirections are left out."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&>")
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    words = iter(lexer)
    for word in words:
        if word in ("|", "&&"):
            found.append([])
        elif word == ">":
            next(words)
        else:
            found[-1].append(word)
    return found


def parse(words: list[str]) -> click.Context | None:
    """Parse the words after `edgecnn` as the command line does, without running anything; None where `--list` or
    `--help` ends the command. Raises click's UsageError for what the program does not take."""
    command: click.Command = cli
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    if isinstance(command, click.Group) and words and not words[0].startswith("-"):
        raise click.UsageError(f"there is no command {words[0]}")
    try:
        return command.make_context("edgecnn", list(words))
    except click.exceptions.Exit:
        return None


def is_name(words: list[str]) -> bool:
    """Whether these words after `edgecnn` are the name of a command alone, as in "`edgecnn cpu install` once"."""
    command: click.Command = cli
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    return command is not cli and words in ([], ["..."])


def options() -> set[str]:
    """Every option of every command."""

    def below(command: click.Command) -> set[str]:
        own = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        return own.union({"--help", "-h"}, *(below(c) for c in getattr(command, "commands", {}).values()))

    return below(cli)


def slug(heading: str) -> str:
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(page: str) -> set[str]:
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)}


def links(page: str) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", prose(page))
