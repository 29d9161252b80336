"""Plain English: words that are gone stay out of prose, docstrings, comments and names."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import DECISIONS, REFERENCES, ROOT, every_page, name, prose, read

GONE = re.compile(
    r"\b(whoever|whomever|anew|of ours|where there is none|for so long|as ever|won't have us"
    r"|of one's own|tells? of|is told|are told|be told|lets? nobody)\b",
    re.IGNORECASE,
)
GONE_NAMES = re.compile(r"_?(told|met|spoken|begun|thrown|mended|passed_over)|.*(Passed|Unfit).*")
# All code but the tests, whose comments only are checked.
FOLDERS = (
    "compose",
    "examples",
    "loadtest",
    "services/api",
    "services/callback",
    "services/mock_comfyui",
    "services/mock_core",
    "services/mock_kling",
    "services/semaphore",
    "services/worker",
    "shared/http",
    "shared/jobs",
    "shared/pipeline",
    "shared/semaphore",
    "shared/settings",
    "shared/store",
    "shared/telemetry",
    "shared/temporal",
    "shared/texts",
    "tools",
)
MODULES = sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
PAGES = [page for page in every_page() if page.parent not in (DECISIONS, REFERENCES)]


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each comment and docstring."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield getattr(node, "lineno", 1), ast.get_docstring(node) or ""


def defined(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of each class and function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name


def test_no_comment_has_a_word_that_is_gone() -> None:
    found = [
        f"{name(module)}:{line}: {word[0]}"
        for module in [*MODULES, *TESTS]
        for line, text in comments(read(module))
        for word in GONE.finditer(text)
    ]

    assert found == []


def test_no_name_is_a_word_that_is_gone() -> None:
    found = [
        f"{name(module)}:{line}: {word}"
        for module in MODULES
        for line, word in defined(read(module))
        if GONE_NAMES.fullmatch(word)
    ]

    assert len(MODULES) > 150
    assert found == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_page_has_a_word_that_is_gone(page: Path) -> None:
    assert [word[0] for word in GONE.finditer(prose(read(page)))] == []
