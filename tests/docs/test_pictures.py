"""The pictures of the documentation: each is there, is shown, and all of them are small."""

import re

from tests.docs.pages import ROOT, every_page, read

SHOWN = re.compile(r"!\[[^]]+\]\(([^)]+)\)")
MOST_BYTES = 1_500_000


def test_each_is_shown_and_is_there() -> None:
    shown = {
        (page.parent / target).resolve()
        for page in every_page()
        for target in SHOWN.findall(read(page))
    }
    drawn = set((ROOT / "docs" / "pictures").iterdir())

    assert shown == drawn


def test_all_together_are_small() -> None:
    drawn = [*(ROOT / "docs").rglob("*.png"), *(ROOT / "docs").rglob("*.gif")]

    assert sum(path.stat().st_size for path in drawn) < MOST_BYTES
