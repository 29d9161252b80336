"""The fault plan: a bad one is refused whole; the same seed strikes the same jobs, in any order."""

import ast
import random
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.mock_core.clock import Clock
from services.mock_core.faults.kinds import KINDS, Where
from services.mock_core.faults.plan import FaultPlan
from services.mock_core.faults.rules import number_test, read_plan, text_matcher
from services.mock_core.ledger import Job
from services.mock_core.problems import Problem
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


def _mistakes(body: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(Problem) as caught:
        read_plan(body)
    assert caught.value.refusal.status == 422
    return [(item["rule"], item["field"]) for item in caught.value.refusal.errors]


def test_a_seed_stands_beside_rules_or_in_a_rule() -> None:
    for body in ({**LOSE, "seed": 3}, {"rules": [LOSE], "seed": 3}):
        assert [rule.do for rule in read_plan(body).rules] == ["lose"]
        assert read_plan(body).seed == 3
    assert read_plan({"seed": 3}) == ([], 3)
    assert _mistakes({**LOSE, "seed": "3"}) == [("", "seed")]


def test_every_mistake_of_every_rule_is_named() -> None:
    plan = {
        "rules": [
            {"name": "a", "where": "submit", "do": "explode", "often": {"probability": 3}},
            {"where": "callback", "do": "lose", "with": {"x": 1}, "match": {"prompt": ""}},
            {"name": "a", "where": "nowhere", "do": "lose"},
            7,
            {**LOSE, "name": ""},
        ],
        "sed": 1,
        "seed": "x",
    }
    assert sorted(_mistakes(plan)) == sorted(
        [
            ("", "sed"),
            ("", "seed"),
            ("a", "often.probability"),
            ("a", "do"),
            ("#2", "match.prompt"),
            ("#2", "with.x"),
            ("a", "name"),
            ("a", "where"),
            ("#4", ""),
            ("#5", "name"),
        ]
    )


def test_nonsense_rule_names_the_member() -> None:
    for rule, field in (
        ({}, "where"),
        ({"where": "submit"}, "do"),
        ({"where": "submit", "do": "reset", "match": {"nth": "3-1"}}, "match.nth"),
        ({"where": "submit", "do": "reset", "often": {"events": "0"}}, "often.events"),
        ({"where": "submit", "do": "reset", "often": {"first": 1, "events": 2}}, "often"),
        ({"where": "submit", "do": "reset", "match": {"status": "succeed"}}, "match.status"),
        ({"where": "submit", "do": "reset", "until": {"seconds": 0}}, "until.seconds"),
        ({"service": "image", "where": "callback", "do": "lose"}, "where"),
        ({"service": "video", "where": "start", "do": "out-of-memory"}, "do"),
        ({"where": "start", "do": "slow", "with": {"factor": 0}}, "with.factor"),
        ({"where": "submit", "do": "delay", "with": {"seconds": "soon"}}, "with.seconds"),
        ({"where": "start", "do": "fail", "with": {"at": True}}, "with.at"),
        ({"where": "poll", "do": "reset", "until": {"count": True}}, "until.count"),
        ({"where": "poll", "do": "reset", "often": {"probability": "0.5"}}, "often.probability"),
    ):
        assert field in [found for _, found in _mistakes({"rules": [rule]})]


def test_every_kind_is_valid_with_its_defaults() -> None:
    for kind in KINDS.values():
        assert len(read_plan({"where": kind.where, "do": kind.do}).rules) == 1


def test_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Problem, match="lost-callbacks"):
        read_plan({"preset": "nope"})


def test_no_pattern_is_slow() -> None:
    for pattern, text in (
        ("*a" * 40 + "b", "a" * 2500),
        ("*" + "?" * 1200 + "b", "a" * 2500),
    ):
        fits = text_matcher(pattern)
        began = time.process_time()
        assert not fits(text)
        assert time.process_time() - began < 0.5


def test_number_conditions() -> None:
    for spec, good in ((3, {3}), ("1-3", {1, 2, 3}), ("4-", {4, 5, 6}), ("1,3-4,6-", {1, 3, 4, 6})):
        fits = number_test(spec)
        assert {number for number in range(1, 7) if fits(number)} == good


MOCKS = Path(__file__).parents[3] / "services"
FAULTS = MOCKS / "mock_core" / "faults"
TEXTS = {
    node.value
    for path in MOCKS.glob("mock_*/**/*.py")
    if not path.is_relative_to(FAULTS)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    if isinstance(node, ast.Constant)
}


def test_every_kind_is_implemented() -> None:
    assert set(KINDS) <= TEXTS
