"""Lines and columns over labelled axes; each drawing has some hundred points at the most."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from loadtest.report.blocks import Chart
from loadtest.report.scale import Scale
from loadtest.report.tips import Tip, tipped

HEIGHT, BOTTOM, TOP = 230, 48, 14
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis measures, and how far it goes."""

    name: str
    scale: Scale


class Plot:
    """Two axes from 0 on; across all is a share of the width. Every text in it is escaped."""

    def __init__(self, across: Axis, up: Axis) -> None:
        self._across, self._up = across.scale, up.scale
        self._parts: list[str] = []
        self._names: list[str] = []
        self._grid(across, up)

    def x(self, value: float) -> float:
        """A share of the width, in per cent."""
        return value / self._across.most * 100

    def y(self, value: float) -> float:
        return TOP + (1 - value / self._up.most) * (HEIGHT - TOP - BOTTOM)

    def line(self, points: Points, *, kind: str) -> None:
        """A line through points; it is stretched to the width, its stroke is not."""
        path = "L".join(f"{self.x(x):.2f} {self.y(y):.1f}" for x, y in points)
        self._parts.append(
            f'<svg width="100%" height="{HEIGHT}" viewBox="0 0 100 {HEIGHT}" '
            f'preserveAspectRatio="none">'
            f'<path class="line {kind}" d="M{path}"/></svg>'
        )

    def column(
        self, begin: float, end: float, *, low: float, high: float, kind: str, title: Tip
    ) -> None:
        """A column from `low` to `high` over a stretch of the x axis."""
        x, y = self.x(begin), self.y(high)
        width, height = max(self.x(end) - x - 0.08, 0.04), max(self.y(low) - y, 0.0)
        shape = (
            f'class="{kind}" x="{x:.2f}%" y="{y:.1f}" width="{width:.2f}%" height="{height:.1f}"'
        )
        self._parts.append(tipped("rect", shape, title))

    def rule(self, value: float, label: str) -> None:
        """A dashed line across, with its name."""
        y = self.y(value)
        self._parts.append(
            f'<line class="limit" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="name" x="99.8%" y="{y - 4:.1f}" text-anchor="end">{escape(label)}</text>'
        )

    def chart(self, caption: str, *, legend: str = "") -> Chart:
        """The drawing with the names of its axes."""
        drawn, names = (
            f'<svg class="{kind}" height="{HEIGHT}">{"".join(parts)}</svg>'
            for kind, parts in (("plot", self._parts), ("names", self._names))
        )
        return Chart(drawn, caption, legend=legend, names=names)

    def _grid(self, across: Axis, up: Axis) -> None:
        for value in up.scale.ticks:
            y = self.y(value)
            self._parts.append(f'<line class="axis" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>')
            self._names.append(
                f'<text x="94%" y="{y + 4:.1f}" text-anchor="end">'
                f"{escape(up.scale.text(value))}</text>"
            )
        bottom = HEIGHT - BOTTOM
        for value in across.scale.ticks:
            x = self.x(value)
            anchor = "end" if x > 95 else "start" if value == 0 else "middle"
            self._parts.append(
                f'<line class="axis" x1="{x:.2f}%" x2="{x:.2f}%" y1="{bottom}" y2="{bottom + 4}"/>'
                f'<text x="{x:.2f}%" y="{bottom + 16}" text-anchor="{anchor}">'
                f"{escape(across.scale.text(value))}</text>"
            )
        self._parts.append(
            f'<text class="name" x="0" y="{HEIGHT - 8}">across: {escape(across.name)}'
            f" · up: {escape(up.name)}</text>"
        )


def thin(points: Points, most: int = 400) -> Points:
    """At most so many points, the highest of each group, so that no peak is lost."""
    if len(points) <= most:
        return points
    size = math.ceil(len(points) / most)
    groups = (points[start : start + size] for start in range(0, len(points), size))
    return [max(group, key=lambda point: point[1]) for group in groups]
