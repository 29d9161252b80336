"""What the runner has seen: versions never go back in it, others' jobs are left out."""

from typing import Any

from loadtest.collect.tracker import Tracker


def job(job_id: str, version: int, status: str, *, tag: str = "mine") -> dict[str, Any]:
    return {"job_id": job_id, "tag": tag, "version": version, "status": status}


def test_a_job_is_open_until_its_end_was_seen() -> None:
    tracker = Tracker("mine")
    tracker.expect("a")
    tracker.see(job("a", 1, "running"), source="ws")

    assert tracker.open == {"a"}
    tracker.see(job("a", 2, "succeeded"), source="ws")
    assert tracker.open == set()
    assert tracker.ended == 1


def test_an_end_seen_before_the_submits_answer_counts() -> None:
    tracker = Tracker("mine")
    tracker.see(job("a", 3, "succeeded"), source="ws")
    tracker.expect("a")

    assert tracker.open == set()


def test_old_news_changes_nothing_and_is_noted_when_the_feed_went_back() -> None:
    tracker = Tracker("mine")
    for version, source in ((2, "ws"), (1, "poll"), (1, "ws"), (2, "ws")):
        tracker.see(job("a", version, "running"), source=source)

    assert tracker.jobs["a"]["version"] == 2
    assert [frame["version"] for frame in tracker.take_frames()] == [2, 1]
    assert tracker.take_frames() == []
    assert tracker.counts == {"running": 1}


def test_others_jobs_are_left_out() -> None:
    tracker = Tracker("mine")
    tracker.see(job("a", 1, "running", tag="theirs"), source="ws")

    assert tracker.known == set()
