"""The table of failure cases is whole, and the tests that it names are there."""

import re

from tests.docs.pages import ROOT, Table, missing_tests, named_tests, read, tables_headed

PAGE = ROOT / "docs" / "reliability.md"
CONTROL = ROOT / "tests" / "control" / "test_control.py"


def table() -> Table:
    [found] = tables_headed(read(PAGE), "#")
    return found


def test_every_case_has_a_row() -> None:
    answered = [*range(1, 27), 28, *range(31, 42)]
    assert [row[0] for row in table().rows] == [f"F{number}" for number in answered]


def test_each_row_names_a_test() -> None:
    bad = [row[0] for row in table().rows if not named_tests(row[3])]

    assert bad == []


def test_the_named_tests_exist() -> None:
    assert missing_tests(read(PAGE)) == []


def test_each_broken_build_is_in_the_table_with_the_rule_that_catches_it() -> None:
    [control] = tables_headed(read(PAGE), "build")
    named = [found[2] for row in control.rows for found in named_tests(row[4])]

    assert named == re.findall(r"^async def (\w+_caught)\(", read(CONTROL), re.MULTILINE)
    [rules] = tables_headed(read(PAGE), "rule")
    assert {row[3] for row in control.rows} <= {row[0] for row in rules.rows}
