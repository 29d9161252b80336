"""Plain English: words that are gone stay out of prose, docstrings, comments and names."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator

from tests.docs.pages import DECISIONS, REFERENCES, ROOT, every_page, name, prose, read

GONE = re.compile(
    r"\b(whoever|whomever|anew|of ours|where there is none|for so long|as ever|won't have us"
    r"|of one's own|tells? of|is told|are told|be told|lets? nobody)\b",
    re.IGNORECASE,
)
GONE_NAMES = re.compile(r"_?(told|met|spoken|begun|thrown|mended|passed_over)|.*(Passed|Unfit).*")
TESTS = sorted((ROOT / "tests").rglob("*.py"))
FOLDERS = ("compose", "examples", "loadtest", "services", "shared", "tools")
MODULES = sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))
PAGES = [page for page in every_page() if page.parent not in (DECISIONS, REFERENCES)]


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each comment and docstring."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield getattr(node, "lineno", 1), ast.get_docstring(node) or ""


def test_no_comment_and_no_page_uses_a_removed_word() -> None:
    texts = [
        (f"{name(module)}:{line}", text)
        for module in [*MODULES, *TESTS]
        for line, text in comments(read(module))
    ]
    texts += [(name(page), prose(read(page))) for page in PAGES]

    assert [f"{place}: {it[0]}" for place, text in texts for it in GONE.finditer(text)] == []


def test_no_name_is_a_removed_word() -> None:
    """But of the tests."""
    found = [
        f"{name(module)}:{node.lineno}: {node.name}"
        for module in MODULES
        for node in ast.walk(ast.parse(read(module)))
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and GONE_NAMES.fullmatch(node.name)
    ]

    assert len(MODULES) > 150
    assert found == []
