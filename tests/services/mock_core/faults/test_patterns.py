"""Patterns: globs, expressions, number ranges; none of them takes more than a moment."""

import time

import pytest

from services.mock_core.faults.rules import number_test, text_matcher


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
        ("re:a.b", "a\nb", True),
        ("re:猫.在", "一只猫\U0001f431在跑", True),
        ("re:(?i)CAT", "cat", True),
        ("re:x", "\ud800x", True),
    ],
)
def test_text(pattern: str, text: str, fits: bool) -> None:
    assert text_matcher(pattern)(text) is fits


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        # 2.5 s on 27 characters where it is tried out one way after another.
        ("re:^(a+)+$", "a" * 27 + "!"),
        ("re:^(a|a)*$", "a" * 2500 + "!"),
        ("re:(.*.*.*)*x", "a" * 2500),
        ("re:(?:a?){200}a{200}$", "a" * 199 + "!"),
        ("*a" * 40 + "b", "a" * 2500),
        ("*" + "?" * 1200 + "b", "a" * 2500),
    ],
)
def test_none_is_slow(pattern: str, text: str) -> None:
    fits = text_matcher(pattern)
    began = time.process_time()
    assert not fits(text)
    assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("re:(", r"not an expression of RE2: missing \)"),
        ("re:(?=a)", r"not an expression of RE2: invalid perl operator"),
        (r"re:(a)\1", r"not an expression of RE2: invalid escape sequence"),
        ("re:(a{1000}){1000}", r"not an expression of RE2: invalid repetition size"),
        ("re:" + "(a{30}){30}" * 40, r"not an expression of RE2: pattern too large"),
        ("re:\ud800", r"not an expression of RE2: .*surrogates"),
    ],
)
def test_what_is_no_expression_is_refused_with_the_reason(pattern: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        text_matcher(pattern)


@pytest.mark.parametrize(
    ("spec", "good"),
    [(3, {3}), ("1-3", {1, 2, 3}), ("4-", {4, 5, 6}), ("1,3-4,6-", {1, 3, 4, 6})],
)
def test_numbers(spec: int | str, good: set[int]) -> None:
    fits = number_test(spec)
    assert {number for number in range(1, 7) if fits(number)} == good
