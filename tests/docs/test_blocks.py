"""Code in the pages is code: it parses."""

import ast
import json
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import every_page, fences, name, read

LANGUAGES = {
    "",
    "text",
    "sh",
    "python",
    "json",
    "jsonc",
    "mermaid",
    "html",
    "yaml",
    "http",
    "promql",
}


@pytest.mark.parametrize("page", every_page(), ids=name)
def test_blocks_parse(page: Path) -> None:
    for language, body in fences(read(page)):
        assert language in LANGUAGES
        check(language, body)


def check(language: str, body: str) -> None:
    if language == "python":
        ast.parse(body)
    elif language == "json":
        json.loads(body)
    elif language == "sh":
        subprocess.run(["sh", "-n"], input=body, text=True, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("language", "body"), [("python", "def"), ("json", "{'a': 1}"), ("sh", "if true; then")]
)
def test_a_block_that_does_not_parse_is_noticed(language: str, body: str) -> None:
    with pytest.raises((SyntaxError, ValueError, subprocess.CalledProcessError)):
        check(language, body)
