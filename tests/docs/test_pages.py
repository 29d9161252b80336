"""The pages as pages: links, blocks, tables, the changelog, records, pictures, tests they name."""

import ast
import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import (
    DECISIONS,
    README,
    README_ZH,
    ROOT,
    Table,
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


def tree() -> list[str]:
    """Return the folders that the development page lists; two blanks indent one level."""
    [body] = [it for _, it in fences(read(ROOT / "docs" / "development.md")) if "shared/ " in it]
    found, above = [], {-1: ""}
    for line in body.splitlines():
        level = (len(line) - len(line.lstrip())) // 2
        above[level] = above[level - 1] + line.split()[0]
        found.append(above[level].rstrip("/"))
    return found


def test_the_tree_has_each_folder_of_the_code_and_no_other() -> None:
    roots = ("compose", "loadtest", "services", "shared")
    packages = {
        file.parent.relative_to(ROOT).as_posix()
        for root in roots
        for file in (ROOT / root).glob("*/__init__.py")
    }

    assert [folder for folder in tree() if not (ROOT / folder).is_dir()] == []
    assert packages - set(tree()) == set()
    assert len(tree()) == len(set(tree()))


def test_every_page_is_reached_from_the_readme_or_the_index() -> None:
    listed = {
        (page.parent / target).resolve()
        for page in (README, INDEX)
        for target in filter(local, links(read(page)))
    }
    pages = {page for page in every_page() if page.parent != DECISIONS}

    assert sorted(map(name, pages - listed - {README})) == []


LANGUAGES = {
    "",
    "text",
    "sh",
    "python",
    "diff",
    "json",
    "jsonc",
    "mermaid",
    "html",
    "yaml",
    "http",
    "promql",
}


@pytest.mark.parametrize("page", every_page(), ids=name)
def test_blocks_parse(page: Path) -> None:
    for language, body in fences(read(page)):
        assert language in LANGUAGES
        check(language, body)


def check(language: str, body: str) -> None:
    if language == "python":
        ast.parse(body)
    elif language == "json":
        json.loads(body)
    elif language == "sh":
        subprocess.run(["sh", "-n"], input=body, text=True, check=True, capture_output=True)


KINDS = {"Added", "Changed", "Deprecated", "Removed", "Removed before 1.0", "Fixed", "Security"}
CHANGELOG = read(ROOT / "CHANGELOG.md")


def test_versions_and_kinds_have_their_form() -> None:
    versions = [words for level, words in headings(CHANGELOG) if level == 2]
    kinds = {words for level, words in headings(CHANGELOG) if level == 3}

    assert versions[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", it) for it in versions[1:])
    assert kinds <= KINDS


RECORDS = sorted(DECISIONS.glob("[0-9]*.md"))
LONGEST = 60


def test_numbers_have_no_gap() -> None:
    assert [record.name[:4] for record in RECORDS] == [
        f"{number:04}" for number in range(1, len(RECORDS) + 1)
    ]


@pytest.mark.parametrize("record", RECORDS, ids=name)
def test_a_record_is_short_and_has_the_four_parts(record: Path) -> None:
    text = read(record)

    assert len(text.splitlines()) <= LONGEST
    assert [words for level, words in headings(text) if level == 2] == [
        "Context",
        "Decision",
        "Consequences",
        "Rejected",
    ]
    assert re.search(r"^Date: \d{4}-\d\d-\d\d\. Status: \w+", text, re.MULTILINE)


def test_the_list_names_every_record_by_its_title() -> None:
    listing = read(DECISIONS / "README.md")
    rows = re.findall(r"^\| \[(\d{4})\]\(([^)]+)\) \| (.+) \|$", listing, re.MULTILINE)
    titles = {record.name: headings(read(record))[0][1] for record in RECORDS}

    assert [file for _, file, _ in rows] == list(titles)
    assert {file: f"{number}. {words}" for number, file, words in rows} == titles
    assert links(listing) == list(titles)


SHOWN = re.compile(r"!\[[^]]+\]\(([^)]+)\)")
MOST_BYTES = 1_500_000


def test_each_is_shown_and_is_there() -> None:
    shown = {
        (page.parent / target).resolve()
        for page in every_page()
        for target in SHOWN.findall(read(page))
    }
    drawn = set((ROOT / "docs" / "pictures").iterdir())

    assert shown == drawn


def test_all_together_are_small() -> None:
    drawn = [*(ROOT / "docs").rglob("*.png"), *(ROOT / "docs").rglob("*.gif")]

    assert sum(path.stat().st_size for path in drawn) < MOST_BYTES


RELIABILITY = ROOT / "docs" / "reliability.md"


def table() -> Table:
    [found] = tables_headed(read(RELIABILITY), "#")
    return found


def test_every_case_has_a_row() -> None:
    answered = [*range(1, 27), 28, *range(31, 42)]
    assert [row[0] for row in table().rows] == [f"F{number}" for number in answered]


def test_each_row_names_a_test() -> None:
    bad = [row[0] for row in table().rows if not named_tests(row[3])]

    assert bad == []


ENGLISH, CHINESE = read(README), read(README_ZH)
HAN = re.compile(r"[\u4e00-\u9fff]")


def commands(text: str) -> list[tuple[str, str]]:
    """Every block without its comments, which are translated."""
    return [(kind, re.sub(r"[ \t]*#.*$", "", body, flags=re.M)) for kind, body in fences(text)]


def test_headings_are_in_step() -> None:
    assert [level for level, _ in headings(ENGLISH)] == [level for level, _ in headings(CHINESE)]


def test_blocks_are_the_same() -> None:
    assert commands(ENGLISH) == commands(CHINESE)


def test_tables_have_the_same_shape() -> None:
    shapes = [
        [(len(table.header), len(table.rows)) for table in tables(text)]
        for text in (ENGLISH, CHINESE)
    ]

    assert shapes[0] == shapes[1]


def test_rows_have_the_same_code_and_numbers() -> None:
    assert _rows(ENGLISH) == _rows(CHINESE)


def _rows(text: str) -> list[list[object]]:
    return [
        [sorted(spans(cell)) or _value(cell) for cell in row]
        for table in tables(text)
        for row in table.rows
    ]


def _value(cell: str) -> str:
    """A cell that is no prose: a port, a dash; the words of any other are translated."""
    return cell if re.fullmatch(r"\d+|–", cell) else ""


def test_everything_in_code_is_in_both() -> None:
    assert sorted(spans(ENGLISH)) == sorted(spans(CHINESE))


def test_links_are_the_same() -> None:
    own = {README.name, README_ZH.name}
    there, here = (
        [target for target in links(text) if target not in own] for text in (ENGLISH, CHINESE)
    )

    assert there == here
    assert README_ZH.name in links(ENGLISH)
    assert README.name in links(CHINESE)


def test_the_chinese_one_is_chinese() -> None:
    untranslated = [words for _, words in headings(CHINESE)[1:] if not HAN.search(words)]

    assert untranslated == []
    assert not re.search(r"[\u4e00-\u9fff][,;:?!]", CHINESE)


def test_the_named_tests_exist() -> None:
    assert missing_tests(read(RELIABILITY)) == []
