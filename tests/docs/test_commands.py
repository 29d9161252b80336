"""Commands and targets that the pages print run as they are printed."""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose.stack.cli import COMMANDS, STANDALONE
from compose.stack.commands import bench, develop, mocks, status
from compose.stack.namespace import Options
from compose.stack.settings import OPTIONS as NAMED
from tests.compose.made import made, project
from tests.docs.pages import ROOT, every_page, fences, name, read, spans, tables

SHELL = {"sh", "bash", "console", "shell"}
_ASSIGNED = re.compile(r"([A-Z_]+)=(.*)", re.DOTALL)
# Where one command ends: another one, a pipe, a file, a comment.
_END = re.compile(r"&&|;| \| |>>| # ")


def commands(text: str) -> Iterator[str]:
    """Each command with its arguments; `a && b` are two."""
    blocks = [body for language, body in fences(text) if language in SHELL]
    lines = [line for body in blocks for line in body.replace("\\\n", " ").splitlines()]
    for line in (*(" ".join(span.split()) for span in spans(text)), *lines):
        yield from (part.strip() for part in _END.split(line))


def split(command: str) -> tuple[dict[str, str], list[str]]:
    """What is assigned before the program, and the program with its arguments."""
    try:
        words = shlex.split(command)
    except ValueError:
        return {}, []
    before: dict[str, str] = {}
    while words and (match := _ASSIGNED.fullmatch(words[0])):
        before[match[1]] = match[2]
        del words[0]
    return before, words


def of_make(text: str) -> list[str]:
    """Every command that has make do something, once each."""
    found = [each for each in commands(text) if split(each)[1][:1] == ["make"]]
    return [each for each in dict.fromkeys(found) if len(split(each)[1]) > 1]


def given(command: str) -> dict[str, str]:
    """The variables that a command gives a value, as they are to arrive."""
    before, words = split(command)
    said = [match for word in words if (match := _ASSIGNED.fullmatch(word))]
    return before | {match[1]: match[2] for match in said}


PYTHON = ".venv/bin/python"
STACK = "compose/stack.sh"
# What commands take beside the settings.
OPTIONS = (
    bench.Options,
    develop.Chaos,
    develop.Simulation,
    develop.Mutants,
    mocks.Fault,
    status.Logs,
    Options,
)


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
    return {line for page in every_page() for line in of_make(read(page))}


def test_make_passes_on_the_documented_values(folder: Path) -> None:
    for line in printed() - {"make help"}:
        [asked] = made(line, folder)
        arrived = {name: asked.environ.get(name) for name in given(line)}
        assert arrived == given(line), line
        assert is_command(asked.words), line


def test_every_documented_variable_is_read() -> None:
    read_by = "".join(read(file) for file in (ROOT / "compose" / "stack").rglob("*.py"))
    known = set(re.findall(r'"([A-Z][A-Z_]*)"', read_by)) | {"PYTHON"}
    known |= {name.upper() for kind in OPTIONS for name in kind.model_fields}
    known &= NAMED
    known |= set(re.findall(r"^#([A-Z][A-Z0-9_]*)=", read(ROOT / ".env.example"), re.MULTILINE))
    said = {variable for line in printed() for variable in given(line)}
    assert len(said) > 20
    assert said - known == set()


@pytest.mark.parametrize("page", every_page(), ids=name)
def test_commands_use_the_python_of_the_environment(page: Path) -> None:
    """All but a service, which nobody starts by hand: the pages tell how the stack does it."""
    for line in commands(read(page)):
        _, words = split(line)
        if words[:1] == [STACK]:
            assert is_command(words[1:]), line
        if words[1:2] != ["-m"] or not words[0].endswith("python"):
            continue
        assert words[0] == PYTHON or words[2].startswith("services."), line
        module = re.sub(r"NAME|<name>", "api", words[2])
        assert importlib.util.find_spec(module) is not None, line


def test_page_lists_every_target() -> None:
    [table] = tables(read(ROOT / "docs" / "commands.md"))
    listed = [row[0].strip("`").removeprefix("make ") for row in table.rows]
    targets = re.findall(r"^([a-z%-]+):[^\n]* ## ", read(ROOT / "Makefile"), re.MULTILINE)

    assert sorted(listed) == sorted(target.replace("%", "N") for target in targets)
