"""A chart as the templates draw it: everything in pixels, from the top left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgecnn.report.charts.axis import Axis

WIDE, NARROW = (1000, 440), (360, 400)  # width and height: of a page, and of a phone
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 14, 50  # margins


@dataclass(frozen=True)
class Tick:
    """A line of the grid and its label."""

    at: float
    text: str


@dataclass(frozen=True)
class Mark:
    """A point, with the ends of its intervals."""

    x: float
    y: float
    left: float
    right: float
    top: float
    bottom: float
    state: str  # "passed", "failed", "unproven" or "reference"


@dataclass(frozen=True)
class Label:
    """A text beside what it names; `leader` is a line from there, or None where it stands close."""

    text: str
    x: float
    y: float
    anchor: str  # "start", "middle" or "end"
    leader: tuple[float, float, float, float] | None = None
    strong: bool = False
    series: int = 0  # whose color it has; 0: the text's


@dataclass(frozen=True)
class Line:
    """A line through points, "x,y x,y"; `series` counts from 1."""

    points: str
    series: int
    dashed: bool = False


@dataclass(frozen=True)
class Frame:
    """The plot within a chart: two axes and their place."""

    x: Axis
    y: Axis
    width: int
    height: int
    right: int = RIGHT

    def px(self, value: float) -> float:
        """Where a value of the x axis lies."""
        return round(LEFT + self.x.at(value) * (self.width - LEFT - self.right), 1)

    def py(self, value: float) -> float:
        """Where a value of the y axis lies."""
        return round(TOP + (1 - self.y.at(value)) * (self.height - TOP - BOTTOM), 1)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the plot."""
        return LEFT, TOP, self.width - self.right, self.height - BOTTOM


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart of one width; `title` says in words what it shows."""

    title: str
    width: int
    height: int
    box: tuple[float, float, float, float]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    x_name: str
    y_name: str
    lines: tuple[Line, ...] = ()
    marks: tuple[Mark, ...] = ()
    labels: tuple[Label, ...] = ()


def chart(
    frame: Frame,
    title: str,
    names: tuple[str, str],
    write: tuple[Callable[[float], str], Callable[[float], str]],
    *,
    lines: Sequence[Line] = (),
    marks: Sequence[Mark] = (),
    labels: Sequence[Label] = (),
) -> Chart:
    """A chart in a frame; `names` and `write` are of the x and the y axis."""
    return Chart(
        title=title,
        width=frame.width,
        height=frame.height,
        box=frame.box,
        x_ticks=tuple(Tick(frame.px(value), write[0](value)) for value in frame.x.ticks),
        y_ticks=tuple(Tick(frame.py(value), write[1](value)) for value in frame.y.ticks),
        x_name=names[0],
        y_name=names[1],
        lines=tuple(lines),
        marks=tuple(marks),
        labels=tuple(labels),
    )
