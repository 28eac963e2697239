"""Contrast of the report's colors, light and dark, and of matplotlib's pictures: WCAG 2.2, 1.4.3 and 1.4.11."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from edgecnn.visualization import plots

HTML = resources.files("edgecnn.report") / "templates" / "html"
TEXT, MARK = 4.5, 3.0
ON_PAGE = ("ink", "muted", "bar", "good", "bad", "open", "s1", "s2", "s3", "s4", "s5", "s6")  # text and marks
ON_FAINT = {
    "good-faint": ("good", "ink"),
    "bad-faint": ("bad", "ink"),
    "open-faint": ("open", "ink"),
    "faint": ("ink",),
}
DECORATION = {"rule", "plate", "shade", "page", *ON_FAINT}


def _themes() -> dict[str, dict[str, str]]:
    """Theme -> variable -> color, those of the dark one in addition to the light one's."""
    light, dark = re.split(r"@media[^{]+\{", (HTML / "colors.css").read_text())
    names = {name: dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", text)) for name, text in
             (("light", light), ("dark", dark))}  # fmt: skip
    return {"light": names["light"], "dark": {**names["light"], **names["dark"]}}


def _luminance(color: str) -> float:
    """Relative luminance of "#rrggbb", as WCAG defines it."""
    shares = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """From 1, the same, to 21, black and white."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_what_wcag_says_of_known_pairs() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read_and_marks_can_be_seen(theme: str) -> None:
    colors = _themes()[theme]
    for name in ON_PAGE:
        assert contrast(colors[name], colors["page"]) >= TEXT, name
    for ground, names in ON_FAINT.items():
        for name in names:
            assert contrast(colors[name], colors[ground]) >= TEXT, (name, ground)
    assert contrast(colors["ink"], colors["shade"]) >= TEXT, "text on the darkest cell of a matrix"
    assert colors.keys() == {*ON_PAGE, *DECORATION}, "a color that no line of this test looks at"


def test_every_color_is_a_variable() -> None:
    for path in HTML.iterdir():
        if path.name != "colors.css":
            assert not re.search(r"#[0-9a-fA-F]{3,8}\b(?=[;,)\"])|rgba?\(|hsla?\(", path.read_text()), path.name
    used = set(re.findall(r"var\(--([\w-]+)", (HTML / "style.css").read_text() + (HTML / "media.css").read_text()))
    assert used - {"share"} == _themes()["light"].keys()


def test_pictures_have_marks_that_can_be_seen() -> None:
    for name in ("INK", "MUTED"):
        assert contrast(getattr(plots, name), "#ffffff") >= TEXT, name
    for name in ("FIRST", "SECOND"):
        assert contrast(getattr(plots, name), "#ffffff") >= MARK, name
