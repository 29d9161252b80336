"""What a section is made of; blocks know nothing of Markdown or HTML."""

from dataclasses import dataclass, field

GOOD, BAD, WARN, INFO = "good", "bad", "warn", "info"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell; `tone` colours it, and the text alone still says it.

    `own`: a value of a user's or a machine's, and the same in every language.
    """

    text: str
    tone: str = ""
    href: str = ""
    own: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; headings that begin with `#` stand over numbers."""

    heads: tuple[str, ...]
    rows: list[tuple[Cell, ...]]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence that must not be missed."""

    tone: str
    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """A command, to be copied."""

    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture with the sentence that says what to see in it.

    `names` are its rows' names, which stay where they are while the picture is zoomed and moved.
    """

    svg: str
    caption: str
    legend: str = ""
    names: str = ""
    zooms: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Links:
    """Files beside the report: (address, what it is)."""

    links: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Tiles:
    """A few numbers that say most: (name, value, tone)."""

    tiles: tuple[tuple[str, str, str], ...]


Block = Tiles | Table | Notice | Text | Code | Chart | Links


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the report; its place there is its number."""

    title: str
    lead: str
    blocks: list[Block] = field(default_factory=list)


def row(*cells: "Cell | str | float | None") -> tuple[Cell, ...]:
    """A table's row from plain values; None becomes a dash, numbers are shortened."""
    return tuple(_cell(value) for value in cells)


def own(text: str | None, *, href: str = "") -> Cell:
    """A prompt, a name, an id: what no table of texts may touch."""
    return Cell("–" if text is None else text, href=href, own=True)


def _cell(value: "Cell | str | float | None") -> Cell:
    if isinstance(value, Cell):
        return value
    if value is None:
        return Cell("–")
    if isinstance(value, float):
        return Cell(f"{value:.4g}")
    return Cell(str(value))
