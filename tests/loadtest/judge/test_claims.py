"""Which claims a run has shown: only what it came across, and never what it was only told to do."""

import re
from pathlib import Path

import pytest

from loadtest.books import raw
from loadtest.judge.judge import judge
from loadtest.judge.tried import BROKEN, CLAIMS, NOT_TRIED, PARTLY, SHOWN, claims
from loadtest.run.plan import Options
from tests.loadtest.forging.recorded import unpack
from tests.loadtest.synthetic import Synthetic, job_id
from tests.loadtest.synthetic_job import Row

AT_ONCE, LOST, PAID, CALLBACK, KILLED, WHOLE = CLAIMS
TESTS = sorted({test for _, tests in CLAIMS.values() for test in tests})


def states(run: Synthetic) -> dict[str, str]:
    return {claim.text: claim.state for claim in claims(judge(run.folder))}


def of_job(rows: list[Row], name: str) -> list[Row]:
    return [row for row in rows if row["job_id"] == name]


def test_they_are_those_of_the_readme() -> None:
    table = Path("README.md").read_text("utf-8").split("| claim | shown by |")[1].split("\n\n")[0]

    assert [line.strip("| ").split(" | ")[0] for line in table.splitlines()[2:]] == list(CLAIMS)


@pytest.mark.parametrize("name", TESTS)
def test_each_named_test_exists(name: str) -> None:
    path, function = name.split("::")

    text = Path("tests", path).read_text("utf-8")
    assert re.search(rf"^(async )?def {function}\(", text, re.MULTILINE)


def test_a_calm_run_shows_what_needs_no_harm(honest: Synthetic) -> None:
    assert states(honest) == {
        AT_ONCE: SHOWN,
        LOST: SHOWN,
        PAID: NOT_TRIED,
        CALLBACK: NOT_TRIED,
        KILLED: NOT_TRIED,
        WHOLE: SHOWN,
    }


def test_a_job_alone_shows_nothing_of_the_limit(tmp_path: Path) -> None:
    run = Synthetic(tmp_path, plan=Options(stages="1", seed="7").plan()).write()

    assert states(run)[AT_ONCE] == NOT_TRIED


def test_two_at_once_are_a_broken_claim(honest: Synthetic) -> None:
    def overlap(rows: list[Row]) -> None:
        rows[-1]["accepted_at"] -= 0.9

    honest.edit(raw.LEDGERS["image"], overlap)

    assert states(honest)[AT_ONCE] == BROKEN


def test_a_job_without_a_record_breaks_one_claim(honest: Synthetic) -> None:
    honest.edit(raw.STATES, lambda rows: rows.pop())

    assert states(honest)[LOST] == BROKEN


def test_one_lost_callback_shows_a_part(honest: Synthetic) -> None:
    name = job_id(1, 2)

    def lose(rows: list[Row]) -> None:
        row = next(row for row in rows if row["external_id"] == f"{name}.video.1")
        row["callbacks"][-1] |= {"reply": None, "error": "gone"}

    honest.edit(raw.LEDGERS["video"], lose)
    honest.edit(raw.RECEIPTS, lambda rows: rows.remove(of_job(rows, name)[-1]))

    assert states(honest)[CALLBACK] == PARTLY


def test_a_disturbed_submit_is_an_occasion_to_pay_twice(honest: Synthetic) -> None:
    honest.add(
        raw.FAULTS,
        [
            {"service": "video", "rule": "r1", "where": "submit", "do": "lose-reply", "at": 0}
            | {"external_id": f"{job_id(1, 2)}.video.1"}
        ],
    )

    assert states(honest)[PAID] == SHOWN


def test_a_run_whose_workers_were_killed_shows_the_take_over(tmp_path: Path) -> None:
    found = claims(judge(unpack("workers-killed", tmp_path / "run")))

    assert next(claim.state for claim in found if claim.text == KILLED) == SHOWN
