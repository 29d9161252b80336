"""The page's files: small, plain, without addresses outside; what its page of docs says is true."""

import re
from os.path import normpath
from pathlib import Path

import pytest

from services.api.http.page import FOLDER
from shared.jobs.messages import JobInput

SCRIPTS = sorted(FOLDER.rglob("*.js"))
# The rooms from the top down; `app.js` stands above them.
ROOMS = ("views", "data", "lib")
PAGE = Path("docs/dashboard.md").read_text(encoding="utf-8")
# Each makes markup or code out of text.
FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\("
)
OUTSIDE = re.compile(r"https?://(?!www\.w3\.org/2000/svg)|(?<!:)//[a-z]+\.[a-z]")


def _name(path: Path) -> str:
    return path.relative_to(FOLDER).as_posix()


def _imports(script: Path) -> set[Path]:
    named = re.findall(r'^import .* from "(\.[^"]+)";$', script.read_text(encoding="utf-8"), re.M)
    return {Path(normpath(script.parent / each)) for each in named}


def _floor(script: Path) -> int:
    return -1 if script.parent == FOLDER else ROOMS.index(script.parent.name)


@pytest.mark.parametrize("script", SCRIPTS, ids=_name)
def test_a_script_is_small_and_says_what_it_is_for(script: Path) -> None:
    text = script.read_text(encoding="utf-8")

    assert text.startswith("// ")
    assert text.count("\n") <= 400
    assert FORBIDDEN.search(text) is None


@pytest.mark.parametrize("file", sorted(filter(Path.is_file, FOLDER.rglob("*"))), ids=_name)
def test_a_file_names_no_address_outside(file: Path) -> None:
    assert OUTSIDE.search(file.read_text(encoding="utf-8")) is None


def test_the_html_has_no_inline_style_handler_or_script() -> None:
    text = (FOLDER / "index.html").read_text(encoding="utf-8")

    assert re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", text) is None


def test_a_job_that_is_run_again_is_given_all_that_it_was_started_with() -> None:
    text = (FOLDER / "data" / "jobs.js").read_text(encoding="utf-8")
    [listed] = re.findall(r"^export const INPUT = \[(.+)\];$", text, re.M)

    assert re.findall(r'"(\w+)"', listed) == list(JobInput.model_fields)


def test_every_script_is_used() -> None:
    used = {imported for path in SCRIPTS for imported in _imports(path)}
    unused = [_name(path) for path in SCRIPTS if path not in used]

    assert unused == ["app.js", "reload.js"]


def test_what_is_imported_is_there() -> None:
    missing = [path for script in SCRIPTS for path in _imports(script) if path not in SCRIPTS]

    assert missing == []


@pytest.mark.parametrize("script", SCRIPTS, ids=_name)
def test_a_script_imports_from_its_own_room_and_those_below(script: Path) -> None:
    above = [_name(each) for each in _imports(script) if _floor(each) < _floor(script)]

    assert above == []


def test_what_reckons_knows_no_element() -> None:
    drawing = {FOLDER / "lib" / name for name in ("dom.js",)}
    found = {_name(path): _imports(path) & drawing for path in (FOLDER / "data").glob("*.js")}

    assert found
    assert [name for name, drawn in found.items() if drawn] == []


def test_every_part_of_the_address_is_documented() -> None:
    text = (FOLDER / "data" / "address.js").read_text(encoding="utf-8")
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
