"""What this release has stored is read by the code as it is, and so is what a later one says.

When a message is missing: `python -m tests.releases.record`. When a stored one is not read any
more, running jobs and semaphores would lose it: give a new field a default, keep an old one's name.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from services.semaphore.models import SemaphoreState
from services.semaphore.packing import packed, unpack
from shared.jobs.messages import Record
from shared.store.records import RecordStore
from tests.releases.kinds import ALL, BODIES, FOLDER, MESSAGES
from tests.releases.record import COMMAND
from tests.releases.samples import EXTRA, later, sample

STORED = {file.stem: file.read_text(encoding="utf-8") for file in FOLDER.glob("*.json")}
JOB_ID = "job-0123456789abcdef01234567"


def test_there_is_one_of_each_kind() -> None:
    assert set(STORED) == set(MESSAGES), f"store what is missing: {COMMAND}"


@pytest.mark.parametrize("name", STORED)
def test_what_was_stored_is_read(name: str) -> None:
    read = MESSAGES[name].model_validate_json(STORED[name])
    assert said(read.model_dump(mode="json"), json.loads(STORED[name])), "a field is gone"


def said(now: Any, then: Any) -> bool:
    """Whether all that was said then is said now; fields may have come, with a default."""
    if isinstance(then, dict):
        return all(key in now and said(now[key], value) for key, value in then.items())
    if isinstance(then, list):
        return len(now) == len(then) and all(map(said, now, then))
    # A packed queue is compressed, which need not give the same bytes everywhere.
    return bool(now == then or unpack(now) == unpack(then))


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
    rows = [{**later(request), "more": 1} for request in state.waiting]
    table = {"names": list(rows[0]), "rows": [list(row.values()) for row in rows]}
    assert SemaphoreState.model_validate({**later(state), "waiting": packed(table)}) == state


def test_a_record_that_a_later_release_wrote_is_read(tmp_path: Path) -> None:
    store, record = RecordStore(tmp_path), sample(Record).model_copy(update={"job_id": JOB_ID})
    store.folder.mkdir(parents=True)
    store.path(JOB_ID).write_text(json.dumps(later(record)), encoding="utf-8")
    assert EXTRA.items() <= json.loads(store.path(JOB_ID).read_bytes()).items()
    assert store.read(JOB_ID) == record
