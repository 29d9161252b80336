"""What a run has tried, by its books; flags and armed rules alone are no try."""

from pathlib import Path
from typing import Any

import pytest

from loadtest.books import raw
from loadtest.books.histories import Told, read_again
from loadtest.judge.judge import Judgement, judge
from loadtest.judge.tried import Tried, kills, rules, tried, unmet
from loadtest.run.plan import Options
from tests.loadtest.forging.recorded import unpack
from tests.loadtest.synthetic import T0, Synthetic, job_id


def found(judgement: Judgement) -> dict[str, Tried]:
    return {each.name: each for each in tried(judgement)}


def sample(name: str, at: float, cpu: float) -> dict[str, Any]:
    return {"at": T0 + at, "name": name, "cpu": cpu, "rss": 1.0, "fds": 1.0}


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
        name = f"{number}@host"
        job.told[""] = Told("x", clients=frozenset({name}), workers=frozenset({name}))

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
    plan = Options(stages="2", seed="7").plan(mocked=False)
    run = Synthetic(tmp_path, plan=plan, mocks=False).write()
    real = found(judge(run.folder))

    assert real["vendors at their real speed"].tried is True
    assert real["faults of vendors"].tried is False


@pytest.mark.parametrize(("kind", "count"), [("plain", 1), ("workers-killed", 4)])
def test_histories_tell_which_processes_took_tasks(kind: str, count: int, tmp_path: Path) -> None:
    run = unpack(kind, tmp_path / kind)
    told = [read_again(path) for path in run.histories.glob("*.json")]

    assert len({name for each in told for name in each.workers}) == count
    assert all(each.workers < each.clients for each in told)
