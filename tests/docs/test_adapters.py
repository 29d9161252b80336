"""Every rule for an adapter has a test, and the tests that the page names are there."""

from tests.docs.pages import ROOT, missing_tests, named_tests, read, tables

PAGE = ROOT / "docs" / "adapters.md"


def test_each_rule_names_a_test() -> None:
    rows = [row for table in tables(read(PAGE)) for row in table.rows]

    assert [rule for rule, tests in rows if not named_tests(tests)] == []
    assert len(rows) > 50


def test_the_named_tests_exist() -> None:
    assert missing_tests(read(PAGE)) == []
