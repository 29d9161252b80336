"""The book of callbacks outlives a release, in either direction.

When the stored one is not read any more, bring its table to the new columns where it is opened.
"""

from pathlib import Path

import pytest

from tests.releases.books import ENTRY, JOB_ID, restore

LATER = "ALTER TABLE callbacks ADD COLUMN of_a_later_release TEXT;"


@pytest.mark.parametrize("more", ["", LATER])
def test_a_book_of_another_release_is_read_and_written(tmp_path: Path, more: str) -> None:
    book = restore(tmp_path, more=more)
    assert book.newest(JOB_ID, limit=9) == [ENTRY]
    assert book.add(ENTRY) == 2
    book.settle(ENTRY._replace(receipt_id=2, held_until=None))
    assert [entry.receipt_id for entry in book.in_quarantine()] == [1]
    assert [entry.receipt_id for entry in book.newest(JOB_ID, limit=9)] == [1, 2]
    book.connection.close()
