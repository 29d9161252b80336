"""The table of the page's texts: what the page says is in it, and what is in it is said."""

import json
import re

import pytest

from services.api.http.page import FOLDER
from services.callback.models import Fate
from services.mock_core.faults.presets import PRESETS
from shared.jobs.states import OnVideoFailure, Status, Step
from shared.texts import PAGE
from tests.shared.test_texts import blanks

TABLE: dict[str, str] = json.loads(PAGE.read_text(encoding="utf-8"))
COMMENT = re.compile(r"^\s*//[^\n]*$|/\*\*.*?\*/", re.M | re.S)
LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
CALLED = re.compile(r'\bt\(\s*"((?:[^"\\]|\\.)*)"')
# Several words, a word with a capital, or one that is cut off by dots.
PROSE = re.compile(r".*[A-Za-z{}][,;:.]? [A-Za-z{].*|[A-Z][a-z]+[.…]?|.*…")
NOT_SAID = {
    "Enter",
    "Escape",
    "English",
    "input, textarea, select, [contenteditable]",
    "waiting for its callback",
    "make doctor",
    "make ps",
    "make logs S=worker",
    "make test-10",
}
# Built from a word and a number, a name of a field, or a word of the API's.
COUNTED = ("fault", "image", "job", "rule", "video")
MADE = {
    *(f"{{n}} {noun}{end}" for noun in COUNTED for end in ("", "s")),
    *(f"{{n}} {unit}" for unit in ("ms", "s", "min", "h", "d")),
    *(f"last {span}" for span in ("15 min", "1 h", "24 h", "7 d")),
    *(f"Download the {step}" for step in Step),
    *("Prompt", "Style", "Tag", "Priority"),
    *("both", "demo", "usual", "fast"),
    *Status,
    *Step,
    *OnVideoFailure,
    *(fate.replace("_", " ") for fate in Fate),
    *(plain.replace("`", "") for each in PRESETS.values() for plain in (each.says, each.expect)),
}


def _scripts() -> str:
    texts = (path.read_text(encoding="utf-8") for path in sorted(FOLDER.rglob("*.js")))
    return COMMENT.sub("", "\n".join(texts))


def _html() -> set[str]:
    text = (FOLDER / "index.html").read_text(encoding="utf-8")
    marked = re.findall(r"<[^>]*? data-t>[^<]*", text)
    found = (re.search(r'aria-label="([^"]+)"|>(.+)', each) for each in marked)
    return {match[1] or match[2] for match in found if match}


def _said() -> set[str]:
    scripts = _scripts()
    prose = {text for text in LITERAL.findall(scripts) if PROSE.fullmatch(text)}
    return (set(CALLED.findall(scripts)) | prose | _html() | MADE) - NOT_SAID


def test_every_text_of_the_page_is_in_the_table() -> None:
    assert sorted(_said() - set(TABLE)) == []


def test_every_text_of_the_table_is_said() -> None:
    literals = set(LITERAL.findall(_scripts()))

    assert sorted(set(TABLE) - _said() - literals - {"mocks"}) == []


def test_what_is_not_said_is_still_in_the_scripts() -> None:
    assert sorted(NOT_SAID - set(LITERAL.findall(_scripts()))) == []


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_preset_has_blanks_of_nobody(preset: str) -> None:
    assert blanks(PRESETS[preset].says + PRESETS[preset].expect) == []
