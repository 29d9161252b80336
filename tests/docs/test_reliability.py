"""The table of failure cases is whole, and the tests that it names are there."""

import re

from tests.docs.pages import ROOT, Table, read, spans, tables_headed

PAGE = ROOT / "docs" / "reliability.md"
CONTROL = ROOT / "tests" / "control" / "test_control.py"
# A file and a test in it, with the class around it where there is one.
REFERENCE = re.compile(r"(tests/[\w/]+\.py)::(?:\w+::)?(\w+)")


def table() -> Table:
    [found] = tables_headed(read(PAGE), "#")
    return found


def references(text: str) -> list[re.Match[str]]:
    """Every piece of inline code that names a test."""
    return [found for span in spans(text) if (found := REFERENCE.fullmatch(span))]


def test_every_case_has_a_row() -> None:
    answered = [*range(1, 27), 28]
    assert [row[0] for row in table().rows] == [f"F{number}" for number in answered]


def test_each_row_names_a_test() -> None:
    bad = [row[0] for row in table().rows if not references(row[3])]

    assert bad == []


def test_the_named_tests_exist() -> None:
    missing = [
        found[0]
        for found in references(read(PAGE))
        if not (ROOT / found[1]).is_file()
        or not re.search(rf"^ *(async )?def {found[2]}\(", read(ROOT / found[1]), re.MULTILINE)
    ]

    assert missing == []


def test_each_broken_build_is_in_the_table_with_the_rule_that_catches_it() -> None:
    [control] = tables_headed(read(PAGE), "build")
    named = [found[2] for row in control.rows for found in references(row[4])]

    assert named == re.findall(r"^async def (\w+_caught)\(", read(CONTROL), re.MULTILINE)
    [rules] = tables_headed(read(PAGE), "rule")
    assert {row[3] for row in control.rows} <= {row[0] for row in rules.rows}
