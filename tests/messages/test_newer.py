"""What a newer release says is read: a field that we don't know is passed over."""

import json
from pathlib import Path

import pytest

from shared.jobs.messages import Record
from shared.semaphore.state import SemaphoreState, packed
from shared.store.records import RecordStore
from tests.messages.kinds import ALL, BODIES, MESSAGES
from tests.messages.samples import EXTRA, later, sample

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
    rows = [{**later(request), "more": 1} for request in state.waiting]
    table = {"names": list(rows[0]), "rows": [list(row.values()) for row in rows]}
    assert SemaphoreState.model_validate({**later(state), "waiting": packed(table)}) == state


def test_a_record_that_a_later_release_wrote_is_read(tmp_path: Path) -> None:
    store, record = RecordStore(tmp_path), sample(Record).model_copy(update={"job_id": JOB_ID})
    store.folder.mkdir(parents=True)
    store.path(JOB_ID).write_text(json.dumps(later(record)), encoding="utf-8")
    assert EXTRA.items() <= json.loads(store.path(JOB_ID).read_bytes()).items()
    assert store.read(JOB_ID) == record
