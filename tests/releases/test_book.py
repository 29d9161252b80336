"""The book of callbacks outlives a release, in either direction.

When the stored one is not read any more, bring its table to the new columns where it is opened.
"""

from pathlib import Path

import pytest

from tests.releases.books import JOB_ID, ROW, restore

LATER = "ALTER TABLE callbacks ADD COLUMN of_a_later_release TEXT;"


@pytest.mark.parametrize("more", ["", LATER])
def test_a_book_of_another_release_is_read_and_written(tmp_path: Path, more: str) -> None:
    book = restore(tmp_path, more=more)
    assert book.newest(JOB_ID, limit=9) == [ROW]
    assert book.add(ROW) == 2
    book.settle(ROW._replace(receipt_id=2, held_until=None))
    assert [row.receipt_id for row in book.held()] == [1]
    assert [row.receipt_id for row in book.newest(JOB_ID, limit=9)] == [1, 2]
    book.connection.close()
