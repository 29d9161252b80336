"""The glossary names each service as folder, compose files, logs and the stack script do."""

import re
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from compose.stack import services

ROWS = re.compile(r"^\| `([a-z-]+)` \| (?:`([a-z_/]+)`)? ?\|", re.MULTILINE)
TEXT = Path("docs/glossary.md").read_text(encoding="utf-8")
SERVICES = dict(ROWS.findall(TEXT.partition("## Jobs")[0]))
OURS = {name: folder for name, folder in SERVICES.items() if folder}


def test_each_service_has_its_row() -> None:
    assert set(SERVICES) == set(services.NAMES)


@pytest.mark.parametrize(("name", "folder"), OURS.items(), ids=OURS)
def test_folder_and_module_have_the_name(name: str, folder: str) -> None:
    assert folder == f"services/{name.replace('-', '_')}"
    assert Path(folder, "__main__.py").is_file()


def test_the_compose_files_have_the_names() -> None:
    found: set[str] = set()
    for file in ("compose.yaml", "mocks.yaml"):
        found |= yaml.safe_load(Path("compose", file).read_text(encoding="utf-8"))[
            "services"
        ].keys()
    assert found - {"loadtest"} == set(SERVICES)


@pytest.mark.parametrize(("name", "folder"), OURS.items(), ids=OURS)
def test_log_lines_and_metrics_have_the_name(name: str, folder: str) -> None:
    code = "\n".join(file.read_text(encoding="utf-8") for file in Path(folder).rglob("*.py"))
    if name.startswith("mock-"):
        assert f'"{name}"' in code
        return
    assert f'service="{name}"' in code
    assert set(re.findall(r'"genvideo_([a-z]+?)s?_', code)) <= {name}


def test_each_word_is_explained_once() -> None:
    words = re.findall(r"^\| ([a-z][^|`]*?) \|", TEXT, re.MULTILINE)
    headings = {"word", "name"}
    explained = [word for word in words if word not in headings]
    assert len(explained) == len(set(explained)) > 50
