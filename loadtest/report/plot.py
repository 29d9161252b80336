"""Lines and columns over labelled axes; each drawing has some hundred points at the most."""

import math
from collections.abc import Callable, Sequence
from html import escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 1120, 220, 70, 34, 12
Points = Sequence[tuple[float, float]]
Format = Callable[[float], str]


class Plot:
    """Two axes from 0 to the largest value; every text in it is escaped."""

    def __init__(self, x_most: float, y_most: float, *, x_text: Format, y_text: Format) -> None:
        self._x_most, self._y_most = x_most or 1.0, nice(y_most)
        self._parts: list[str] = []
        self._grid(x_text, y_text)

    def x(self, value: float) -> float:
        return LEFT + value / self._x_most * (WIDTH - LEFT - 12)

    def y(self, value: float) -> float:
        return TOP + (1 - value / self._y_most) * (HEIGHT - TOP - BOTTOM)

    def line(self, points: Points, *, kind: str) -> None:
        path = "L".join(f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in points)
        self._parts.append(f'<path class="line {kind}" d="M{path}"/>')

    def column(self, begin: float, end: float, value: float, *, kind: str, title: str) -> None:
        x, y = self.x(begin), self.y(value)
        width, height = max(self.x(end) - x - 1, 0.5), max(self.y(0) - y, 0.0)
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

    def _grid(self, x_text: Format, y_text: Format) -> None:
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            y, x = self.y(share * self._y_most), self.x(share * self._x_most)
            anchor = "start" if share == 0 else "end" if share == 1 else "middle"
            self._parts.append(
                f'<path class="axis" d="M{LEFT} {y:.1f}H{WIDTH - 12}"/>'
                f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
                f"{escape(y_text(share * self._y_most))}</text>"
                f'<text x="{x:.1f}" y="{HEIGHT - 14}" text-anchor="{anchor}">'
                f"{escape(x_text(share * self._x_most))}</text>"
            )


def nice(value: float) -> float:
    """The next round number that quarters stay readable with."""
    if value <= 0:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 8, 10) if step * power >= value * 0.9999)


def thin(points: Points, most: int = 400) -> Points:
    """At most so many points, the highest of each group, so that no peak is lost."""
    if len(points) <= most:
        return points
    size = math.ceil(len(points) / most)
    groups = (points[start : start + size] for start in range(0, len(points), size))
    return [max(group, key=lambda point: point[1]) for group in groups]


def whole(value: float) -> str:
    """A count on an axis."""
    return f"{value:,.0f}" if value == round(value) else f"{value:,.4g}"
