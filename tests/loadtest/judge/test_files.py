"""Two files are held to what they show; their bytes count where nobody has looked."""

import pytest

from loadtest.books.facts import StoredFile
from loadtest.judge.rules.jobs import _same


@pytest.mark.parametrize(
    ("sha256", "shows", "same"),
    [
        ("stored", "picture", True),
        ("sent", "picture", True),
        ("stored", "another", False),
        ("stored", None, True),
        ("sent", None, False),
        (None, None, None),
    ],
)
def test_whether_two_files_show_the_same(
    sha256: str | None, shows: str | None, same: bool | None
) -> None:
    stored = StoredFile(kind="image", bytes=1, sha256="stored", shows="picture")
    assert _same(sha256, shows, stored) is same


def test_a_file_that_nobody_looked_at_is_known_by_its_bytes() -> None:
    assert _same("sent", "picture", StoredFile(kind="image", bytes=1, sha256="stored")) is False
    assert _same("sent", "picture", StoredFile(kind="image", bytes=1)) is None
