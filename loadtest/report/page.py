"""What a report is made of, and the same report as one HTML page and as Markdown.

Sections are built once, as blocks, which know nothing of either form. The page needs no script, no
font and no picture from elsewhere, and has every text in English and in Chinese.
"""

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, Template
from markupsafe import Markup, escape

from loadtest.times import duration
from shared.redact import as_markdown
from shared.texts import is_chinese, translated

GOOD, BAD, WARN, INFO = "good", "bad", "warn", "info"
# Nothing in the page runs, and the page fetches and sends nothing.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_TEMPLATES = Path(__file__).parent / "templates"
_MARKS = {GOOD: "✅", BAD: "❌", WARN: "⚠️", INFO: "ℹ️"}
_MOST_TICKS = 8


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell; `tone` colours it. `own`: a user's or a machine's value, which isn't translated."""

    text: str
    tone: str = ""
    href: str = ""
    own: bool = False


Cells = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; headings that begin with `#` stand over numbers."""

    heads: tuple[str, ...]
    rows: list[Cells]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    tone: str
    text: str


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """A command, to be copied."""

    text: str


@dataclass(frozen=True, slots=True)
class Tiles:
    """A few numbers that say most: (name, value, tone)."""

    tiles: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of time in a lane, coloured by its kind; the title is the same in each language."""

    begin: float
    end: float
    kind: str
    title: str


@dataclass(frozen=True, slots=True)
class Lane:
    name: str
    bars: list[Bar]


@dataclass(frozen=True, slots=True)
class Chart:
    """Lanes over one axis of time; across, all is a share of the width."""

    caption: str
    lanes: list[Lane]
    legend: tuple[tuple[str, str], ...]
    height: int = 12
    """Pixels of a lane."""

    def drawn(self) -> tuple[list[tuple[Lane, list[tuple[Bar, str, str]]]], list[tuple[str, str]]]:
        """Return each lane's bars, with begin and width, and the axis' ticks."""
        begin = min(bar.begin for lane in self.lanes for bar in lane.bars)
        seconds = max(bar.end for lane in self.lanes for bar in lane.bars) - begin or 1e-9

        def share(part: float) -> str:
            return f"{part / seconds * 100:.3f}%"

        # A browser does not draw what has no width.
        least = seconds / 2000
        lanes = [
            (
                lane,
                [
                    (bar, share(bar.begin - begin), share(max(bar.end - bar.begin, least)))
                    for bar in lane.bars
                ],
            )
            for lane in self.lanes
        ]
        power = 10.0 ** math.floor(math.log10(seconds / _MOST_TICKS))
        step = next(s * power for s in (1, 2, 5, 10) if s * power * _MOST_TICKS >= seconds)
        places = [place * step for place in range(int(seconds * 0.97 / step) + 1)]
        return lanes, [(share(place), duration(place)) for place in places]


Block = Tiles | Table | Notice | Text | Code | Chart


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the report; its place there is its number."""

    title: str
    lead: str
    blocks: list[Block] = field(default_factory=list)


def row(*values: Cell | str | float | None) -> Cells:
    """Return a table's row from plain values; None becomes a dash, numbers are shortened."""
    return tuple(
        value
        if isinstance(value, Cell)
        else Cell(
            "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
        )
        for value in values
    )


def own(text: str | None, *, href: str = "") -> Cell:
    """Return a cell with a prompt, a name or an id, which is the same in every language."""
    return Cell("–" if text is None else text, href=href, own=True)


def html(
    title: str,
    sections: list[Section],
    *,
    passed: bool,
    names: tuple[str, ...] = (),
    folded: int = 99,
) -> str:
    """Return the whole report as one page; `names` are what its title has for `{1}`, `{2}`.

    Sections behind that of number `folded` are opened by a click.
    """
    return _template("report.html.j2").render(
        title=title.format(None, *names),
        heading=both(title).format(None, *names),
        sections=sections,
        passed=passed,
        folded=folded,
        chinese=is_chinese(os.environ),
        policy=POLICY,
        css=Markup((_TEMPLATES / "report.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
    )


def drawing(title: str, chart: Chart) -> str:
    """Return a chart as an SVG file of its own, in English."""
    lanes, ticks = chart.drawn()
    return _template("lanes.svg.j2").render(
        title=title, lanes=lanes, ticks=ticks, legend=chart.legend, height=chart.height
    )


def _template(name: str) -> Template:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.tests["kind"] = lambda block, name: type(block).__name__ == name
    environment.filters |= {"both": both, "translated": translated}
    return environment.get_template(name)


def both(text: str) -> Markup:
    """Return a text in English and, if known, in Chinese; the page's style shows one."""
    chinese = translated(text)
    if chinese == text:
        return escape(text)
    return Markup('<span lang="en">{}</span><span lang="zh">{}</span>').format(text, chinese)


def markdown(title: str, sections: list[Section]) -> str:
    """Return the whole report as Markdown; of a chart it has only the caption."""
    lines = [f"# {title}", ""]
    for number, section in enumerate(sections, 1):
        lines += [f"## {number}. {section.title}", "", as_markdown(section.lead), ""]
        for block in section.blocks:
            lines += [*_lines(block), ""]
    return "\n".join(lines)


def _lines(block: Block) -> Iterator[str]:
    match block:
        case Table(heads=heads, rows=rows, caption=caption):
            yield from (f"**{caption}**", "") if caption else ()
            yield "| " + " | ".join(head.removeprefix("#") for head in heads) + " |"
            yield "|" + "|".join("---:" if head.startswith("#") else "---" for head in heads) + "|"
            yield from ("| " + " | ".join(map(_cell, cells)) + " |" for cells in rows)
        case Notice():
            yield f"> {_MARKS[block.tone]} {as_markdown(block.text)}"
        case Tiles():
            yield " · ".join(
                f"{as_markdown(name)}: **{as_markdown(value)}**" for name, value, _ in block.tiles
            )
        case Text():
            yield as_markdown(block.text)
        case Code():
            longest = max(map(len, re.findall("`+", block.text)), default=0)
            fence = "`" * max(3, longest + 1)
            yield from (f"{fence}sh", block.text, fence)
        case Chart():
            yield f"*Chart in report.html: {block.caption}*"


def _cell(cell: Cell) -> str:
    text, href = as_markdown(cell.text), cell.href.replace("(", "%28").replace(")", "%29")
    mark = f"{_MARKS[cell.tone]} " if cell.tone in (GOOD, BAD) else ""
    return f"{mark}[{text}]({href})" if href else f"{mark}{text}"
