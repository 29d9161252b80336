"""The other engines: figures from rows as the mocks have them, and lines of the table."""

import re
from typing import Any

import pytest

from tests.bench.peers.engines import PEERS
from tests.bench.peers.figures import figures
from tests.bench.peers.table import line
from tests.docs.pages import ROOT, read, tables_headed

JOBS = ("fox-1", "fox-2", "fox-3")
VERDICT = ROOT / "docs" / "verdict.md"


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


def kill(steps: dict[str, float], *, back: float | None = None, other: bool = True) -> Any:
    """A kill after which the job has taken these steps, its end among them or not."""
    late = steps["ended"] - 5 if "ended" in steps else None
    hit = {"ended": "ended" in steps, "paid": [1, 2], "steps": steps, "late": late}
    aside = {"ended": other, "paid": [1, 1], "steps": {}}
    return {"worker_back_after": back, "watched": 240.2, "hit": hit, "other": aside}


def test_a_line_of_the_table() -> None:
    turns = {"turns": measured(1.0, 1.35, 1.70), "loop": measured(1.0, 1.325, 1.65)}
    video, order = kill({"video": 0.61, "ended": 5.1}), kill({"ended": 5.1})

    found = line("Engine 1.2: a slot", {"turns": turns, "video": video, "order": order})

    assert found == (
        "| Engine 1.2: a slot | 50 ms (25 ms) | 30 ms (5.0 ms) "
        "| goes on at the other worker after 0.6 s, ends 0.1 s late | 1, 2 | 1, 2 |"
    )


def test_what_was_not_measured_or_failed_is_told_as_such() -> None:
    turns = {"turns": measured(1.0, 1.25, 1.61), "loop": measured(1.0, 1.325, 1.65)}

    assert "| 5.0 ms (25 ms), 1 overlaps |" in line("x", {"turns": turns})
    assert line("x", {"turns": turns}).endswith("|  |  |  |")
    assert line("x", {"video": {"failed": "hung"}}) == "| x |  |  | hung |  |  |"
    assert line("x", {"order": kill({})}).endswith("| 1, 2, and not ended |")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (kill({"ended": 5.3}), "ends at the other worker, 0.3 s late"),
        (kill({"image": 61.2, "video": 62.0, "ended": 67.0}), "begins anew at the other worker"),
        (
            kill({"order": 10.4, "ended": 15.0}),
            "orders the video anew at the other worker after 10",
        ),
        (
            kill({"video": 132.4, "ended": 137.0}, back=120.3),
            "a worker of the same name came after 120 s, 12.1 s later it goes on, ends 132.0 s",
        ),
        (kill({}, back=120.3), "not ended after 240 s; the other job ended"),
        (kill({}, back=120.3, other=False), "not ended after 240 s; the other job did not end"),
    ],
)
def test_what_became_of_a_killed_workers_job(found: Any, said: str) -> None:
    assert said in line("x", {"video": found})


def test_the_page_has_a_line_for_each_engine() -> None:
    [table] = [table for table in tables_headed(read(VERDICT), "engine, and its slot")]
    titles = [re.sub(r"\d+(\.\d+)+", "{}", cells[0]) for cells in table.rows]

    assert titles == [peer.title for peer in PEERS]
