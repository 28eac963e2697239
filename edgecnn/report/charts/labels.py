"""Labels beside the points that they name, where they cover neither points nor each other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.report.charts.chart import Label

if TYPE_CHECKING:
    from collections.abc import Sequence

    Box = tuple[float, float, float, float]  # left, top, right, bottom

FONT_SIZE = 12.5
CHARACTER = 0.57 * FONT_SIZE  # the width of one, on the safe side
HALF_LINE = 0.62 * FONT_SIZE
GAP = 10.0  # between a point and a label that stands close
COVERED = 5.0  # what a covered square pixel costs, in pixels of distance
CROSSED = 60.0  # what each of a leader's steps through something covered costs
STEPS = 8  # of a leader
RINGS = (0.0, 16.0, 30.0, 46.0, 64.0, 84.0, 106.0, 130.0)  # distances to try beyond the gap
DIRECTIONS = 16


@dataclass(frozen=True)
class Point:
    """What is to be named."""

    x: float
    y: float
    text: str
    strong: bool = False
    series: int = 0


def place(points: Sequence[Point], covered: Sequence[Box], bounds: Box) -> list[Label]:
    """A label for each point inside the bounds; `covered` are boxes that labels should keep off.

    Greedy: the points with the closest neighbors choose first, each the nearest place that covers least.
    """
    taken = [*covered]
    found: dict[Point, Label] = {}
    for point in sorted(points, key=lambda point: _room(point, points)):
        label, box = min(_places(point), key=lambda choice: _cost(point, choice[0], choice[1], taken, bounds))
        taken.append(box)
        found[point] = label
    return [found[point] for point in points]


def _room(point: Point, points: Sequence[Point]) -> float:
    return min((math.dist((point.x, point.y), (o.x, o.y)) for o in points if o is not point), default=math.inf)


def _places(point: Point) -> list[tuple[Label, Box]]:
    """Places around a point and their boxes, the nearest first."""
    found = []
    width = CHARACTER * len(point.text)
    for ring in RINGS:
        for number in range(DIRECTIONS):
            angle = 2 * math.pi * number / DIRECTIONS
            across, down = math.cos(angle), math.sin(angle)
            x, y = point.x + (GAP + ring) * across, point.y + (GAP + ring) * down
            anchor = "start" if across > 0.3 else "end" if across < -0.3 else "middle"
            left = x - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
            leader = (point.x, point.y, x - 3 * across, y - 3 * down) if ring else None
            label = Label(point.text, round(x, 1), round(y, 1), anchor, leader, point.strong, point.series)
            found.append((label, (left, y - HALF_LINE, left + width, y + HALF_LINE)))
    return found


def _cost(point: Point, label: Label, box: Box, taken: Sequence[Box], bounds: Box) -> float:
    """What is covered in square pixels, what the leader crosses, the distance, and far more for leaving the bounds."""
    outside = max(0.0, bounds[0] - box[0], bounds[1] - box[1], box[2] - bounds[2], box[3] - bounds[3])
    nearest = (min(max(point.x, box[0]), box[2]), min(max(point.y, box[1]), box[3]))
    covered = sum(overlap(box, other) for other in taken)
    distance = math.dist((point.x, point.y), nearest)
    return 1000 * outside + COVERED * covered + CROSSED * _crossed(point, label, taken) + 2 * distance


def _crossed(point: Point, label: Label, taken: Sequence[Box]) -> int:
    """Through how many boxes the steps of a leader go, besides those around its point."""
    if label.leader is None:
        return 0
    others = [box for box in taken if not _holds(box, point.x, point.y)]
    x, y, to_x, to_y = label.leader
    steps = [(x + (to_x - x) * i / STEPS, y + (to_y - y) * i / STEPS) for i in range(1, STEPS + 1)]
    return sum(_holds(box, *step) for box in others for step in steps)


def _holds(box: Box, x: float, y: float) -> bool:
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def overlap(one: Box, other: Box) -> float:
    """The area that two boxes share."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, across) * max(0.0, down)
