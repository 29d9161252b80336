"""Every make target stands in a table, and no page names one that isn't there."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import README, ROOT, every_page, fences, name, read, spans, tables

MAKEFILE = ROOT / "Makefile"
COMMANDS, TROUBLES = ROOT / "docs" / "commands.md", ROOT / "docs" / "troubleshooting.md"
PAGES = (README, COMMANDS, TROUBLES)
SHELL = {"sh", "bash", "console", "shell"}


def targets() -> list[str]:
    found = re.findall(r"^([a-z%-]+):[^\n]* ## ", read(MAKEFILE), re.MULTILINE)
    return [target.replace("%", "N") for target in found]


def named_in(text: str) -> set[str]:
    """The targets of every `make …` in inline code or a shell block."""
    code = [*spans(text), *(body for language, body in fences(text) if language in SHELL)]
    found = re.findall(
        r"\bmake ((?:[A-Z_]+=\S* )*)([a-z]+(?:-[a-z]+)*(?:-\d+|-N)?)", "\n".join(code)
    )
    return {re.sub(r"^test-\d+$", "test-N", target) for _, target in found}


def test_the_page_lists_every_target() -> None:
    [table] = tables(read(COMMANDS))
    listed = [row[0].strip("`").removeprefix("make ") for row in table.rows]

    assert sorted(listed) == sorted(targets())


@pytest.mark.parametrize("page", every_page(), ids=name)
def test_no_page_names_a_target_that_is_not_there(page: Path) -> None:
    assert named_in(read(page)) <= set(targets())


def test_the_search_for_targets_finds_them() -> None:
    text = "Say `make up MODE=local` or `make test-7`.\n\n```sh\nmake nonsense   # no\n```\n"

    assert named_in(text) == {"up", "test-N", "nonsense"}


def test_variables_in_the_pages_are_known() -> None:
    known = read(MAKEFILE) + read(ROOT / ".env.example")
    known += "".join(read(file) for file in (ROOT / "compose" / "stack").rglob("*.py"))
    known += read(ROOT / "compose" / "stack.sh")
    given = re.findall(
        r"\b([A-Z][A-Z_]*)=", " ".join(span for page in PAGES for span in spans(read(page)))
    )

    assert [word for word in given if not re.search(rf"\b{word}\b", known)] == []


def test_messages_quoted_for_troubleshooting_are_really_said() -> None:
    said = "".join(read(file) for file in (ROOT / "compose").rglob("*.py"))
    said += read(ROOT / "compose" / "stack.sh") + read(ROOT / "shared" / "errors.py")
    said += "".join(
        read(ROOT / "shared" / f"{name}.py")
        for name in ("semaphore/messages", "failures", "jobs/closing", "temporal/codec")
    )
    [table] = tables(read(TROUBLES))
    pieces = [
        piece.strip(" .:")
        for row in table.rows
        for quoted in spans(row[0])
        for piece in re.split(r"[\d…]+", quoted)
        if not quoted.isupper()
    ]
    quoted = [piece for piece in pieces if len(piece) > 3]

    assert len(quoted) > 8
    assert [piece for piece in quoted if piece not in said] == []
