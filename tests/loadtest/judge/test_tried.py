"""What a run has tried and shown: only what it came across."""

from pathlib import Path
from typing import Any

import pytest

from loadtest.books import raw
from loadtest.books.executions import Execution
from loadtest.judge.judge import Judgement, judge
from loadtest.judge.tried import (
    BROKEN,
    CLAIMS,
    NOT_TRIED,
    PARTLY,
    SHOWN,
    Fired,
    Tried,
    claims,
    kills,
    rules,
    tried,
    unmet,
)
from loadtest.run.plan import planned
from tests.loadtest.forging.recorded import unpack
from tests.loadtest.synthetic import T0, Synthetic, job_id


def found(judgement: Judgement) -> dict[str, Tried]:
    return {each.name: each for each in tried(judgement)}


def sample(name: str, at: float, cpu: float) -> dict[str, Any]:
    return {"at": T0 + at, "name": name, "cpu": cpu}


def hit(run: Synthetic, where: str, do: str, *rules: str) -> None:
    """These rules met one job, by the trace of the video service."""
    row = {"service": "video", "where": where, "do": do, "at": T0}
    row["external_id"] = f"{job_id(1, 2)}.video.1"
    run.add(raw.FAULTS, [row | {"rule": name} for name in rules])


def test_calm_run_tries_a_queue_and_no_disturbance(honest: Synthetic) -> None:
    judgement = judge(honest.folder)
    calm = found(judgement)

    assert {name for name, each in calm.items() if each.tried} == {"more jobs than places"}
    assert [name for name, each in calm.items() if each.tried is None] == ["mode"]
    assert unmet(judgement) is None


def test_rules_are_counted_by_the_trace_including_later_ones(honest: Synthetic) -> None:
    """A rule is armed at both services, and concerns the video service alone."""
    rule = {"name": "r1", "where": "callback", "do": "lose"}
    for service, applies in (("image", False), ("video", True)):
        honest.told(raw.RUN, "faults", service, rules=[rule | {"applies": applies}])
    judgement = judge(honest.folder)
    assert rules(judgement) == [Fired("video", "r1", "callback.lose", armed=True, fired=0)]
    assert found(judgement)["faults of vendors"].tried is False
    assert str(unmet(judgement)).startswith("armed, and met no job: r1;")
    assert SHOWN not in {claim.state for claim in claims(judgement)}

    hit(honest, "callback", "lose", "r1", "r2")
    judgement = judge(honest.folder)
    assert [(rule.name, rule.armed, rule.fired) for rule in rules(judgement)] == [
        ("r1", True, 1),
        ("r2", False, 1),
    ]
    assert found(judgement)["faults of vendors"].tried is True
    assert unmet(judgement) is None


def test_restarted_or_silent_process_is_counted(honest: Synthetic) -> None:
    honest.add(raw.PROCESSES, [sample("loadtest", at, at) for at in range(4)])
    honest.add(raw.PROCESSES, [sample("worker-1", at, cpu) for at, cpu in ((0, 5), (2, 1))])
    honest.add(raw.PROCESSES, [sample("worker-2", at, at) for at in range(4)])
    judgement = judge(honest.folder)

    assert kills(judgement) == 0, "the same process took all tasks"
    assert "worker-1 restarted 1" in found(judgement)["kills and restarts"].text
    said = "worker-1 answered 2 of 4 times"
    assert found(judgement)["services that do not answer"].text == said
    assert found(judgement)["several workers"].tried is False, "one of them took all tasks"


def test_process_that_begins_after_the_end_of_another_is_a_kill(honest: Synthetic) -> None:
    looks = [sample("loadtest", at, at) for at in range(4)]
    looks += [sample("worker", at, cpu) for at, cpu in ((0, 5), (2, 1))]
    honest.add(raw.PROCESSES, looks)
    judgement = judge(honest.folder)
    for number, job in enumerate(judgement.books.jobs):
        name = f"{number}@host"
        run = Execution(job.job_id, clients={name}, taken=[(name, T0 + number)])
        job.executions = [run] * (number < 2)

    assert kills(judgement) == 1
    judgement.books.jobs[0].executions[0].taken.append(("0@host", T0 + 2))
    assert kills(judgement) == 0, "the first one still takes tasks"
    assert "one host name" in found(judgement)["mode"].text


def test_speed_of_vendors_is_reported_by_the_mocks(honest: Synthetic) -> None:
    assert found(judge(honest.folder))["vendors at their real speed"].tried is False
    for vendor in ("image", "video"):
        honest.told(raw.VENDORS, vendor, "stats", speed=1)
    assert found(judge(honest.folder))["vendors at their real speed"].tried is False

    for name in raw.LEDGERS.values():
        for place in range(len(list(honest.folder.rows(name)))):
            honest.change(name, place, accepted_at=lambda at: at - 10)
    assert found(judge(honest.folder))["vendors at their real speed"].tried is True


