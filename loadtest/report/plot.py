"""Lines and columns over labelled axes; each drawing has some hundred points at the most."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from loadtest.report.scale import Scale

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 1120, 230, 70, 48, 14
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis measures, and how far it goes."""

    name: str
    scale: Scale


class Plot:
    """Two axes from 0 on; every text in it is escaped."""

    def __init__(self, across: Axis, up: Axis) -> None:
        self._across, self._up = across.scale, up.scale
        self._parts: list[str] = []
        self._grid(across, up)

    def x(self, value: float) -> float:
        return LEFT + value / self._across.most * (WIDTH - LEFT - 12)

    def y(self, value: float) -> float:
        return TOP + (1 - value / self._up.most) * (HEIGHT - TOP - BOTTOM)

    def line(self, points: Points, *, kind: str) -> None:
        path = "L".join(f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in points)
        self._parts.append(f'<path class="line {kind}" d="M{path}"/>')

    def column(
        self, begin: float, end: float, *, low: float, high: float, kind: str, title: str
    ) -> None:
        """A column from `low` to `high` over a stretch of the x axis."""
        x, y = self.x(begin), self.y(high)
        width, height = max(self.x(end) - x - 1, 0.5), max(self.y(low) - y, 0.0)
        self._parts.append(
            f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}"><title>{escape(title)}</title></rect>'
        )

    def rule(self, value: float, label: str) -> None:
        """A dashed line across, with its name."""
        y = self.y(value)
        self._parts.append(
            f'<path class="limit" d="M{LEFT} {y:.1f}H{WIDTH - 12}"/>'
            f'<text x="{WIDTH - 14}" y="{y - 4:.1f}" text-anchor="end">{escape(label)}</text>'
        )

    def svg(self, label: str) -> str:
        return (
            f'<svg role="img" aria-label="{escape(label, quote=True)}" width="{WIDTH}" '
            f'height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">{"".join(self._parts)}</svg>'
        )

    def _grid(self, across: Axis, up: Axis) -> None:
        for value in up.scale.ticks:
            y = self.y(value)
            self._parts.append(
                f'<path class="axis" d="M{LEFT} {y:.1f}H{WIDTH - 12}"/>'
                f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
                f"{escape(up.scale.text(value))}</text>"
            )
        for value in across.scale.ticks:
            x = self.x(value)
            anchor = "end" if x > WIDTH - 40 else "middle"
            self._parts.append(
                f'<path class="axis" d="M{x:.1f} {HEIGHT - BOTTOM}v4"/>'
                f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="{anchor}">'
                f"{escape(across.scale.text(value))}</text>"
            )
        self._parts.append(
            f'<text class="name" x="{LEFT}" y="{HEIGHT - 8}">across: {escape(across.name)}'
            f" · up: {escape(up.name)}</text>"
        )


def thin(points: Points, most: int = 400) -> Points:
    """At most so many points, the highest of each group, so that no peak is lost."""
    if len(points) <= most:
        return points
    size = math.ceil(len(points) / most)
    groups = (points[start : start + size] for start in range(0, len(points), size))
    return [max(group, key=lambda point: point[1]) for group in groups]
