"""Little's law: what the samples of the slot say must fit the jobs' own times."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from loadtest.books import raw
from loadtest.judge.judge import judge
from loadtest.run.plan import Options
from tests.loadtest.synthetic import Synthetic
from tests.loadtest.synthetic_job import Row

STEP = 0.5
JOBS = 30


def sampled(run: Synthetic, shown: Callable[[int, float], int]) -> None:
    """Samples every half second; `shown` gets how many are in the system, and since when."""
    jobs = [row["record"] for row in run.folder.rows(raw.STATES)]
    times = [(seconds(job["created_at"]), seconds(job["finished_at"])) for job in jobs]
    first, last = min(times)[0], max(end for _, end in times)
    rows: list[Row] = []
    at = first
    while at <= last:
        inside = sum(begin <= at < end for begin, end in times)
        waiting = shown(inside, at - first)
        rows.append({"stage": 0, "at": at, "limit": 1, "holders": [], "waiting": waiting})
        at += STEP
    run.add(raw.SLOTS, rows)


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("shown", "holds"),
    [
        (lambda inside, since: inside, True),
        (lambda inside, since: inside if since > 1.2 else 1, True),
        (lambda inside, since: inside // 2, False),
        (lambda inside, since: inside * 2, False),
    ],
    ids=["true", "late at the beginning", "half of them unseen", "twice as many"],
)
def test_samples_must_fit_the_jobs(
    tmp_path: Path, shown: Callable[[int, float], int], holds: bool
) -> None:
    run = Synthetic(tmp_path, plan=Options(stages=str(JOBS), seed="7").plan()).write()
    sampled(run, shown)
    reasons = [reason for reason in judge(run.folder).reasons if "Little" in reason]
    assert (not reasons) is holds


def test_jobs_that_are_still_open_are_in_the_system(tmp_path: Path) -> None:
    run = Synthetic(tmp_path, plan=Options(stages=str(JOBS), seed="7").plan()).write()

    def reopen(rows: list[Row]) -> None:
        for row in rows[JOBS // 2 :]:
            row["job"] |= {"status": "running", "finished_at": None}

    sampled(run, lambda inside, since: max(inside, JOBS // 2))
    run.edit(raw.JOBS, reopen)
    assert not [reason for reason in judge(run.folder).reasons if "Little" in reason]


def test_samples_may_be_few_just_where_many_wait(tmp_path: Path) -> None:
    """A machine without time looks seldom in the first half, in which most are in the system."""
    run = Synthetic(tmp_path, plan=Options(stages=str(JOBS), seed="7").plan()).write()
    sampled(run, lambda inside, since: inside)

    def thin_out(rows: list[Row]) -> None:
        looks = [row for row in rows if row["waiting"] is not None]
        half = len(looks) // 2
        rows[:] = [*looks[:half:10], *looks[half:]]

    run.edit(raw.SLOTS, thin_out)
    assert not [reason for reason in judge(run.folder).reasons if "Little" in reason]


def test_when_they_came_and_went_in_a_long_gap_nobody_saw(tmp_path: Path) -> None:
    """The first look is ahead of most arrivals, and the next one behind many ends."""
    run = Synthetic(tmp_path, plan=Options(stages=str(JOBS), seed="7").plan()).write()
    sampled(run, lambda inside, since: inside if since else 1)

    def without_the_first_third(rows: list[Row]) -> None:
        looks = [row for row in rows if row["waiting"] is not None]
        rows[:] = [looks[0], *looks[len(looks) // 3 :]]

    run.edit(raw.SLOTS, without_the_first_third)
    assert not [reason for reason in judge(run.folder).reasons if "Little" in reason]
