"""The plan in force: the same seed strikes the same jobs, and any order."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.mock_core.clock import Clock
from services.mock_core.faults.kinds import Where
from services.mock_core.faults.plan import FaultPlan
from services.mock_core.faults.rules import read_plan
from services.mock_core.ledger import Job
from tests.services.mock_core.makers import make_generation, make_job, make_plan

Raw = dict[str, Any]
LOSE: Raw = {"where": "callback", "do": "lose"}


def _event(plan: FaultPlan, where: Where, job: Job, attempt: int, **members: Any) -> list[str]:
    hits = plan.hits(where, make_generation(job, attempt=attempt, **members))
    return [hit.fault.kind.do for hit in hits]


_rules = st.lists(
    st.sampled_from(
        [
            {"where": "submit", "do": "refuse", "often": {"probability": 0.5}},
            {"where": "start", "do": "fail", "often": {"probability": 0.4, "attempts": 1}},
            {"where": "callback", "do": "delay", "with": {"seconds": "uniform:1,20"}},
            {"where": "callback", "do": "repeat", "often": {"probability": 0.3, "per": "job"}},
            {"where": "poll", "do": "reset", "often": {"probability": 0.3, "first": 3}},
            {"where": "result", "do": "truncate", "match": {"share": 0.5}},
        ]
    ),
    min_size=1,
    max_size=5,
)


def _faults(plan: FaultPlan, order: list[tuple[str, int, Where]]) -> set[tuple[Any, ...]]:
    """What happens when the jobs' events come in this order."""
    jobs: dict[str, Job] = {}
    for prompt, attempt, where in order:
        job = jobs.setdefault(prompt, make_job(prompt))
        plan.hits(where, make_generation(job, attempt=attempt, prompt=prompt))
    rows = plan.trace()
    names = ("rule", "where", "do", "job_key", "attempt", "event")
    return {(*(row[name] for name in names), str(row["with"])) for row in rows}


@given(_rules, st.integers(0, 1000), st.randoms(use_true_random=False))
def test_any_order_of_jobs_gets_the_same_faults(
    rules: list[Raw], seed: int, shuffler: random.Random
) -> None:
    lives = [
        [(f"p{n}", attempt, where) for attempt in (1, 2) for where in Where for _ in range(2)]
        for n in range(5)
    ]
    in_turn = [event for life in lives for event in life]
    mixed = []
    rest = [list(life) for life in lives]
    while any(rest):
        mixed.append(shuffler.choice([life for life in rest if life]).pop(0))
    assert _faults(make_plan(*rules, seed=seed), in_turn) == _faults(
        make_plan(*rules, seed=seed), mixed
    )


def test_probability_is_approximate_and_depends_on_the_seed() -> None:
    found = []
    for seed in (1, 2):
        plan = make_plan({**LOSE, "often": {"probability": 0.25}}, seed=seed)
        found.append(_faults(plan, [(f"p{n}", 1, Where.CALLBACK) for n in range(1000)]))
        assert 200 < plan.injected < 300
    assert found[0] != found[1]


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({"prompt": "*cat*"}, True),
        ({"prompt": "dog"}, False),
        ({"external_id": "job-x.*"}, True),
        ({"id": "vendor-?"}, True),
        ({"id": "x*"}, False),
        ({"nth": 1}, True),
        ({"nth": "2-"}, False),
        ({"prompt": "*cat*", "nth": 2}, False),
    ],
)
def test_rules_select_their_jobs(match: Raw, fits: bool) -> None:
    plan = make_plan({**LOSE, "match": match})
    members = {"prompt": "a cat", "id": "vendor-1", "external_id": "job-x.video.1"}
    assert bool(_event(plan, Where.CALLBACK, make_job(), 1, **members)) is fits


def test_three_events_of_three_attempts_are_counted() -> None:
    for rule, struck in (
        ({**LOSE, "often": {"first": 2}}, [2, 2, 2]),
        ({**LOSE, "often": {"attempts": "2-3"}}, [0, 3, 3]),
        ({**LOSE, "until": {"count": 2}}, [2, 0, 0]),
    ):
        plan = make_plan(rule)
        jobs = {attempt: make_job(f"p{attempt}") for attempt in (1, 2, 3)}
        met = [
            sum(bool(_event(plan, Where.CALLBACK, job, attempt)) for _ in range(3))
            for attempt, job in jobs.items()
        ]
        assert met == struck
        assert plan.rows()[0]["spent"] is ("until" in rule)


def test_rule_counts_from_its_arming_and_replaces_its_namesake() -> None:
    plan = make_plan({"name": "x", **LOSE}, {"where": "poll", "do": "delay"})
    job = make_job()
    for _ in range(5):
        _event(plan, Where.POLL, job, 1)
    once = {"name": "x", "where": "poll", "do": "reset", "often": {"first": 1}}
    foreign = {"name": "y", "where": "poll", "do": "forget", "service": "image"}
    plan.add(read_plan({"rules": [once, foreign]}).rules, None)
    applied = {row["name"]: row["applies"] for row in plan.rows()}
    assert applied == {"x": True, "poll-delay": True, "y": False}
    assert _event(plan, Where.POLL, job, 1) == ["reset", "delay"]
    assert _event(plan, Where.POLL, job, 1) == ["delay"]


class SetClock(Clock):
    """The vendor's time is what the test sets."""

    at = 0.0

    def now(self) -> float:
        return self.at


def test_rule_ends_by_the_vendors_clock() -> None:
    clock, job = SetClock(1), make_job()
    plan = make_plan({**LOSE, "until": {"seconds": 60}}, clock=clock)
    for clock.at, strikes in ((0, True), (59, True), (81, False)):
        assert bool(_event(plan, Where.CALLBACK, job, 1)) is strikes
