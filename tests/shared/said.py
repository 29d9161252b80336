"""The texts of Python files, read off their syntax: literals, f-strings with numbered blanks."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

# Several words, one of which is more than a sign.
PROSE = re.compile(r".*[A-Za-z}][,;:.)]? \(?[A-Za-z{].*", re.S)


def said(path: Path) -> set[str]:
    """Every text of a file but its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inner = {id(part) for node in ast.walk(tree) for part in _parts(node)}
    nodes = (node for node in ast.walk(tree) if id(node) not in inner)
    return {text for node in nodes if (text := text_of(node)) is not None}


def _parts(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Expr):
        yield node.value
    if isinstance(node, ast.JoinedStr):
        yield from (part for part in node.values if isinstance(part, ast.Constant))
    if isinstance(node, ast.FormattedValue) and node.format_spec is not None:
        yield from ast.walk(node.format_spec)


def text_of(node: ast.AST) -> str | None:
    """A literal, with numbered blanks if it is an f-string."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if not isinstance(node, ast.JoinedStr):
        return None
    found, blanks = "", 0
    for part in node.values:
        blanks += not isinstance(part, ast.Constant)
        found += str(part.value) if isinstance(part, ast.Constant) else f"{{{blanks}}}"
    return found
