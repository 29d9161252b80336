"""What counts as running in a record whose job was reset."""

from pathlib import Path

import pytest

from loadtest.books import raw
from loadtest.books.load import load
from loadtest.judge.intervals import record_intervals
from loadtest.times import timestamp
from tests.loadtest.synthetic import T0, Synthetic, job_id
from tests.loadtest.synthetic_job import Row

FIRST = job_id(0, 0)


def with_reset(rows: list[Row], at: float) -> None:
    """The first job had another run, which was reset at that moment."""
    rows[0]["closed"] = T0 + 9
    rows.insert(0, {**rows[0], "run_id": "before", "status": "TERMINATED", "closed": at})


def transition(version: int, at: float, status: str) -> Row:
    return {"version": version, "at": timestamp(at), "status": status, "step": None, "percent": 0}


@pytest.mark.parametrize(
    ("reset_at", "stretches"),
    [
        # It held the slot when it was reset: until then.
        (T0 + 3, [(T0 + 1, T0 + 3), (T0 + 8, T0 + 9)]),
        # It waited: what its next run showed under the old permit was none.
        (T0 + 0.5, [(T0 + 8, T0 + 9)]),
    ],
)
def test_a_run_that_was_reset_ends_there(
    tmp_path: Path, reset_at: float, stretches: list[tuple[float, float]]
) -> None:
    run = Synthetic(tmp_path).write()
    states = [(0, "queued"), (1, "running"), (5, "queued"), (8, "running"), (9, "succeeded")]
    changes = [transition(n + 1, T0 + at, status) for n, (at, status) in enumerate(states)]

    def forge(rows: list[Row]) -> None:
        rows[0]["record"]["transitions"] = changes

    run.edit(raw.STATES, forge)
    run.edit(raw.TEMPORAL, lambda rows: with_reset(rows, reset_at))
    [job] = [job for job in load(run.folder).jobs if job.job_id == FIRST]

    found = list(record_intervals(job, T0 + 99))

    assert [(each.begin, each.end) for each in found] == stretches
