"""What is read of the stack: histories, the jobs that are followed, files."""

from collections.abc import Callable
from typing import Any

import pytest

from examples.speech.mock import tone
from loadtest.books.histories import read_events
from loadtest.collect.collector import examine
from loadtest.collect.tracker import Tracker
from shared.temporal.client import summary
from tests.loadtest.synthetic import Row, Story
from tests.services.worker.samples import mp4, png


def permit(at: float, **body: object) -> Callable[[Story], None]:
    said = {"job_id": "job-0", "run_id": "run-9", "name": "job", "token": 7} | body
    return lambda story: story.signal("granted:job", at, said)


def begun(run_id: str = "run-9") -> Story:
    story = Story()
    story.add(
        1.0,
        "WORKFLOW_EXECUTION_STARTED",
        workflowType={"name": "GenVideoWorkflow"},
        originalExecutionRunId=run_id,
    )
    return story


@pytest.mark.parametrize(
    ("signals", "granted"),
    [
        ([permit(5)], 5.0),
        ([permit(5), permit(8)], 5.0),
        ([permit(5, name="image"), permit(6)], 6.0),
        ([permit(5, run_id="run-8")], None),
        ([lambda story: story.signal("refused:job", 5, {})], None),
        ([lambda story: story.signal("granted:image", 5, {"run_id": "run-9"})], None),
    ],
)
def test_slot_begins_with_the_permit(
    signals: list[Callable[[Story], None]], granted: float | None
) -> None:
    story = begun()
    for signal in signals:
        signal(story)

    assert read_events("job-0", story.events).granted == granted


def test_new_semaphore_may_grant_before_a_request() -> None:
    story = begun()
    permit(5)(story)
    story.local(story.task(6.0), "enter_queue", 7.0, result={}, summary="version 1: queued")
    run = read_events("job-0", story.events)

    assert (run.heard, run.granted) == (5.0, 5.0)


def test_reset_run_needs_its_own_permit() -> None:
    story = begun("run-8")
    permit(5, run_id="run-8")(story)
    cause = "WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW"
    story.add(7.0, "WORKFLOW_TASK_FAILED", cause=cause, newRunId="run-9")
    permit(8, run_id="run-8")(story)
    permit(11)(story)

    run = read_events("job-0", story.events)

    assert (run.run_id, run.granted) == ("run-9", 11.0)


def test_order_names_its_attempt_and_permit() -> None:
    story = begun()
    order = {"stage": "video", "attempt": 2, "token": 7, "request": {"job_id": "job-0"}}
    story.activity("1", "request_video", 3.0, None, input=order)
    story.activity("1", "collect_video", 4.0, None, input={"accepted": {}})

    assert [each[:5] for each in read_events("job-0", story.events).orders] == [
        ("job-0.video.2", "video", 2, 7, 3.0)
    ]


def test_version_has_the_time_of_its_workflow_task() -> None:
    story = begun()
    task = story.task(2.0)
    story.local(task, "enter_queue", 3.0, result={}, summary="version 1: queued")
    story.local(task, "record_state", 4.0, result={}, summary="version 2: image, attempt 1 of 4")
    run = read_events("job-0", story.events)

    assert [(each.version, each.at) for each in run.versions] == [(1, 2.0), (2, 3.0)]


def test_note_is_read_as_the_workflow_wrote_it() -> None:
    """Without the marks of the Markdown that a summary is."""
    story, note = begun(), r"waiting: ConnectError: [Errno -2] \_*`<a@b>` https://a.example"
    story.local(
        story.task(2.0), "record_state", 3.0, result={}, summary=summary(f"version 1: {note}")
    )

    assert [each.note for each in read_events("job-0", story.events).versions] == [note]


def test_plain_hop_is_between_two_consecutive_activities() -> None:
    """An activity that a permit brought about is none."""
    story = begun()
    nothing: Row = {"input": {}, "result": {}}
    story.activity("1", "gen_image", 3.0, 60.0, **nothing)
    story.activity("1", "request_video", 61.0, 70.0, **nothing)
    permit(71, name="video")(story)
    story.activity("1", "collect_video", 72.0, 73.0, **nothing)

    assert read_events("job-0", story.events).hops == [1.0]


def test_incomplete_history_does_not_count() -> None:
    story = begun()
    permit(5)(story)
    del story.events[0]

    assert read_events("job-0", story.events).problem == "lacks events"


def job(job_id: str, version: int, status: str, *, tag: str = "mine") -> dict[str, Any]:
    return {"job_id": job_id, "tag": tag, "version": version, "status": status}


def test_job_is_open_until_its_end_is_seen() -> None:
    tracker = Tracker("mine")
    tracker.expect("a")
    tracker.see(job("a", 1, "running"), source="ws")

    assert tracker.open == {"a"}
    tracker.see(job("a", 2, "succeeded"), source="ws")
    assert tracker.open == set()
    assert tracker.ended == 1


def test_end_before_the_submits_answer_counts() -> None:
    tracker = Tracker("mine")
    tracker.see(job("a", 3, "succeeded"), source="ws")
    tracker.expect("a")

    assert tracker.open == set()


def test_older_version_changes_nothing_and_is_noted() -> None:
    tracker = Tracker("mine")
    for version, source in ((2, "ws"), (1, "poll"), (1, "ws"), (2, "ws")):
        tracker.see(job("a", version, "running"), source=source)

    assert tracker.jobs["a"]["version"] == 2
    assert [frame["version"] for frame in tracker.take_frames()] == [2, 1]
    assert tracker.take_frames() == []
    assert tracker.counts == {"running": 1}


def test_jobs_of_others_are_ignored() -> None:
    tracker = Tracker("mine")
    tracker.see(job("a", 1, "running", tag="theirs"), source="ws")

    assert tracker.known == set()


SRT = b"1\n00:00:00,000 --> 00:00:01,000\nGood morning\n"


@pytest.mark.parametrize(
    ("data", "media", "problem"),
    [
        (png(), "image/png", None),
        (mp4(), "video/mp4", None),
        (tone("Good morning"), "audio/wav", None),
        (SRT, "application/x-subrip", None),
        (png()[:99], "image/png", "does not decode: "),
        (SRT, "image/png", "does not decode: "),
        (mp4()[:99], "video/mp4", "does not decode: "),
        (tone("Good morning")[:99], "audio/wav", "is cut short"),
        (b"", "application/x-subrip", "missing or empty"),
    ],
)
def test_file_is_decoded_by_its_media_type(data: bytes, media: str, problem: str | None) -> None:
    found = str(examine("job-0", "a_stage", data, media)["problem"])
    assert found.startswith(str(problem))
