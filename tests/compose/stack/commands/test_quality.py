"""`make check`: every tool is run, and those that fail are shown and named."""

import sys
from pathlib import Path

import pytest

from compose.stack.commands import quality
from compose.stack.commands.quality import Check
from compose.stack.errors import VERDICT
from compose.stack.machine.venv import Venv


def tool(name: str, program: str) -> Check:
    return Check(name, (sys.executable, "-c", program))


GOOD = tool("good", "print('nothing to say')")
BAD = tool("bad", "import sys; print('found'); sys.exit('and told')")


@pytest.mark.parametrize(
    ("checks", "status", "last"),
    [((GOOD, GOOD), 0, "all checks passed"), ((BAD, GOOD, BAD), VERDICT, "failed: bad, bad")],
    ids=["all good", "some bad"],
)
def test_each_is_run_and_the_bad_ones_are_shown(
    checks: tuple[Check, ...],
    status: int,
    last: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(Venv, "need", lambda *_: None)
    monkeypatch.setattr(quality, "_checks", lambda *_: iter(checks))
    assert quality.check(tmp_path) == status
    said = capsys.readouterr().out.splitlines()
    assert said.count("ok   good") == checks.count(GOOD)
    assert said.count("BAD  bad") == said.count("found") == said.count("and told")
    assert said.count("BAD  bad") == checks.count(BAD)
    assert said[-1] == last
