"""Commands that the pages print run as they are printed."""

import importlib.util
import re
from pathlib import Path

import pytest

from compose.stack.cli import COMMANDS, STANDALONE
from tests.compose.made import made, project
from tests.docs import commands
from tests.docs.pages import ROOT, every_page, name, read

PYTHON = ".venv/bin/python"
STACK = "compose/stack.sh"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project(tmp_path_factory.mktemp("project"))


def is_command(words: list[str]) -> bool:
    """Whether compose/stack has such a command, with so many words."""
    command, *rest = words
    taken = 0 if command in STANDALONE else COMMANDS[command][0] if command in COMMANDS else None
    return len(rest) == taken


def printed() -> set[str]:
    """Every line of make on any page."""
    return {line for page in every_page() for line in commands.of_make(read(page))}


def test_make_hands_on_what_the_pages_say(folder: Path) -> None:
    for line in printed() - {"make help"}:
        [asked] = made(line, folder)
        arrived = {name: asked.environ.get(name) for name in commands.given(line)}
        assert arrived == commands.given(line), line
        assert is_command(asked.words), line


def test_a_variable_is_one_that_somebody_reads() -> None:
    read_by = "".join(read(file) for file in (ROOT / "compose" / "stack").rglob("*.py"))
    known = set(re.findall(r'"([A-Z][A-Z_]*)"', read_by)) | {"PYTHON"}
    known |= set(re.findall(r"^#([A-Z][A-Z0-9_]*)=", read(ROOT / ".env.example"), re.MULTILINE))
    said = {variable for line in printed() for variable in commands.given(line)}
    assert len(said) > 20
    assert said - known == set()


def test_a_run_is_named_without_being_taken_for_a_variable_of_makes(folder: Path) -> None:
    [asked] = made("make report RUN=20261125-a9a4", folder)
    assert asked.words == ["report"]
    assert asked.environ["RUN"] == "20261125-a9a4"


def test_variables_of_the_makefile_can_not_be_the_users() -> None:
    own = re.findall(r"^(\w+) *[:+?]?=", read(ROOT / "Makefile"), re.MULTILINE)
    assert own
    assert [each for each in own if not each.islower() and each != "MAKEFLAGS"] == []


@pytest.mark.parametrize("page", every_page(), ids=name)
def test_programs_of_ours_are_called_by_the_environments_python(page: Path) -> None:
    """All but a service, which nobody starts by hand: the pages tell how the stack does it."""
    for line in commands.commands(read(page)):
        _, words = commands.split(line)
        if words[:1] == [STACK]:
            assert is_command(words[1:]), line
        if words[1:2] != ["-m"] or not words[0].endswith("python"):
            continue
        assert words[0] == PYTHON or words[2].startswith("services."), line
        module = re.sub(r"NAME|<name>", "api", words[2])
        assert importlib.util.find_spec(module) is not None, line


def test_the_search_for_commands_finds_them() -> None:
    text = (
        "Say `make\nup MODE=local` or `make`.\n\n"
        "```sh\nA=1 make test-7 \\\n  SEED=7   # no\ncd x && make down RULE='a$$b c'\n```\n"
    )
    found = commands.of_make(text)
    assert found == ["make up MODE=local", "A=1 make test-7    SEED=7", "make down RULE='a$$b c'"]
    assert commands.given(found[1]) == {"A": "1", "SEED": "7"}
    assert commands.given(found[2]) == {"RULE": "a$b c"}
