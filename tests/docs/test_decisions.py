"""Decision records: short, numbered without a gap, of one form, and listed."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import DECISIONS, headings, links, name, read

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
