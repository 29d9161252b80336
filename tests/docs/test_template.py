"""Each recipe of docs/template.md, followed in a copy of the project."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, fences, read

PAGE = ROOT / "docs" / "template.md"


def recipes() -> dict[str, str]:
    parts = read(PAGE).split("\n## ")[1:]
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in parts}


def test_pipeline_is_no_longer_than_the_page_says() -> None:
    [most] = re.findall(r"\(#a-pipeline\) \| (\d+) \|", read(PAGE))
    example = ROOT / "examples" / "speech"
    parts = {*example.glob("*.py"), example / "compose.yaml"}
    parts -= {example / name for name in ("__init__.py", "mock.py", "check.py")}
    assert sum(len(part.read_text().splitlines()) for part in parts) <= int(most)


def copied(folder: Path) -> Path:
    """The project as Git would commit it now, with the environment beside it."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / ".venv").symlink_to((ROOT / ".venv").resolve())
    return folder


@pytest.mark.parametrize("title", recipes())
def test_recipes_work_in_a_fresh_copy(title: str, tmp_path: Path) -> None:
    copy = copied(tmp_path / "copy")
    # Processes of pytest that clean up the same folder at once disturb each other.
    env = os.environ | {"PYTEST_DEBUG_TEMPROOT": str(tmp_path)}
    for kind, block in fences(recipes()[title]):
        match kind:
            case "diff":
                command, given = ["git", "apply", "--unidiff-zero", "-"], block
            case "sh":
                command, given = ["sh", "-e"], block
            case _:
                continue
        done = subprocess.run(
            command, cwd=copy, env=env, input=given, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    for file in (copy / "examples" / "notice").glob("*.*"):
        assert not re.search(r"\b(16883|9098)\b", file.read_text()), file.name
