"""The rule language: a bad plan is refused whole, and every kind is carried out."""

import ast
import time
from pathlib import Path
from typing import Any

import pytest

from services.mock_core.faults.kinds import KINDS
from services.mock_core.faults.rules import number_test, read_plan, text_matcher
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
            {"where": "callback", "do": "lose", "with": {"x": 1}, "match": {"prompt": ""}},
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
