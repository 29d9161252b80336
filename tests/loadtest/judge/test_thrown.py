"""A machine without time: work that the server threw away is there, and convicts nobody."""

import json
from pathlib import Path

import pytest

from loadtest.books import raw
from loadtest.judge.judge import judge
from loadtest.run.plan import Options
from tests.loadtest.synthetic import Synthetic, job_id
from tests.loadtest.synthetic_job import Row

NAME = job_id(0, 0)
TIMED_OUT = "EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT"


@pytest.fixture
def run(tmp_path: Path) -> Synthetic:
    return Synthetic(tmp_path, plan=Options(stages="1", seed="7").plan()).write()


def _shown_early(rows: list[Row]) -> None:
    """Its first version is written by a task that comes too late, and then once more."""
    for row in rows:
        if row["version"] == 1:
            row["at"] -= 2.0


def _without_the_video(rows: list[Row]) -> None:
    """The history tells of the image alone, since the video was stored in vain."""
    for row in rows:
        row["results"] = [{"vendor_id": "x", "token": None, "sha256": "another"}]


def _throw_away(run: Synthetic) -> None:
    path = run.folder.histories / f"{NAME}.json"
    events = json.loads(path.read_text("utf-8"))["events"]
    events.insert(-1, {"eventTime": events[-1]["eventTime"], "eventType": TIMED_OUT})
    told = [event | {"eventId": str(number)} for number, event in enumerate(events, 1)]
    path.write_text(json.dumps({"events": told}), "utf-8")
    run.edit(raw.TEMPORAL, lambda rows: [row.update(events=len(told)) for row in rows])


def _found(run: Synthetic, kind: str) -> list[str]:
    return [f.text for f in judge(run.folder).findings if f.kind == kind]


def test_a_version_may_be_shown_before_it_was_so_in_the_end(run: Synthetic) -> None:
    run.edit(raw.FRAMES, _shown_early)
    assert any("before version 1 was so" in text for text in _found(run, "causality"))

    _throw_away(run)
    assert _found(run, "causality") == []


def test_a_file_may_be_stored_without_a_word_in_the_history(run: Synthetic) -> None:
    run.edit(raw.TEMPORAL, _without_the_video)
    assert "its video is none that its history brought" in _found(run, "file")

    _throw_away(run)
    assert _found(run, "file") == []


def test_a_permit_may_be_heard_of_late_but_not_asked_for_late(run: Synthetic) -> None:
    def late(rows: list[Row]) -> None:
        for row in rows:
            row["granted"] += 0.5
            row["signals"] = [[n, at + 0.5 * (n == "slot_granted")] for n, at in row["signals"]]

    run.edit(raw.TEMPORAL, late)
    assert not any("before the permit" in text for text in _found(run, "causality"))

    def asked(rows: list[Row]) -> None:
        for row in rows:
            row["activities"][0]["started"] += 0.5

    run.edit(raw.TEMPORAL, asked)
    assert any("before the permit" in text for text in _found(run, "causality"))


def test_a_permit_counts_from_the_scheduling_of_what_was_begun_again(run: Synthetic) -> None:
    """The history tells the last try alone, and the one before had the image accepted."""

    def again(rows: list[Row]) -> None:
        for row in rows:
            row["granted"] += 0.5
            row["signals"] = [[n, at + 0.5 * (n == "slot_granted")] for n, at in row["signals"]]
            row["activities"][0]["started"] += 0.5
            row["activities"][0]["attempt"] = attempt

    attempt = 1
    run.edit(raw.TEMPORAL, again)
    assert any("before the permit" in text for text in _found(run, "causality"))

    attempt = 2
    run.edit(raw.TEMPORAL, again)
    assert not any("before the permit" in text for text in _found(run, "causality"))


def test_a_permits_echo_may_come_after_the_end(run: Synthetic) -> None:
    """The server takes no signal for a closed run; the permit itself is in history and record."""

    def without(rows: list[Row]) -> None:
        for row in rows:
            row["granted"], row["signals"] = None, row["signals"][1:]

    path = run.folder.histories / f"{NAME}.json"
    told = path.read_text("utf-8").replace("slot_granted", "x")
    told = told.replace("workflowExecutionSignaledEventAttributes", "y", 1)
    path.write_text(told, "utf-8")
    run.edit(raw.TEMPORAL, without)
    judgement = judge(run.folder)
    assert (judgement.passed, judgement.findings) == (True, [])
    assert [found.at_once["temporal"].most for found in judgement.stages] == [1]

    run.edit(raw.STATES, lambda rows: [row["record"].update(token=None) for row in rows])
    assert _found(run, "history") == ["no permit is in its history"]


def test_a_permit_that_is_heard_of_late_has_not_fallen(tmp_path: Path) -> None:
    """Another one's, given later, had been given back by then."""
    run = Synthetic(tmp_path, plan=Options(stages="2", seed="7").plan()).write()

    def late(rows: list[Row]) -> None:
        rows[0]["granted"] = rows[1]["closed"] + 0.1

    run.edit(raw.TEMPORAL, late)
    assert not any("had been given back" in text for text in _found(run, "history"))
