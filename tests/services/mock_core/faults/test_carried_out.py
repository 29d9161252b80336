"""A kind of fault that can be armed is carried out somewhere: a class alone does nothing."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.mock_core.faults.kinds import KINDS, Fault
from services.mock_core.faults.rules import EXCLUSIVE

SERVICES = Path(__file__).parents[4] / "services"
FAULTS = SERVICES / "mock_core" / "faults"


def _used(path: Path) -> Iterator[tuple[str, str]]:
    """The last name of the module, and the class, of each `ResultEmpty` and each import."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Attribute(value=ast.Name(id=module), attr=name):
                yield module, name
            case ast.ImportFrom(module=str(module), names=names):
                yield from ((module.rpartition(".")[2], each.name) for each in names)


FILES = [path for path in SERVICES.glob("mock_*/**/*.py") if not path.is_relative_to(FAULTS)]
USED = {each for path in FILES for each in _used(path)}


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.kind)
def test_every_kind_is_carried_out(kind: type[Fault]) -> None:
    """By itself or, where it is done alike at several points, by the base that they share."""
    assert USED & {(base.__module__.rpartition(".")[2], base.__name__) for base in kind.__mro__}


def test_what_excludes_one_another_are_kinds() -> None:
    assert set().union(*EXCLUSIVE) <= {kind.kind for kind in KINDS.values()}
