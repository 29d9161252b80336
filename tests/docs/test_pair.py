"""The two READMEs say the same: headings, commands, tables and links are kept in step."""

import re

from tests.docs.pages import README, README_ZH, fences, headings, links, read, spans, tables

ENGLISH, CHINESE = read(README), read(README_ZH)
HAN = re.compile(r"[\u4e00-\u9fff]")


def commands(text: str) -> list[tuple[str, str]]:
    """Every block without its comments, which are translated."""
    return [(kind, re.sub(r"[ \t]*#.*$", "", body, flags=re.M)) for kind, body in fences(text)]


def test_headings_are_in_step() -> None:
    assert [level for level, _ in headings(ENGLISH)] == [level for level, _ in headings(CHINESE)]


def test_blocks_are_the_same() -> None:
    assert commands(ENGLISH) == commands(CHINESE)


def test_tables_have_the_same_shape() -> None:
    shapes = [
        [(len(table.header), len(table.rows)) for table in tables(text)]
        for text in (ENGLISH, CHINESE)
    ]

    assert shapes[0] == shapes[1]


def test_rows_have_the_same_code_and_numbers() -> None:
    assert _rows(ENGLISH) == _rows(CHINESE)


def _rows(text: str) -> list[list[object]]:
    return [
        [sorted(spans(cell)) or _value(cell) for cell in row]
        for table in tables(text)
        for row in table.rows
    ]


def _value(cell: str) -> str:
    """A cell that is no prose: a port, a dash; the words of any other are translated."""
    return cell if re.fullmatch(r"\d+|–", cell) else ""


def test_everything_in_code_is_in_both() -> None:
    assert sorted(spans(ENGLISH)) == sorted(spans(CHINESE))


def test_links_are_the_same() -> None:
    own = {README.name, README_ZH.name}
    there, here = (
        [target for target in links(text) if target not in own] for text in (ENGLISH, CHINESE)
    )

    assert there == here
    assert README_ZH.name in links(ENGLISH)
    assert README.name in links(CHINESE)


def test_the_chinese_one_is_chinese() -> None:
    untranslated = [words for _, words in headings(CHINESE)[1:] if not HAN.search(words)]

    assert untranslated == []
    assert not re.search(r"[\u4e00-\u9fff][,;:?!]", CHINESE)
