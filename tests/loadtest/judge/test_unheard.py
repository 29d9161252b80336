"""An image that began as its job was ended from outside; what looks alike is no excuse."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loadtest import raw
from loadtest.books.load import load
from loadtest.judge.findings import CHARGED_TWICE, findings
from loadtest.judge.unheard import began_unheard
from tests.loadtest.synthetic import Synthetic, job_id

FIRST, SECOND = job_id(0, 0), job_id(0, 1)
Row = dict[str, Any]


@pytest.fixture
def run(tmp_path: Path) -> Synthetic:
    """The second job, armed behind the first, was terminated right before that one closed."""
    made = Synthetic(tmp_path).write()

    def forge(rows: list[Row]) -> None:
        first, second = rows[:2]
        second.update(status="TERMINATED", granted=None, behind=first["run_id"])
        second["closed"] = first["closed"] - 0.02

    made.edit(raw.TEMPORAL, forge)
    made.edit(raw.LEDGERS["video"], lambda rows: rows.pop(1))
    made.edit(raw.JOBS, lambda rows: rows[1]["job"]["attempts"].update(image=0, video=0))
    made.edit(raw.STATES, lambda rows: rows[1]["record"].update(transitions=[]))
    return made


def is_excused(run: Synthetic) -> bool:
    books = load(run.folder)
    job = next(job for job in books.jobs if job.job_id == SECOND)
    charged = [f for f in findings(books) if f.kind == CHARGED_TWICE and f.job_id == SECOND]
    assert began_unheard(job, books) == (not charged)
    return not charged


def test_it_began_in_its_turn_before_it_could_hear(run: Synthetic) -> None:
    assert is_excused(run)


def test_it_was_ended_right_after_its_word_that_it_had_begun(run: Synthetic) -> None:
    def begun(rows: list[Row]) -> None:
        rows[1].update(granted=rows[0]["closed"] + 0.01, closed=rows[0]["closed"] + 0.02)

    run.edit(raw.TEMPORAL, begun)
    assert is_excused(run)


@pytest.mark.parametrize(
    "change",
    [
        lambda first, second: second.update(behind=None),
        lambda first, second: second.update(behind="r-unknown"),
        lambda first, second: second.update(status="FAILED"),
        lambda first, second: second.update(closed=second["closed"] - 5),
        lambda first, second: first.update(closed=first["closed"] + 5),
        lambda first, second: first.update(status="TERMINATED"),
    ],
    ids=["not armed", "behind nobody", "by itself", "long before", "too early", "not in order"],
)
def test_what_is_otherwise_is_not(run: Synthetic, change: Callable[[Row, Row], object]) -> None:
    run.edit(raw.TEMPORAL, lambda rows: change(rows[0], rows[1]))
    assert not is_excused(run)


def test_nor_are_two_of_them(run: Synthetic) -> None:
    def again(rows: list[Row]) -> None:
        rows.append({**rows[1], "job_id": "twin", "external_id": f"{SECOND}.image.2"})

    run.edit(raw.LEDGERS["image"], again)
    assert not is_excused(run)
