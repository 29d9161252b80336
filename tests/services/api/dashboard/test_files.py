"""The page's files: small, plain, without addresses outside; what its page of docs says is true."""

import re
from pathlib import Path

import pytest

from services.api.http.page import FOLDER

SCRIPTS = sorted(FOLDER.glob("*.js"))
PAGE = Path("docs/dashboard.md").read_text(encoding="utf-8")
# Each makes markup or code out of text.
FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\("
)
OUTSIDE = re.compile(r"https?://(?!www\.w3\.org/2000/svg)|(?<!:)//[a-z]+\.[a-z]")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_small_and_says_what_it_is_for(script: Path) -> None:
    text = script.read_text(encoding="utf-8")

    assert text.startswith("// ")
    assert text.count("\n") <= 300
    assert FORBIDDEN.search(text) is None


@pytest.mark.parametrize("file", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_a_file_names_no_address_outside(file: Path) -> None:
    assert OUTSIDE.search(file.read_text(encoding="utf-8")) is None


def test_the_html_has_no_inline_script_or_style() -> None:
    text = (FOLDER / "index.html").read_text(encoding="utf-8")

    assert re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", text) is None


def test_every_script_is_used() -> None:
    every = "".join(path.read_text(encoding="utf-8") for path in SCRIPTS)
    unused = [path.name for path in SCRIPTS if f'"./{path.name}"' not in every]

    assert unused == ["app.js"]


def test_every_part_of_the_address_is_documented() -> None:
    text = (FOLDER / "address.js").read_text(encoding="utf-8")
    defaults = re.findall(r"(\w+): \"", text.split("DEFAULTS = {", 1)[1].split("}")[0])

    assert defaults
    assert [name for name in defaults if f"| `{name}` |" not in PAGE] == []


def test_every_call_of_the_page_is_documented() -> None:
    every = "".join(path.read_text(encoding="utf-8") for path in SCRIPTS)
    calls = {
        call.split("$")[0] for call in re.findall(r"/(?:console|dashboard/config)[/\w$]*", every)
    }

    assert calls
    assert [call for call in sorted(calls) if call not in PAGE] == []
