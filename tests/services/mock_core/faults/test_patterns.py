"""Patterns: globs, expressions, number ranges."""

import pytest

from services.mock_core.faults.patterns import number_test, text_matcher


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("cat", "cat", True),
        ("cat", "cats", False),
        ("cat*", "cats", True),
        ("*猫*", "一只猫在跑", True),
        ("c?t", "cut", True),
        ("re:^a+$", "aaa", True),
        ("re:b", "abc", True),
        ("re:^b", "abc", False),
        ("*", "", True),
    ],
)
def test_text(pattern: str, text: str, fits: bool) -> None:
    assert text_matcher(pattern)(text) is fits


@pytest.mark.parametrize(
    ("spec", "good"),
    [(3, {3}), ("1-3", {1, 2, 3}), ("4-", {4, 5, 6}), ("1,3-4,6-", {1, 3, 4, 6})],
)
def test_numbers(spec: int | str, good: set[int]) -> None:
    fits = number_test(spec)
    assert {number for number in range(1, 7) if fits(number)} == good
