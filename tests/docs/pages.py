"""Reads the Markdown pages; knows as much of the format as the pages use, and no more."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
README_ZH = ROOT / "README.zh-CN.md"
DECISIONS = ROOT / "docs" / "decisions"
# Generated; the page of the API leads to each.
REFERENCES = ROOT / "docs" / "openapi"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
# A file and a test in it, with the class around it where there is one.
_TEST = re.compile(r"(tests/[\w/]+\.py)::(?:\w+::)?(\w+)")
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Table:
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def every_page() -> list[Path]:
    """All pages of the project, the two READMEs and the changelog included."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def name(page: Path) -> str:
    """A page's path below the root, as a test's id."""
    return page.relative_to(ROOT).as_posix()


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(text: str) -> str:
    """The text without its fenced blocks."""
    return _FENCE.sub("", text)


def fences(text: str) -> list[tuple[str, str]]:
    """Every fenced block: its language and what is in it."""
    return _FENCE.findall(text)


def spans(text: str) -> list[str]:
    """Every piece of inline code, in order."""
    return _SPAN.findall(prose(text))


def links(text: str) -> list[str]:
    return _LINK.findall(_SPAN.sub("", prose(text)))


def headings(text: str) -> list[tuple[int, str]]:
    return [(len(marks), words) for marks, words in _HEADING.findall(prose(text))]


def named_tests(text: str) -> list[re.Match[str]]:
    """Every piece of inline code that names a test: its file, its name."""
    return [found for span in spans(text) if (found := _TEST.fullmatch(span))]


def missing_tests(text: str) -> list[str]:
    """Those that are named, and not there."""
    return [
        found[0]
        for found in named_tests(text)
        if not (ROOT / found[1]).is_file()
        or not re.search(rf"^ *(async )?def {found[2]}\(", read(ROOT / found[1]), re.MULTILINE)
    ]


def tables(text: str) -> list[Table]:
    found: list[Table] = []
    for block in re.findall(r"(?:^\|.*\|\n)+", prose(text), re.MULTILINE):
        header, _, *rows = [_cells(line) for line in block.splitlines()]
        found.append(Table(header, tuple(rows)))
    return found


def tables_headed(text: str, first: str) -> list[Table]:
    """The tables whose first column has this heading."""
    return [table for table in tables(text) if table.header[0] == first]


def section(text: str, heading: str) -> str:
    """What stands below a heading, down to the next one of its level or above."""
    found = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    if found is None:
        raise LookupError(f"no heading {heading!r}")
    rest = text[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def anchor(words: str) -> str:
    plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", words)
    return re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.strip().strip("|").split("|"))
