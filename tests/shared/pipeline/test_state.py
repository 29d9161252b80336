"""What the workflow is made of: its state, its turns, its cancellation, and its words."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.enums.v1 import TimeoutType
from temporalio.exceptions import ApplicationError, CancelledError, TimeoutError

from shared.jobs.genvideo import GENVIDEO, GenVideoInput
from shared.jobs.messages import Attempts, JobError, Record
from shared.jobs.states import Status, may_follow
from shared.pipeline.cancellation import _left
from shared.pipeline.journal import details_of, summary_of
from shared.pipeline.messages import Left
from shared.pipeline.state import JobState
from shared.temporal.client import summary

CREATED = datetime(2026, 1, 1, tzinfo=UTC)
JOB = GenVideoInput(prompt="一只猫 on a roof", style="ink", tag="t", priority=2)

changes = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(Status),
        "step": st.sampled_from(GENVIDEO.names),
        "percent": st.integers(0, 100),
    },
)


def new_state() -> JobState:
    first = Record.of(GENVIDEO, JOB, job_id="job-1", run_id="run-1", created_at=CREATED)
    return JobState(first)


@given(st.lists(changes, max_size=30))
def test_versions_rise_by_one_and_list_every_change(sequence: list[dict[str, Any]]) -> None:
    state = new_state()
    done = 0
    for number, fields in enumerate(sequence):
        before = state.record
        allowed = not before.status.ended and may_follow(
            before.status, fields.get("status", before.status)
        )
        at = CREATED + timedelta(seconds=number)
        if not allowed:
            with pytest.raises(ValueError, match="can't become"):
                state.change(at, f"n{number}", **fields)
            assert state.record == before
            continue
        after = state.change(at, f"n{number}", **fields)
        done += 1
        assert after.version == before.version + 1 == done
        assert after.transitions[:-1] == before.transitions
        last = after.transitions[-1]
        assert (last.version, last.at, last.note) == (done, at, f"n{number}")
        assert (last.status, last.step, last.percent) == (after.status, after.step, after.percent)
    assert [each.version for each in state.record.transitions] == list(range(1, done + 1))


def twice(*notes: str) -> tuple[JobState, JobState]:
    """What a task has recorded that was not taken, and the same run one change on, later."""
    known, state = new_state(), new_state()
    for number, note in enumerate(notes):
        status = Status.RUNNING if number else Status.QUEUED
        known.change(CREATED + timedelta(seconds=number), note, status=status)
    state.change(CREATED, notes[0], status=Status.QUEUED)
    return known, state


def test_known_change_keeps_its_time() -> None:
    known, state = twice("queued", "image", "40 %")
    state.change(CREATED + timedelta(seconds=9), "image", status=Status.RUNNING)
    assert not state.resume(known.record.transitions, Attempts(image=0, video=0))
    assert state.record.transitions == known.record.transitions[:2]
    assert state.record.started_at == known.record.started_at
    assert state.record.version == 2


def test_added_stage_does_not_change_a_known_version() -> None:
    known, state = twice("queued", "image")
    state.change(CREATED + timedelta(seconds=9), "image", status=Status.RUNNING)
    end = known.record.transitions[-1]
    before = end.model_copy(update={"attempts": {"image": 0}})
    assert state.is_at(known.record.model_copy(update={"transitions": (before,)}))
    other = end.model_copy(update={"attempts": {"image": 1}})
    assert not state.is_at(known.record.model_copy(update={"transitions": (other,)}))


def test_other_change_follows_the_known_ones() -> None:
    known, state = twice("queued", "image", "40 %")
    state.change(CREATED + timedelta(seconds=9), "cancelled", status=Status.CANCELLED)
    assert state.resume(known.record.transitions, Attempts(image=1, video=0))
    record = state.record
    assert record.transitions[:-1] == known.record.transitions
    assert (record.version, record.transitions[-1].version) == (4, 4)
    assert record.transitions[-1].note == "cancelled"
    assert record.started_at == known.record.started_at
    assert record.attempts["image"] == record.transitions[-1].attempts["image"] == 1


@pytest.mark.parametrize(("step", "percent"), [("image", 40), ("video", 0)])
def test_percent_of_an_attempt_never_falls(step: str, percent: int) -> None:
    known, state = twice("queued")
    fields = {"status": Status.RUNNING, "step": "image"}
    known.change(CREATED, "40 %", percent=40, **fields)
    state.change(CREATED, "image", **fields | {"step": step})
    state.resume(known.record.transitions, Attempts(image=0, video=0))
    assert (state.record.percent, state.record.transitions[-1].percent) == (percent, percent)


def test_time_never_goes_back() -> None:
    """Of two that work at one task the one that began it first may come last."""
    known, state = twice("queued", "image", "40 %")
    state.change(CREATED, "cancelled", status=Status.CANCELLED)
    assert state.resume(known.record.transitions, Attempts(image=0, video=0))
    [*_, last] = state.record.transitions
    assert last.at == known.record.transitions[-1].at == state.record.finished_at


def test_unwritten_versions_keep_their_numbers() -> None:
    known, state = twice("queued", "image")
    for second, note in enumerate(("picture", "half", "whole")):
        state.change(CREATED + timedelta(seconds=second), note, status=Status.RUNNING)
    assert state.resume(known.record.transitions, Attempts(image=0, video=0))
    assert [each.note for each in state.record.transitions] == ["queued", "image", "half", "whole"]
    assert state.record.version == 4


NOTHING, DOUBT = Left(in_doubt=False), Left(in_doubt=True)
KIND = {"failure_class": "outcome_unknown"}
ACCEPTED = {"vendor_id": "v-1", "accepted_at": 0.0}


def dead(*beats: object) -> TimeoutError:
    """A worker that was not heard of any more."""
    kind = TimeoutType.TIMEOUT_TYPE_HEARTBEAT
    return TimeoutError("dead", type=kind, last_heartbeat_details=list(beats))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cause", "left"),
    [
        (ApplicationError("full", KIND, {"in_doubt": False, "vendor_id": None}), NOTHING),
        (
            ApplicationError("stopped", KIND, {"in_doubt": False, "vendor_id": "v-1"}),
            Left(in_doubt=False, vendor_id="v-1"),
        ),
        (ApplicationError("reset", KIND, {"in_doubt": True, "vendor_id": None}), DOUBT),
        (ApplicationError("by an older worker", KIND), DOUBT),
        (ApplicationError("by nobody of ours"), DOUBT),
        (ApplicationError("garbage", {"in_doubt": [], "vendor_id": 3}), DOUBT),
        (ApplicationError("by nobody of ours", "words"), DOUBT),
        (dead(), DOUBT),
        (dead(None, 0, False, True), DOUBT),
        (dead(ACCEPTED, 0), Left(in_doubt=True, vendor_id="v-1")),
    ],
)
def test_last_try_reports_what_it_leaves(cause: BaseException, left: Left) -> None:
    assert _left(cause) == left


@pytest.mark.parametrize("cause", [None, CancelledError("between tries"), ValueError("by hand")])
def test_unreadable_report_leaves_doubt(cause: BaseException | None) -> None:
    """The server itself ends an activity that waits for its next try, and so can an operator."""
    assert _left(cause) == DOUBT


def test_vendors_text_is_no_markdown_in_temporals_ui() -> None:
    words = "![x](https://evil.example/a.png) <img src=x> **paid** see www.evil.example"
    error = JobError(code="refused_for_good", message=words)
    failed = new_state().record.model_copy(update={"status": Status.FAILED, "error": error})

    assert "Why: " in details_of(failed, words)
    for said in (details_of(failed, words), summary_of(failed, words[:60]), summary(words)):
        plain = said.replace("**The job has failed.**", "")
        assert not re.search(r"(?<!\\)[\[\]<*]|[^\\]://|www[.]", plain), said
