"""Every message there is, by its service and name: `semaphore.Watch`."""

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType

import services
import shared
from shared.jobs.messages import Message


def _modules() -> list[ModuleType]:
    found = [
        module.name
        for package in (shared, services)
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    ]
    return [importlib.import_module(name) for name in found if not name.endswith("__main__")]


def _below(kind: type[Message]) -> Iterator[type[Message]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


def _name(kind: type[Message]) -> str:
    parts = kind.__module__.split(".")
    return f"{parts[0] if parts[0] == 'shared' else parts[1]}.{kind.__name__}"


def _kinds() -> dict[str, type[Message]]:
    ours = [
        kind for kind in _below(Message) if kind.__module__.startswith(("shared.", "services."))
    ]
    return {_name(kind): kind for kind in sorted(ours, key=_name)}


MODULES = _modules()
ALL = _kinds()
# What users send: strict, and stored nowhere.
BODIES = frozenset({"api.JobOrder", "api.BatchOrder", "api.SlotOrder", "api.FreeOrder"})
MESSAGES = {name: kind for name, kind in ALL.items() if name not in BODIES}
