"""The tables of texts: each in Chinese, with the same blanks, and none told twice."""

import json
import re
from pathlib import Path

import pytest

FILES = sorted(Path("shared/texts").glob("*.json"))
HAN = re.compile(r"[\u4e00-\u9fff]")
# Signs, and what is written in the same way in both.
ALIKE = {
    ", ",
    "{n} of {most}",
    "{n} of {jobs}",
    "{what}.",
    "{what}: {value}",
    "{1}={2} ({3}) {4}",
    "FAIL: {1}",
    "{1}: job-{2}: {3}",
}


def blanks(text: str) -> list[str]:
    return sorted(re.findall(r"\{\w+\}", text))


def _table(path: Path) -> dict[str, str]:
    pairs = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=list)
    assert len({text for text, _ in pairs}) == len(pairs)
    return dict(pairs)


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_every_text_is_in_chinese_with_the_same_placeholders(file: Path) -> None:
    table = _table(file)

    assert table
    assert [text for text, chinese in table.items() if not HAN.search(chinese)] == sorted(
        ALIKE & set(table)
    )
    assert [each for each, chinese in table.items() if blanks(each) != blanks(chinese)] == []


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_table_is_sorted(file: Path) -> None:
    assert list(_table(file)) == sorted(_table(file))


def test_shared_texts_have_one_translation() -> None:
    pairs = {pair for file in FILES for pair in _table(file).items()}

    assert len({text for text, _ in pairs}) == len(pairs)
