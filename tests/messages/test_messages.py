"""What our processes tell one another: messages alone, of which a newer release's can be read."""

import base64
import importlib
import json
import pkgutil
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from types import ModuleType, NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from pydantic import AwareDatetime
from pydantic_core import to_jsonable_python

import services
import shared
from shared.jobs.messages import Message, Record
from shared.pipeline.activities import StageActivities
from shared.semaphore.state import SemaphoreState
from shared.store.records import RecordStore


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
BODIES = frozenset({"api.JobOrder", "api.SlotOrder", "api.FreeOrder"})
MESSAGES = {name: kind for name, kind in ALL.items() if name not in BODIES}


MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PLAIN: dict[Any, object] = {
    str: "text",
    bool: True,
    int: 3,
    float: 1.5,
    datetime: MOMENT,
    AwareDatetime: MOMENT,
    Any: "anything",
}
# What no release says today.
EXTRA = {"of_a_later_release": {"any": ["thing"]}}


def sample(kind: type[Message]) -> Message:
    """One message, the same at every call."""
    fields = {name: _value(field.annotation) for name, field in kind.model_fields.items()}
    return kind.model_validate(fields)


def _value(hint: Any) -> object:
    if isinstance(hint, type) and issubclass(hint, Message):
        return sample(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return next(iter(hint))
    return PLAIN[hint] if hint in PLAIN else _OF[get_origin(hint)](get_args(hint))


def _tuple(hints: tuple[Any, ...]) -> object:
    return tuple(_value(hint) for hint in hints if hint is not Ellipsis)


def _dict(hints: tuple[Any, ...]) -> object:
    return {_value(hints[0]): _value(hints[1])}


def _one(hints: tuple[Any, ...]) -> object:
    return _value(next(hint for hint in hints if hint is not NoneType))


_OF: dict[Any, Callable[[tuple[Any, ...]], object]] = {
    Annotated: _one,
    Literal: lambda hints: hints[0],
    Union: _one,
    UnionType: _one,
    tuple: _tuple,
    list: lambda hints: [_value(hints[0])],
    dict: _dict,
}


def later(value: object) -> Any:
    """The message as JSON with one field more in every object of it."""
    if isinstance(value, Message):
        return {name: later(getattr(value, name)) for name in type(value).model_fields} | EXTRA
    if isinstance(value, tuple | list):
        return [later(each) for each in value]
    if isinstance(value, dict):
        return {str(key): later(each) for key, each in value.items()}
    return to_jsonable_python(value)


# How the SDK marks what it calls.
MARKS = ("__temporal_", "_defn")
# It takes in each request by itself, so that one out of bounds spoils no other.
READS = {"SemaphoreWorkflow.request", "SemaphoreActivities.ask"}
WITHOUT_FIELDS = (str, int, float, bool, datetime, type(None), Ellipsis)


def handlers() -> dict[str, Callable[..., Any]]:
    """Activities, and a workflow's run, signals, queries and updates.

    A stage's activities get their names when a worker begins.
    """
    stage = StageActivities
    return {
        each.__qualname__: each for each in (stage.gen, stage.request, stage.collect, stage.fetch)
    } | {
        found.__qualname__: found
        for module in MODULES
        for kind in vars(module).values()
        if isinstance(kind, type) and kind.__module__ == module.__name__
        for found in vars(kind).values()
        if any(name.startswith(MARKS) for name in getattr(found, "__dict__", ()))
    }


def test_each_kind_of_handler_is_found() -> None:
    semaphore = {f"SemaphoreWorkflow.{name}" for name in ("run", "request", "change", "view")}
    assert {*semaphore, "DrainActivities.drain_job"} <= set(handlers())


@pytest.mark.parametrize("name", sorted({*handlers()} - READS))
def test_nothing_is_told_but_messages(name: str) -> None:
    for hint in get_type_hints(handlers()[name]).values():
        assert all(map(is_told, parts(hint))), hint


def parts(hint: Any) -> list[Any]:
    """The types that a hint is made of."""
    return [p for each in get_args(hint) for p in parts(each)] if get_origin(hint) else [hint]


def is_told(hint: Any) -> bool:
    """Whether it is a message, or has no fields that could be unknown."""
    return hint in WITHOUT_FIELDS or (isinstance(hint, type) and issubclass(hint, Message | Enum))


JOB_ID = "job-0123456789abcdef01234567"


@pytest.mark.parametrize("name", MESSAGES)
def test_what_a_later_release_says_is_read(name: str) -> None:
    message = sample(MESSAGES[name])
    assert MESSAGES[name].model_validate(later(message)) == message


def test_only_what_users_send_is_strict() -> None:
    strict = {name for name, kind in ALL.items() if kind.model_config.get("extra") != "ignore"}
    assert strict == BODIES


def test_a_queue_packed_by_a_later_release_is_read() -> None:
    state = sample(SemaphoreState)
    assert isinstance(state, SemaphoreState)
    rows = json.dumps([later(request) for request in state.waiting]).encode()
    packed = base64.b64encode(zlib.compress(rows)).decode()
    assert SemaphoreState.model_validate({**later(state), "waiting": packed}) == state


def test_a_record_that_a_later_release_wrote_is_read(tmp_path: Path) -> None:
    store, record = RecordStore(tmp_path), sample(Record).model_copy(update={"job_id": JOB_ID})
    store.folder.mkdir(parents=True)
    store.path(JOB_ID).write_text(json.dumps(later(record)), encoding="utf-8")
    assert EXTRA.items() <= json.loads(store.path(JOB_ID).read_bytes()).items()
    assert store.read(JOB_ID) == record
