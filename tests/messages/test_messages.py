"""What our processes tell one another: messages alone, of which a newer release's can be read."""

import base64
import importlib
import json
import pkgutil
import zlib
from collections.abc import Iterator
from pathlib import Path

import services
import shared
from shared.jobs.messages import Message, Record
from shared.semaphore.messages import SlotRequest
from shared.semaphore.state import SemaphoreState
from tests.fixtures.records import RecordStore

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
