"""`make check`: every tool is run, and those that fail are shown and named."""

import subprocess
import sys
from pathlib import Path

import pytest

from compose.stack.commands import quality
from compose.stack.commands.quality import Check
from compose.stack.errors import VERDICT


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
    monkeypatch.setattr(quality, "_checks", lambda *_: iter(checks))
    assert quality.check(tmp_path) == status
    said = capsys.readouterr().out.splitlines()
    assert said.count("ok   good") == checks.count(GOOD)
    assert said.count("BAD  bad") == said.count("found") == said.count("and told")
    assert said.count("BAD  bad") == checks.count(BAD)
    assert said[-1] == last


def test_the_size_is_counted_in_a_clone_alone(tmp_path: Path) -> None:
    assert quality.size_line(tmp_path) == ""
    (tmp_path / "pyproject.toml").write_text("[[tool.importlinter.contracts]]\n")
    for name in ("shared/a.py", "shared/b/c.py", "tests/test_a.py", "docs/a.md", "docs/b/c.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("one\ntwo\n")
    for command in (("init", "--quiet"), ("add", ".")):
        subprocess.run(("git", *command), cwd=tmp_path, check=True)
    assert quality.size_line(tmp_path) == (
        "size: product 4 lines in 2 files, tests 2 lines in 1 files, dashboard 0 lines in 0 files, "
        "documentation 2 lines in 1 files, 1 import contracts"
    )