def test_without_mocks_the_histories_say_how_quick_the_vendors_were(tmp_path: Path) -> None:
    plan = planned("2", seed="7", mocks=())
    real = found(judge(Synthetic(tmp_path, plan=plan, mocks=()).write().folder))

    assert real["vendors at their real speed"].tried is False
    assert real["vendors at their real speed"].text.startswith("no mocks were on")
    assert real["faults of vendors"].tried is False


def test_claims_that_need_a_ledger_say_that_it_is_absent(tmp_path: Path) -> None:
    plan = planned("2", seed="7", mocks=("image",))
    judgement = judge(Synthetic(tmp_path, plan=plan, mocks=("image",)).write().folder)
    said = {claim.text: (claim.state, claim.why) for claim in claims(judgement)}

    assert judgement.headline.endswith("; without the ledger of: video")
    assert said[AT_ONCE][1].endswith("most at once: by records 1, by Temporal 1")
    assert said[CALLBACK] == (NOT_TRIED, "without mocks it is not known what was sent")


@pytest.mark.parametrize(("kind", "count"), [("plain", 1), ("workers-killed", 4)])
def test_histories_name_the_processes_that_took_tasks(
    kind: str, count: int, tmp_path: Path
) -> None:
    judgement = judge(unpack(kind, tmp_path / kind))
    told = [run for job in judgement.books.jobs for run in job.executions]

    assert len({name for each in told for name in each.workers}) == count
    assert all(each.workers < each.clients for each in told)
    states = {claim.text: claim.state for claim in claims(judgement)}
    assert (states[KILLED] in (SHOWN, PARTLY)) == (count > 1)


AT_ONCE, LOST, PAID, CALLBACK, KILLED, WHOLE = CLAIMS


def states(run: Synthetic) -> dict[str, str]:
    return {claim.text: claim.state for claim in claims(judge(run.folder))}


def test_claims_are_those_of_the_readme() -> None:
    table = Path("README.md").read_text("utf-8").split("| claim | shown by |")[1].split("\n\n")[0]

    assert [line.strip("| ").split(" | ")[0] for line in table.splitlines()[2:]] == list(CLAIMS)


def test_calm_run_shows_claims_without_disturbance(honest: Synthetic) -> None:
    assert states(honest) == {
        AT_ONCE: SHOWN,
        LOST: SHOWN,
        PAID: NOT_TRIED,
        CALLBACK: NOT_TRIED,
        KILLED: NOT_TRIED,
        WHOLE: SHOWN,
    }


def test_one_job_shows_nothing_of_the_limit(tmp_path: Path) -> None:
    run = Synthetic(tmp_path, plan=planned("1", seed="7")).write()

    assert states(run)[AT_ONCE] == NOT_TRIED


def test_overlap_or_lost_record_breaks_one_claim(honest: Synthetic) -> None:
    honest.edit(raw.STATES, lambda rows: rows.pop())
    assert (states(honest)[AT_ONCE], states(honest)[LOST]) == (SHOWN, BROKEN)

    honest.change(raw.LEDGERS["image"], -1, accepted_at=lambda at: at - 0.9)
    assert states(honest)[AT_ONCE] == BROKEN


def test_one_lost_callback_shows_a_claim_in_part(honest: Synthetic) -> None:
    honest.change(raw.LEDGERS["video"], 2, "callbacks", -1, reply=None, error="gone")
    honest.edit(raw.RECEIPTS, lambda rows: rows.pop(5))

    assert states(honest)[CALLBACK] == PARTLY


@pytest.mark.parametrize(("do", "state"), [("lose-reply", SHOWN), ("refuse", NOT_TRIED)])
def test_submit_in_doubt_could_have_been_paid_twice(honest: Synthetic, do: str, state: str) -> None:
    hit(honest, "submit", do, "r1")

    assert states(honest)[PAID] == state


def test_redirected_result_is_no_damaged_one(tmp_path: Path) -> None:
    judgement = judge(unpack("redirected-results", tmp_path / "run"))

    why = {claim.text: claim.why for claim in claims(judgement)}[WHOLE]
    assert why == "6 files read, 0 result(s) came damaged before"


def test_file_that_a_refused_job_lacks_breaks_no_claim(tmp_path: Path) -> None:
    judgement = judge(unpack("pack-used-up", tmp_path / "run"))

    found = {claim.text: (claim.state, claim.why) for claim in claims(judgement)}[WHOLE]
    assert found == (SHOWN, "3 files read, 0 result(s) came damaged before")
