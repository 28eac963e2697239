"""The files that build servers read of a command: JUnit XML, and Markdown for a pull request."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from edgecnn.console import printable
from edgecnn.files import staged
from edgecnn.report.checks import FAILED, NO_FIGURE, PASSED, SKIPPED
from edgecnn.report.render import escape_markdown, padded_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edgecnn.report.checks import Check, CheckList

MAX_ROWS = 16  # of the Markdown table; with the reasons and all else these are 40 lines at most
MAX_REASONS = {FAILED: 6, SKIPPED: 3}
MAX_LETTERS = 300  # of a cell or a reason


def write_check_files(checks: CheckList, junit: Path | None, markdown: Path | None) -> None:
    """Write the files that are wanted, each whole or not at all."""
    for path, text_of in ((junit, junit_xml), (markdown, markdown_table)):
        if path is not None:
            with staged(path) as draft:
                draft.write_text(text_of(checks), encoding="utf-8")


def junit_xml(checks: CheckList) -> str:
    """JUnit XML as Jenkins' schema junit-10 has it: one suite, one test case per check."""
    counts = {
        "tests": str(len(checks.checks)),
        "failures": str(len(checks.of(FAILED))),
        "errors": "0",
        "time": f"{sum(check.seconds for check in checks.checks):.3f}",
    }
    name = printable(f"edgecnn {checks.command} {checks.subject}")
    root = ET.Element("testsuites", {"name": name, **counts})
    suite = ET.SubElement(root, "testsuite", {"name": name, **counts, "skipped": str(len(checks.of(SKIPPED)))})
    if checks.created:
        suite.set("timestamp", checks.created.removesuffix("+00:00"))
    properties = ET.SubElement(suite, "properties")
    for key, value in {"subject": checks.subject, **checks.facts}.items():
        ET.SubElement(properties, "property", {"name": printable(key), "value": printable(value)})
    for check in checks.checks:
        suite.append(_test_case(checks, check))
    if checks.notes:
        ET.SubElement(suite, "system-out").text = "\n".join(map(printable, checks.notes))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _test_case(checks: CheckList, check: Check) -> ET.Element:
    case = ET.Element(
        "testcase",
        {"name": printable(check.name), "classname": f"edgecnn.{checks.command}", "time": f"{check.seconds:.3f}"},
    )
    reason = printable(check.reason)
    if check.state == FAILED:
        ET.SubElement(case, "failure", {"message": reason, "type": printable(check.kind)}).text = reason
    elif check.state == SKIPPED:
        ET.SubElement(case, "skipped", {"message": reason})
    if check.figures:
        figures = zip(checks.columns, check.figures, strict=True)
        ET.SubElement(case, "system-out").text = "\n".join(printable(f"{name}: {figure}") for name, figure in figures)
    return case


def markdown_table(checks: CheckList) -> str:
    """A heading with the result, a table with the failures first, and the reasons: at most 40 lines, without HTML."""
    passed, failed, skipped = (checks.of(state) for state in (PASSED, FAILED, SKIPPED))
    if checks.gate:
        verdict = f": {FAILED if failed else PASSED if passed else 'nothing was checked'}"
        counts = f"{len(passed)} passed, {len(failed)} failed, {len(skipped)} skipped"
    else:
        verdict, counts = "", f"{len(passed)} measured, {len(skipped)} skipped"
    lines = [
        f"### edgecnn {checks.command}{verdict}",
        "",
        f"{_cell(checks.subject)}: {counts}. {' '.join(_cell(note) for note in checks.notes)}".rstrip(),
        "",
        *_rows(checks, [check for check in (*failed, *passed) if check.figures]),
        *_reasons(failed, FAILED),
        *_reasons(skipped, SKIPPED),
    ]
    if "machine" in checks.facts:
        lines += ["", _cell(f"{checks.facts['machine']}; edgecnn {checks.facts.get('edgecnn', '')}".rstrip("; "))]
    return "\n".join(lines) + "\n"


def _rows(checks: CheckList, shown: Sequence[Check]) -> Iterator[str]:
    """The table, without the columns that are empty."""
    if not shown:
        return
    columns = [i for i in range(len(checks.columns)) if any(check.figures[i] != NO_FIGURE for check in shown)]
    heads = ["target", *(checks.columns[i] for i in columns)]
    rows = [[_cell(check.name), *(_cell(check.figures[i]) for i in columns)] for check in shown[:MAX_ROWS]]
    numeric = [False, *(True for _ in columns)]
    if checks.gate:
        heads, numeric = [*heads, "result"], [*numeric, False]
        results = (PASSED if check.state == PASSED else f"**{check.kind}**" for check in shown[:MAX_ROWS])
        rows = [[*row, result] for row, result in zip(rows, results, strict=True)]
    yield from padded_rows(heads, rows, numeric)
    if len(shown) > MAX_ROWS:
        yield ""
        yield f"{len(shown) - MAX_ROWS} more are not shown."


def _reasons(checks: Sequence[Check], state: str) -> Iterator[str]:
    most = MAX_REASONS[state]
    if checks:
        yield ""
    for check in checks[:most]:
        yield f"- {_cell(check.name)} {state}: {_cell(check.reason)}"
    if len(checks) > most:
        yield f"- {len(checks) - most} more {state}."


def _cell(text: str) -> str:
    short = text if len(text) <= MAX_LETTERS else f"{text[:MAX_LETTERS]} ..."
    return escape_markdown(printable(short))
