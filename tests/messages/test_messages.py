"""What our processes tell one another: messages alone, of which a newer release's can be read."""

import base64
import importlib
import json
import pkgutil
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest

import services
import shared
from shared.jobs.messages import Message, Record
from shared.pipeline.activities import StageActivities
from shared.semaphore.messages import SlotRequest
from shared.semaphore.state import SemaphoreState
from shared.store.records import RecordStore

MODULES = [
    importlib.import_module(module.name)
    for package in (shared, services)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.name.endswith("__main__")
]


def below(kind: type[Message]) -> Iterator[type[Message]]:
    for each in kind.__subclasses__():
        yield each
        yield from below(each)


def test_only_messages_of_users_are_strict() -> None:
    """All others ignore fields that they don't know, because a newer release may send more."""
    ours = [it for it in below(Message) if it.__module__.startswith(("shared.", "services."))]
    strict = {it.__name__ for it in ours if it.model_config.get("extra") != "ignore"}
    assert len(ours) > 50
    assert strict == {"JobOrder", "SlotOrder", "FreeOrder"}


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
def test_only_messages_are_listed(name: str) -> None:
    """A type without fields that could be unknown is none, either."""
    for hint in get_type_hints(handlers()[name]).values():
        for part in parts(hint):
            is_message = isinstance(part, type) and issubclass(part, Message | Enum)
            assert part in WITHOUT_FIELDS or is_message, hint


def parts(hint: Any) -> list[Any]:
    """The types that a hint is made of."""
    return [p for each in get_args(hint) for p in parts(each)] if get_origin(hint) else [hint]


# What no release says today.
EXTRA = {"of_a_later_release": {"any": ["thing"]}}
JOB_ID = "job-0123456789abcdef01234567"
AT = "2026-01-02T03:04:05Z"


def test_queue_of_a_later_release_can_be_read() -> None:
    request = {"job_id": JOB_ID, "run_id": "run", "requested_at": AT}
    packed = base64.b64encode(zlib.compress(json.dumps([request | EXTRA]).encode())).decode()
    state = SemaphoreState.model_validate({"waiting": packed, "next_token": 7} | EXTRA)
    assert state.waiting == (SlotRequest.model_validate(request),)
    assert state.next_token == 7


def test_record_of_a_later_release_can_be_read(tmp_path: Path) -> None:
    store = RecordStore(tmp_path)
    change = {"version": 1, "at": AT, "status": "queued", "step": None, "percent": 0}
    change |= {"attempt": 0, "note": "queued"}
    job = {"job_id": JOB_ID, "prompt": "a fox", "created_at": AT, "version": 1}
    store.folder.mkdir(parents=True)
    told = job | {"transitions": [change | EXTRA]} | EXTRA
    store.path(JOB_ID).write_text(json.dumps(told), encoding="utf-8")
    assert store.read(JOB_ID) == Record.model_validate(job | {"transitions": [change]})
