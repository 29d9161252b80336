"""The pages as pages: links, blocks, tables, the changelog, records, pictures, tests they name."""

import ast
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.pages import (
    DECISIONS,
    README,
    README_ZH,
    ROOT,
    anchor,
    every_page,
    fences,
    headings,
    links,
    missing_tests,
    name,
    named_tests,
    read,
    spans,
    tables,
    tables_headed,
)

INDEX = ROOT / "docs" / "README.md"
FOLDERS = "compose|docs|loadtest|requirements|services|shared|tests"
PATH = re.compile(rf"(?:{FOLDERS})(?:/[\w.\-]+)*/?")
each_page = pytest.mark.parametrize("page", every_page(), ids=name)


def local(page: Path) -> list[str]:
    """The targets of a page's links that lead to no other site."""
    return [target for target in links(read(page)) if not re.match(r"[a-z]+:", target)]


@each_page
def test_links_resolve(page: Path) -> None:
    for target in local(page):
        path, _, fragment = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), target
        if fragment:
            assert fragment in {anchor(words) for _, words in headings(read(file))}, target


@each_page
def test_paths_in_code_exist(page: Path) -> None:
    named = [span for span in spans(read(page)) if "/" in span and PATH.fullmatch(span)]

    assert [path for path in named if not (ROOT / path).exists()] == []


def tree() -> list[str]:
    """Return the folders that the development page lists; two blanks indent one level."""
    [body] = [it for _, it in fences(read(ROOT / "docs" / "development.md")) if "shared/ " in it]
    found, above = [], {-1: ""}
    for line in body.splitlines():
        level = (len(line) - len(line.lstrip())) // 2
        above[level] = above[level - 1] + line.split()[0]
        found.append(above[level].rstrip("/"))
    return found


def test_tree_lists_exactly_the_folders_of_the_code() -> None:
    roots = ("compose", "loadtest", "services", "shared")
    packages = {
        file.parent.relative_to(ROOT).as_posix()
        for root in roots
        for file in (ROOT / root).glob("*/__init__.py")
    }

    assert [folder for folder in tree() if not (ROOT / folder).is_dir()] == []
    assert packages - set(tree()) == set()
    assert len(tree()) == len(set(tree()))


def test_every_page_is_linked_from_the_readme_or_the_index() -> None:
    listed = {(page.parent / it).resolve() for page in (README, INDEX) for it in local(page)}
    pages = {page for page in every_page() if page.parent != DECISIONS}

    assert sorted(map(name, pages - listed - {README})) == []


LANGUAGES = {
    *("", "text", "sh", "python", "diff", "json", "jsonc"),
    *("mermaid", "html", "yaml", "http", "promql"),
}


@each_page
def test_code_blocks_parse(page: Path) -> None:
    blocks = fences(read(page))
    for language, body in blocks:
        assert language in LANGUAGES
        if language == "python":
            ast.parse(body)
        elif language == "json":
            json.loads(body)
    if shell := "\n".join(body for language, body in blocks if language == "sh"):
        subprocess.run(["sh", "-n"], input=shell, text=True, check=True, capture_output=True)


RECORDS = sorted(DECISIONS.glob("[0-9]*.md"))


def test_list_names_every_decision_record_by_its_title() -> None:
    listing = read(DECISIONS / "README.md")
    rows = re.findall(r"^\| \[(\d{4})\]\(([^)]+)\) \| (.+) \|$", listing, re.MULTILINE)
    titles = {record.name: headings(read(record))[0][1] for record in RECORDS}

    assert [file for _, file, _ in rows] == list(titles)
    assert {file: f"{number}. {words}" for number, file, words in rows} == titles
    assert links(listing) == list(titles)


def test_every_failure_case_names_existing_tests() -> None:
    text = read(ROOT / "docs" / "reliability.md")
    [table] = tables_headed(text, "#")
    answered = [*range(1, 27), 28, *range(31, 42)]

    assert [row[0] for row in table.rows] == [f"F{number}" for number in answered]
    assert [row[0] for row in table.rows if not named_tests(row[3])] == []
    assert missing_tests(text) == []


ENGLISH, CHINESE = read(README), read(README_ZH)
OTHER = {README.name, README_ZH.name}
# A cell is its code, or its number; the words of any other are translated, as comments are.
SAME: dict[str, Callable[[str], object]] = {
    "headings": lambda text: [level for level, _ in headings(text)],
    "blocks": lambda text: [
        re.sub(r"[ \t]*#.*$", "", body, flags=re.M) for _, body in fences(text)
    ],
    "tables": lambda text: [
        [sorted(spans(cell)) or re.findall(r"^(?:\d+|–)$", cell) for cell in row]
        for table in tables(text)
        for row in (table.header, *table.rows)
    ],
    "code": lambda text: sorted(spans(text)),
    "links": lambda text: [target for target in links(text) if target not in OTHER],
}


@pytest.mark.parametrize("part", SAME)
def test_both_readmes_have_the_same_parts(part: str) -> None:
    assert SAME[part](ENGLISH) == SAME[part](CHINESE)


def test_readmes_link_to_each_other_and_the_chinese_one_is_chinese() -> None:
    han = r"[\u4e00-\u9fff]"

    assert README_ZH.name in links(ENGLISH)
    assert README.name in links(CHINESE)
    assert [words for _, words in headings(CHINESE)[1:] if not re.search(han, words)] == []
    assert not re.search(rf"{han}[,;:?!]", CHINESE)
