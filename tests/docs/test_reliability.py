"""The table of failure cases is whole, and the tests that it names are there."""

import re

from tests.docs.pages import ROOT, Table, read, spans, tables_headed

PAGE = ROOT / "docs" / "reliability.md"
NONE = "none yet"
# A file and a test in it, with the class around it where there is one.
REFERENCE = re.compile(r"(tests/[\w/]+\.py)::(?:\w+::)?(\w+)")


def table() -> Table:
    [found] = tables_headed(read(PAGE), "#")
    return found


def test_every_case_has_a_row() -> None:
    assert [row[0] for row in table().rows] == [f"F{number}" for number in range(1, 19)]


def test_a_row_names_a_test_or_says_that_there_is_none() -> None:
    bad = [
        row[0]
        for row in table().rows
        if row[3] != NONE and not any(REFERENCE.fullmatch(span) for span in spans(row[3]))
    ]

    assert bad == []


def test_the_named_tests_exist() -> None:
    named = [found for span in spans(read(PAGE)) if (found := REFERENCE.fullmatch(span))]
    missing = [
        found[0]
        for found in named
        if not (ROOT / found[1]).is_file()
        or not re.search(rf"^ *(async )?def {found[2]}\(", read(ROOT / found[1]), re.MULTILINE)
    ]

    assert missing == []
