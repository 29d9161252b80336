"""Figures of the other engines, from rows as the mocks' ledgers have them."""

from typing import Any

import pytest

from tests.bench.peers.figures import figures

JOBS = ("fox-1", "fox-2", "fox-3")


def row(job: str, begun: float, length: float) -> dict[str, Any]:
    begin = 1_700_000_000 + begun
    return {
        "job": job,
        "accepted_at": begin,
        "started_at": begin,
        "finished_at": begin + length,
    }


def measured(*starts: float) -> dict[str, Any]:
    """Jobs of 0.3 s whose workers learn of the end 0.02 s late; one more belongs to another run."""
    begun = dict(zip(JOBS, starts, strict=True))
    images = [row(job, at, 0.1) for job, at in [*begun.items(), ("warm-1", 0.0)]]
    videos = [row(job, at + 0.1, 0.2) for job, at in [*begun.items(), ("warm-1", 0.0)]]
    ended = {job: 1_700_000_000 + at + 0.32 for job, at in begun.items()}
    return figures(JOBS, images, videos, ended=ended)


def test_what_lies_between_two_jobs() -> None:
    found = measured(1.0, 1.35, 1.70)

    assert (found["jobs"], found["paid"], found["overlaps"]) == (3, [3, 3], 0)
    assert found["service"]["p50"] == pytest.approx(300)
    assert found["idle"]["p50"] == pytest.approx(50)
    assert found["hand_over"]["p50"] == pytest.approx(30)


def test_a_job_that_begins_during_another_is_counted() -> None:
    assert measured(1.0, 1.25, 1.60)["overlaps"] == 1
