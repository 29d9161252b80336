"""What a run has tried and shown: only what it came across."""

import re
from pathlib import Path
from typing import Any

import pytest

from loadtest.books import raw
from loadtest.books.histories import Execution, read_file
from loadtest.judge.judge import Judgement, judge
from loadtest.judge.tried import (
    BROKEN,
    CLAIMS,
    NOT_TRIED,
    PARTLY,
    SHOWN,
    Tried,
    claims,
    kills,
    rules,
    tried,
    unmet,
)
from loadtest.run.plan import Options
from tests.loadtest.forging.recorded import unpack
from tests.loadtest.synthetic import T0, Row, Synthetic, job_id


def found(judgement: Judgement) -> dict[str, Tried]:
    return {each.name: each for each in tried(judgement)}


def sample(name: str, at: float, cpu: float) -> dict[str, Any]:
    return {"at": T0 + at, "name": name, "cpu": cpu}


def armed(run: Synthetic) -> None:
    """A rule is armed at both services, and concerns the video service alone."""
    rule = {"name": "r1", "where": "callback", "do": "lose"}
    facts = run.folder.read(raw.RUN)
    facts["faults"] = {
        "image": {"rules": [rule | {"applies": False}]},
        "video": {"rules": [rule | {"applies": True}]},
    }
    run.replace(raw.RUN, facts)


def test_a_calm_run_has_tried_a_queue_and_no_harm(honest: Synthetic) -> None:
    calm = found(judge(honest.folder))

    assert {name for name, each in calm.items() if each.tried} == {"more jobs than places"}
    assert [name for name, each in calm.items() if each.tried is None] == ["mode"]


def test_a_rule_that_met_nobody_is_armed_and_not_tried(honest: Synthetic) -> None:
    armed(honest)
    judgement = judge(honest.folder)

    assert [(rule.service, rule.armed, rule.fired) for rule in rules(judgement)] == [
        ("video", True, 0)
    ]
    assert found(judgement)["faults of vendors"].tried is False


def test_rules_are_counted_by_the_trace_also_those_that_came_later(honest: Synthetic) -> None:
    armed(honest)
    hit = {"where": "callback", "do": "lose", "at": 0, "external_id": f"{job_id(1, 2)}.video.1"}
    honest.add(raw.FAULTS, [{"service": "video", "rule": name, **hit} for name in ("r1", "r2")])
    judgement = judge(honest.folder)

    assert [(rule.name, rule.armed, rule.fired) for rule in rules(judgement)] == [
        ("r1", True, 1),
        ("r2", False, 1),
    ]
    assert found(judgement)["faults of vendors"].tried is True


def test_rules_that_met_nobody_are_told(honest: Synthetic) -> None:
    assert unmet(judge(honest.folder)) is None
    armed(honest)
    text = unmet(judge(honest.folder))
    assert text is not None
    assert text.startswith("armed, and met no job: r1;")

    [fault] = [{"service": "video", "rule": "r1", "where": "callback", "do": "lose"}]
    honest.add(raw.FAULTS, [fault | {"external_id": f"{job_id(0, 0)}.video.1", "at": T0}])
    assert unmet(judge(honest.folder)) is None


def test_a_process_that_began_anew_or_was_silent_is_seen(honest: Synthetic) -> None:
    honest.add(raw.PROCESSES, [sample("loadtest", at, at) for at in range(4)])
    honest.add(raw.PROCESSES, [sample("worker-1", at, cpu) for at, cpu in ((0, 5), (2, 1))])
    honest.add(raw.PROCESSES, [sample("worker-2", at, at) for at in range(4)])
    judgement = judge(honest.folder)

    assert kills(judgement) == 1
    assert "worker-1 began anew 1" in found(judgement)["kills and restarts"].text
    assert found(judgement)["services that do not answer"].text == "worker-1 2 of 4 times"
    assert found(judgement)["several workers"].tried is True


def test_more_processes_in_the_histories_than_workers_are_kills(honest: Synthetic) -> None:
    honest.add(raw.PROCESSES, [sample("worker", at, at) for at in range(4)])
    judgement = judge(honest.folder)
    for number, job in enumerate(judgement.books.jobs[:2]):
        name = frozenset({f"{number}@host"})
        job.executions = [Execution(job.job_id, clients=name, workers=name)]
    for job in judgement.books.jobs[2:]:
        job.executions = []

    assert kills(judgement) == 1
    assert "one host name" in found(judgement)["mode"].text


def test_a_call_that_was_repeated_has_failed(honest: Synthetic) -> None:
    judgement = judge(honest.folder)
    assert found(judgement)["calls that fail"].tried is False
    judgement.stages[0].retries.calls["gen_image, given up", "outcome_unknown"] = 1

    assert found(judgement)["calls that fail"].tried is True


def test_the_clocks_speed_is_the_mocks_own_word(honest: Synthetic) -> None:
    vendors = honest.folder.read(raw.VENDORS)
    for vendor in vendors.values():
        vendor["stats"]["speed"] = 1
    honest.replace(raw.VENDORS, vendors)

    assert found(judge(honest.folder))["vendors at their real speed"].tried is True


def test_without_mocks_the_vendors_are_real(tmp_path: Path) -> None:
    plan = Options(stages="2", seed="7").plan(mocks=())
    run = Synthetic(tmp_path, plan=plan, mocks=()).write()
    real = found(judge(run.folder))

    assert real["vendors at their real speed"].tried is True
    assert real["faults of vendors"].tried is False


@pytest.mark.parametrize(("kind", "count"), [("plain", 1), ("workers-killed", 4)])
def test_histories_tell_which_processes_took_tasks(kind: str, count: int, tmp_path: Path) -> None:
    run = unpack(kind, tmp_path / kind)
    told = [read_file(path, path.stem) for path in run.histories.glob("*.json")]

    assert len({name for each in told for name in each.workers}) == count
    assert all(each.workers < each.clients for each in told)


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

    assert next(claim.state for claim in found if claim.text == KILLED) in (SHOWN, PARTLY)
