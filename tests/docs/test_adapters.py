"""Every rule for an adapter has a test that is there, and every preset was run over its wires."""

from services.mock_core.faults.presets import PRESETS
from tests.docs.pages import ROOT, missing_tests, named_tests, read, tables, tables_headed

PAGE = ROOT / "docs" / "adapters.md"
VENDORS = ROOT / "docs" / "vendors.md"


def test_each_rule_names_a_test() -> None:
    rows = [row for table in tables(read(PAGE)) for row in table.rows]

    assert [rule for rule, tests in rows if not named_tests(tests)] == []
    assert len(rows) > 50


def test_the_named_tests_exist() -> None:
    assert missing_tests(read(PAGE)) == []


def test_what_was_seen_over_the_native_wires_is_told_of_each_preset() -> None:
    [seen] = tables_headed(read(VENDORS), "preset")

    assert [row[0].strip("`") for row in seen.rows] == ["none", *PRESETS]
