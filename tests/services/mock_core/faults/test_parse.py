"""A bad plan is refused whole, with every mistake named."""

from typing import Any

import pytest

from services.mock_core.faults.kinds import KINDS, Fault
from services.mock_core.faults.presets import PRESETS
from services.mock_core.faults.rules import read_plan
from services.mock_core.problems import Problem


def _mistakes(body: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(Problem) as caught:
        read_plan(body)
    assert caught.value.refusal.status == 422
    return [(item["rule"], item["field"]) for item in caught.value.refusal.errors]


def test_every_mistake_of_every_rule_is_named() -> None:
    plan = {
        "rules": [
            {"name": "a", "where": "submit", "do": "explode", "often": {"probability": 3}},
            {"where": "callback", "do": "lose", "with": {"x": 1}, "match": {"prompt": "re:("}},
            {"name": "a", "where": "nowhere", "do": "lose"},
            7,
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
        ]
    )


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({}, "where"),
        ({"where": "submit"}, "do"),
        (
            {"where": "submit", "do": "reset", "effects": [{"where": "poll", "do": "reset"}]},
            "effects",
        ),
        ({"where": "submit", "do": "reset", "match": {"nth": "3-1"}}, "match.nth"),
        ({"where": "submit", "do": "reset", "often": {"events": "0"}}, "often.events"),
        ({"where": "submit", "do": "reset", "often": {"first": 1, "events": 2}}, "often"),
        ({"where": "submit", "do": "reset", "match": {"status": "succeed"}}, "match.status"),
        ({"where": "submit", "do": "reset", "until": {"at": "2020-01-01T00:00:00Z"}}, "until.at"),
        ({"where": "submit", "do": "reset", "until": {"at": "2999-01-01T00:00:00"}}, "until.at"),
        (
            {"where": "submit", "do": "reset", "after": {"seconds": 9}, "until": {"seconds": 9}},
            "until.seconds",
        ),
        ({"service": "image", "where": "callback", "do": "lose"}, "where"),
        ({"service": "image", "where": "submit", "do": "skew"}, "do"),
        ({"where": "start", "do": "slow", "with": {"factor": 0}}, "with.factor"),
        ({"where": "submit", "do": "delay", "with": {"seconds": "soon"}}, "with.seconds"),
    ],
)
def test_a_rule_that_makes_no_sense_names_the_member(rule: dict[str, Any], field: str) -> None:
    assert field in [found for _, found in _mistakes({"rules": [rule]})]


@pytest.mark.parametrize(
    "pair",
    [
        ("submit.refuse", "submit.reset"),
        ("submit.reset", "start.slow"),
        ("submit.accept-late", "submit.lose-reply"),
        ("submit.accept-late", "submit.reply-after-callback"),
        ("submit.refuse", "callback.lose"),
        ("start.fail", "start.stick"),
        ("start.never-start", "result.truncate"),
        ("start.fail", "progress.no-url"),
        ("callback.lose", "callback.repeat"),
        ("callback.lose", "callback.delay"),
        ("callback.garbage", "callback.truncate"),
        ("poll.hang", "poll.refuse"),
        ("result.empty", "result.refuse"),
        ("submit.reset", "submit.reset"),
    ],
)
def test_combinations_that_contradict_each_other_are_refused(pair: tuple[str, str]) -> None:
    effects = [dict(zip(("where", "do"), name.split("."), strict=True)) for name in pair]
    assert ("#1", "effects") in _mistakes({"rules": [{"effects": effects}]})


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.kind)
def test_every_kind_is_good_with_its_defaults(kind: type[Fault]) -> None:
    wanted = read_plan({"where": str(kind.where), "do": kind.do})
    assert len(wanted.rules) == 1


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_good_plan(name: str) -> None:
    assert read_plan({"preset": name}).rules


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Problem, match="lost-callbacks"):
        read_plan({"preset": "nope"})
