"""Who keeps which book; the import contracts see to it that no two code bases share a mistake."""

import re
from pathlib import Path

from loadtest.books.model import LEDGERS, RECORDS, WITNESSES, codes, witnesses

OF_SHARED = {
    "shared.temporal.codec",
    "shared.errors",
    "shared.files",
    "shared.settings.payloads",
    "shared.process_exit",
    "shared.texts",
}


def test_each_book_has_a_name_of_its_own() -> None:
    assert len({each.name for each in WITNESSES}) == len(WITNESSES)


def test_real_vendors_show_no_ledger() -> None:
    assert set(WITNESSES) - set(witnesses(mocked=False)) == {LEDGERS}
    assert LEDGERS.code not in codes(witnesses(mocked=False))


def test_list_and_records_are_one_book() -> None:
    assert "API" in RECORDS.name
    assert sum("records" in each.name for each in WITNESSES) == 1


def test_of_shared_the_load_test_has_nothing_that_decides() -> None:
    texts = (path.read_text("utf-8") for path in Path("loadtest").rglob("*.py"))
    found = {name for text in texts for name in re.findall(r"^from (shared[\w.]*)", text, re.M)}

    assert found <= OF_SHARED
