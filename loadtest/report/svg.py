"""Small SVG drawings; every text passes through `escape`, colours come from the page's CSS."""

from collections.abc import Sequence
from html import escape

from loadtest.report.scale import times


class Canvas:
    """A drawing with a time axis from `begin` to `end` (seconds)."""

    def __init__(
        self, width: int, height: int, *, begin: float, end: float, left: int = 90
    ) -> None:
        self.width, self.height, self.left = width, height, left
        self._begin, self._span = begin, max(end - begin, 1e-9)
        self._parts: list[str] = []

    def x(self, at: float) -> float:
        return self.left + (at - self._begin) / self._span * (self.width - self.left - 12)

    def bar(
        self, begin: float, end: float, *, y: float, height: float, kind: str, title: str = ""
    ) -> None:
        """A bar over a stretch of time; at least half a pixel, so that nothing is invisible."""
        x = self.x(begin)
        width = max(self.x(end) - x, 0.5)
        tip = f"<title>{escape(title)}</title>" if title else ""
        self._parts.append(
            f'<rect class="{kind}" x="{x:.1f}" y="{y:g}" width="{width:.1f}" '
            f'height="{height:g}">{tip}</rect>'
        )

    def tick(self, at: float, *, y: float, height: float, kind: str, title: str) -> None:
        """A short upright stroke."""
        x = self.x(at)
        self._parts.append(
            f'<path class="{kind}" d="M{x:.1f} {y:g}v{height:g}">'
            f"<title>{escape(title)}</title></path>"
        )

    def label(self, text: str, *, y: float, href: str = "") -> None:
        """A name at the left edge."""
        words = f'<text x="{self.left - 8}" y="{y:g}" text-anchor="end">{escape(text)}</text>'
        if href:
            words = f'<a href="{escape(href, quote=True)}">{words}</a>'
        self._parts.append(words)

    def axis(self) -> None:
        """A line below with the time since the beginning, at round instants."""
        y = self.height - 20
        self._parts.append(f'<path class="axis" d="M{self.left} {y}H{self.width - 12}"/>')
        scale = times(self._span, tight=True)
        for tick in scale.ticks:
            x = self.x(self._begin + tick)
            anchor = "end" if x > self.width - 40 else "middle"
            self._parts.append(
                f'<path class="axis" d="M{x:.1f} {y}v4"/>'
                f'<text x="{x:.1f}" y="{y + 16}" text-anchor="{anchor}">{scale.text(tick)}</text>'
            )

    def svg(self, label: str) -> str:
        return (
            f'<svg role="img" aria-label="{escape(label, quote=True)}" width="{self.width}" '
            f'height="{self.height}" viewBox="0 0 {self.width} {self.height}">'
            f"{''.join(self._parts)}</svg>"
        )


def legend(kinds: Sequence[tuple[str, str]]) -> str:
    """Coloured squares with their names, as a drawing of its own."""
    x, parts = 4, []
    for kind, name in kinds:
        parts.append(f'<rect class="{kind}" x="{x}" y="5" width="11" height="11"/>')
        parts.append(f'<text x="{x + 16}" y="15">{escape(name)}</text>')
        x += 30 + 7 * len(name)
    return (
        f'<svg role="img" aria-label="legend" width="{x}" height="21" viewBox="0 0 {x} 21">'
        f"{''.join(parts)}</svg>"
    )
