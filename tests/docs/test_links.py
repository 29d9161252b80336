"""Links lead somewhere, paths exist, and every page is reached from the README."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import (
    DECISIONS,
    README,
    REFERENCES,
    ROOT,
    anchor,
    every_page,
    headings,
    links,
    name,
    read,
    spans,
    tables_headed,
)

FOLDERS = "compose|docs|loadtest|requirements|services|shared|tests"
PATH = re.compile(rf"(?:{FOLDERS})(?:/[\w.\-]+)*/?")


def local(target: str) -> bool:
    return not re.match(r"[a-z]+:", target)


@pytest.mark.parametrize("page", every_page(), ids=name)
def test_links_resolve(page: Path) -> None:
    broken = [
        target
        for target in filter(local, links(read(page)))
        if not _resolves(page, *target.partition("#")[::2])
    ]

    assert broken == []


def _resolves(page: Path, path: str, fragment: str) -> bool:
    file = (page.parent / path) if path else page
    if not file.exists():
        return False
    if not fragment:
        return True
    return fragment in {anchor(words) for _, words in headings(read(file))}


@pytest.mark.parametrize("page", every_page(), ids=name)
def test_paths_in_code_exist(page: Path) -> None:
    named = [span for span in spans(read(page)) if "/" in span and PATH.fullmatch(span)]

    assert [path for path in named if not (ROOT / path).exists()] == []


def test_files_named_beside_one_another_exist() -> None:
    """In the table of files a name without a folder is in the folder of the one before."""
    [table] = tables_headed(read(ROOT / "docs" / "architecture.md"), "file")
    missing = []
    for row in table.rows:
        folder = ROOT
        for span in spans(row[0]):
            path = ROOT / span if "/" in span else folder / span
            folder = path.parent
            missing += [] if path.exists() else [span]

    assert missing == []


def test_every_page_is_reached_from_the_readme() -> None:
    listed = {(ROOT / target).resolve() for target in filter(local, links(read(README)))}
    pages = {page for page in every_page() if page.parent not in (DECISIONS, REFERENCES)}

    assert sorted(map(name, pages - listed - {README})) == []


def test_an_anchor_is_made_as_readers_of_markdown_make_it() -> None:
    assert anchor("What it costs, in `history`") == "what-it-costs-in-history"
