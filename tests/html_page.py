"""What a browser makes of an HTML page, and what is wrong with its source."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "hr", "input", "col", "wbr"}
INSIDE = {  # element -> those that it may stand in
    "tr": {"thead", "tbody"}, "td": {"tr"}, "th": {"tr"}, "thead": {"table"}, "tbody": {"table"}, "caption": {"table"},
    "li": {"ul", "ol"}, "summary": {"details"}, "figcaption": {"figure"}, "circle": {"g", "svg"}, "dt": {"dl", "div"},
    "dd": {"dl", "div"},
}  # fmt: skip
BLOCKS = {"div", "p", "table", "ul", "dl", "pre", "figure", "h1", "h2", "h3", "details", "section", "nav"}
PHRASING = {"p", "h1", "h2", "h3", "code", "span", "a", "small", "dt", "strong", "pre"}  # that hold no blocks


class Page(HTMLParser):
    """The tags of a page with their attributes, its text, and `problems` of its source."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._texts: list[str] = []
        self.problems: list[str] = []
        self.rows: list[tuple[str, int]] = []  # caption of the table, and cells of each row
        self._open: list[str] = []
        self.feed(source)
        self.close()
        self.text = re.sub(r"\s+", " ", " ".join(self._texts))
        self.problems += [f"<{tag}> is not closed" for tag in self._open]
        if not source.startswith("<!DOCTYPE html>"):
            self.problems.append("no doctype")
        self._check_names()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.tags.append((tag, attributes))
        parent = self._open[-1] if self._open else ""
        if len(attributes) < len(attrs):
            self._report(f"<{tag}> has an attribute twice")
        if tag in INSIDE and parent not in INSIDE[tag]:
            self._report(f"<{tag}> in <{parent}>")
        if tag in BLOCKS and set(self._open) & PHRASING and not (tag in ("h1", "h2", "h3") and parent == "summary"):
            self._report(f"<{tag}> inside {' > '.join(self._open)}")
        if tag == "tr":
            self.rows.append((f"table {sum(t == 'table' for t, _ in self.tags)}", 0))
        if tag in ("td", "th"):
            self.rows[-1] = (self.rows[-1][0], self.rows[-1][1] + 1)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1] != tag:
            self._report(f"</{tag}> closes {' > '.join(self._open)}")
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] != "style":
            self._texts.append(data)

    def _report(self, what: str) -> None:
        self.problems.append(f"line {self.getpos()[0]}: {what}")

    def _check_names(self) -> None:
        """Ids are used once, anchors lead somewhere, pictures have words, tables as many cells in each row."""
        ids = [attributes["id"] for _, attributes in self.tags if "id" in attributes]
        self.problems += [f"id {name} twice" for name in ids if ids.count(name) > 1]
        anchors = [attributes["href"] for tag, attributes in self.tags if tag == "a"]
        self.problems += [f"{href} leads nowhere" for href in anchors if href.startswith("#") and href[1:] not in ids]
        self.problems += ["a picture without words" for tag, a in self.tags if tag == "img" and not a.get("alt")]
        self.problems += ["a chart without words" for tag, a in self.tags if tag == "svg" and not a.get("aria-label")]
        for name in dict.fromkeys(name for name, _ in self.rows):
            if len({cells for other, cells in self.rows if other == name}) > 1:
                self.problems.append(f"{name} has rows of different lengths")
        headings = [int(tag[1]) for tag, _ in self.tags if re.fullmatch(r"h\d", tag)]
        pairs = zip([0, *headings], headings, strict=False)
        self.problems += [f"h{two} after h{one}" for one, two in pairs if two > one + 1]
