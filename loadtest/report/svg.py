"""Drawings of rows over time; every text passes through `escape`, colours come from the page's CSS.

Across all is a share of the width, so that the page can make a drawing as wide as it likes.
"""

from collections.abc import Sequence
from html import escape

from loadtest.report.blocks import Chart
from loadtest.report.scale import times
from loadtest.report.tips import Tip, tipped

ZOOMS = (1, 4, 16)
"""How many times as wide as the page a drawing of rows can be made."""
_AXIS = 34


class Canvas:
    """Rows with a common time axis from `begin` to `end` (seconds), and their names apart."""

    def __init__(self, height: int, *, begin: float, end: float) -> None:
        self.height = height + _AXIS
        self._begin, self._span = begin, max(end - begin, 1e-9)
        self._parts: list[str] = []
        self._names: list[str] = []

    def x(self, at: float) -> str:
        return f"{(at - self._begin) / self._span * 100:.3f}%"

    def bar(
        self, begin: float, end: float, *, y: float, height: float, kind: str, title: Tip
    ) -> None:
        """A bar over a stretch of time; the page's CSS strokes it, so that none is invisible."""
        width = max(end - begin, 0.0) / self._span * 100
        shape = (
            f'class="{kind}" x="{self.x(begin)}" y="{y:g}" width="{width:.3f}%" height="{height:g}"'
        )
        self._parts.append(tipped("rect", shape, title))

    def tick(self, at: float, *, y: float, height: float, kind: str, title: Tip) -> None:
        """A short upright stroke."""
        x = self.x(at)
        shape = f'class="{kind}" x1="{x}" x2="{x}" y1="{y:g}" y2="{y + height:g}"'
        self._parts.append(tipped("line", shape, title))

    def begin_row(self, name: str, *, href: str) -> None:
        """A row that `#name` and `#zh-name` lead to, and that leads to an address itself."""
        name, href = escape(name, quote=True), escape(href, quote=True)
        self._parts.append(f'<g id="zh-{name}"><a id="{name}" href="{href}" aria-label="{name}">')

    def end_row(self) -> None:
        self._parts.append("</a></g>")

    def label(self, text: str, *, y: float, row: str = "") -> None:
        """A name at the left edge; it leads to its row in the language that is read."""
        words = f'<text class="name" x="96%" y="{y:g}" text-anchor="end">{escape(text)}</text>'
        if row:
            row = escape(row, quote=True)
            words = (
                f'<a lang="en" href="#{row}">{words}</a><a lang="zh" href="#zh-{row}">{words}</a>'
            )
        self._names.append(words)

    def axis(self) -> None:
        """A line below with round instants since the beginning; zoomed there are more of them."""
        y = self.height - 20
        self._parts.append(f'<line class="axis" x1="0" x2="100%" y1="{y}" y2="{y}"/>')
        for zoom in ZOOMS:
            marks = "".join(self._mark(tick, zoom, y) for tick in self._ticks(zoom))
            self._parts.append(f'<g class="ticks z{zoom}">{marks}</g>')

    def _ticks(self, zoom: int) -> tuple[float, ...]:
        """Round instants, as many as fit the drawing at this width."""
        ticks = times(self._span / zoom, tight=True).ticks
        step = ticks[1] if len(ticks) > 1 else self._span
        return tuple(place * step for place in range(int(self._span / step + 1e-9) + 1))

    def _mark(self, tick: float, zoom: int, y: int) -> str:
        x, text = self.x(self._begin + tick), times(self._span / zoom).text(tick)
        near_end = tick / self._span > 1 - 0.05 / zoom
        anchor = "end" if near_end else "start" if tick == 0 else "middle"
        return (
            f'<line class="axis" x1="{x}" x2="{x}" y1="{y}" y2="{y + 4}"/>'
            f'<text x="{x}" y="{y + 16}" text-anchor="{anchor}">{text}</text>'
        )

    def chart(self, caption: str, *, legend: str) -> Chart:
        """The drawing, which can be zoomed, and its rows' names beside it."""
        return Chart(
            self._drawn(self._parts, "plot"),
            caption,
            legend=legend,
            names=self._drawn(self._names, "names"),
            zooms=ZOOMS,
        )

    def _drawn(self, parts: list[str], kind: str) -> str:
        return f'<svg class="{kind}" height="{self.height}">{"".join(parts)}</svg>'


def legend(kinds: Sequence[tuple[str, str]]) -> str:
    """Coloured squares with their names, in as many lines as they need."""
    return "".join(f'<span><i class="{kind}"></i>{escape(name)}</span>' for kind, name in kinds)
