"""Every `await` of a job's own code by name, and at which of them its tasks stand."""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import CodeType, CoroutineType
from typing import Any

import services.worker

_FOLDER = Path(services.worker.__file__).parent
# The workflow, and all that it is made of.
OWN = (_FOLDER / "workflows.py", *sorted((_FOLDER / "deterministic").glob("[a-z]*.py")))
# Line and column at which an `await` begins.
_Start = tuple[int, int]


def all_awaits() -> set[str]:
    """All of them: module, function, and what is awaited; the second of one name is `… 2`."""
    return {name for file in OWN for name in _named(str(file)).values()}


def standing(tasks: Iterable[Any]) -> Iterator[str]:
    """Where tasks stand: the `await` of each frame, from the outermost one inwards."""
    for task in tasks:
        coroutine = task.get_coro()
        while isinstance(coroutine, CoroutineType):
            frame, code = coroutine.cr_frame, coroutine.cr_code
            if frame is not None and coroutine.cr_suspended and code.co_filename in _own_files():
                yield _place(code, frame.f_lasti)
            coroutine = coroutine.cr_await


def _place(code: CodeType, instruction: int) -> str:
    line, _, column, _ = list(code.co_positions())[instruction // 2]
    assert line is not None
    assert column is not None
    return _named(code.co_filename)[line, column]


@cache
def _own_files() -> frozenset[str]:
    return frozenset(map(str, OWN))


@cache
def _named(file: str) -> dict[_Start, str]:
    path = Path(file)
    names: dict[_Start, str] = {}
    counts: dict[str, int] = {}
    found = _of(ast.parse(path.read_text(encoding="utf-8")), path.stem)
    for start, name in sorted(found):
        counts[name] = counts.get(name, 0) + 1
        names[start] = name if counts[name] == 1 else f"{name} {counts[name]}"
    return names


def _of(node: ast.AST, inside: str) -> Iterator[tuple[_Start, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _of(child, f"{inside}.{child.name}")
            continue
        if isinstance(child, ast.Await):
            yield (child.lineno, child.col_offset), f"{inside}: {_what(child.value)}"
        elif isinstance(child, ast.AsyncWith):
            [item] = child.items
            entered = item.context_expr
            yield (entered.lineno, entered.col_offset), f"{inside}: {_what(entered)}"
        yield from _of(child, inside)


def _what(awaited: ast.expr) -> str:
    return ast.unparse(awaited.func if isinstance(awaited, ast.Call) else awaited)
