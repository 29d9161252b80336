"""Imports of a service: no garbage is looked for, and what it has no use for is not there."""

import gc
import importlib
import sys
from collections.abc import Iterator

import pytest

from shared.quick_start import quick_start


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    """Nothing of the tests stays frozen."""
    yield
    gc.unfreeze()


def test_garbage_collection_is_off_during_imports() -> None:
    with quick_start():
        assert not gc.isenabled()
        made: list[object] = []
        made.append(made)
    assert gc.isenabled()
    assert gc.get_freeze_count()
    assert not any(made is each for each in gc.get_objects())


def test_optional_packages_are_hidden_during_imports(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)
    with quick_start(), pytest.raises(ModuleNotFoundError):
        importlib.import_module("rich")
    assert importlib.import_module("rich")


def test_already_imported_package_stays() -> None:
    known = importlib.import_module("rich")
    with quick_start():
        assert importlib.import_module("rich") is known
    assert sys.modules["rich"] is known


def test_failed_import_restores_everything() -> None:
    with pytest.raises(ModuleNotFoundError), quick_start():
        importlib.import_module("no_such_module_of_ours")
    assert gc.isenabled()
    assert sys.modules.get("rich", sys) is not None
