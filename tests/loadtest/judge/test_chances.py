"""The judge decides as the mocks do, which is why it may convict by it."""

from typing import Any

import pytest

from loadtest.books.model import Rule
from loadtest.judge.chances import decides
from services.mock_core.faults.kinds import Where
from services.mock_core.faults.rules import read_plan
from tests.services.mock_core.makers import make_generation, make_job, make_plan

JOBS, EVENTS = 20, 4


@pytest.mark.parametrize(
    "rule",
    [
        {"where": "submit", "do": "refuse", "often": {"probability": 0.5}},
        {"where": "start", "do": "fail", "often": {"probability": 0.4}},
        {"where": "callback", "do": "lose", "often": {"probability": 0.3, "per": "job"}},
        {"where": "poll", "do": "reset", "often": {"probability": 0.6, "first": 3}},
        {"where": "poll", "do": "reset", "often": {"events": "1,3-"}},
        {"where": "result", "do": "truncate", "match": {"share": 0.5}},
    ],
    ids=lambda rule: f"{rule['where']}-{sorted(rule)[-1]}",
)
def test_judge_decides_as_the_mock_did(rule: dict[str, Any]) -> None:
    where, plan = Where(rule["where"]), make_plan({"name": "r", **rule}, seed=7)
    # A rule keeps the seed that it was armed with.
    plan.add(read_plan({"name": "later", "where": "submit", "do": "reset"}).rules, 8)
    for number in range(JOBS):
        job = make_job(f"p{number}")
        for attempt in range(1, EVENTS + 1):
            plan.hits(where, make_generation(job, attempt=attempt, prompt=f"p{number}"))
    traced = {(r["job_key"], r["event"]) for r in plan.trace() if r["rule"] == "r"}

    [said, _] = plan.rows()
    known = Rule("video", "r", "", True, rule.get("often", {}), said)
    keys = {make_job(f"p{number}").key for number in range(JOBS)}
    decided = {
        (key, event)
        for key in keys
        for event in range(1, EVENTS + 1)
        if decides(known, where, key, attempt=event, number=event)
    }
    assert 0 < len(traced) < JOBS * EVENTS
    assert traced == decided
