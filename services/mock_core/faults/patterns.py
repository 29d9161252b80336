"""Patterns of the rule language: globs, `re:` expressions and lists of number ranges."""

import fnmatch
import re
from collections.abc import Callable

Matcher = Callable[[str], bool]
NumberTest = Callable[[int], bool]


def text_matcher(pattern: str) -> Matcher:
    """A glob, or a regular expression after `re:`; ValueError when the expression is none."""
    if pattern.startswith("re:"):
        try:
            found = re.compile(pattern[3:], re.DOTALL).search
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return lambda text: found(text) is not None
    if not any(mark in pattern for mark in "*?["):
        return lambda text: text == pattern
    whole = re.compile(fnmatch.translate(pattern)).match
    return lambda text: whole(text) is not None


def number_test(spec: int | str) -> NumberTest:
    """`3`, `"1-3"`, `"2-"` or a list of them; ValueError for a range that runs backwards."""
    ranges = [_range(part) for part in str(spec).split(",")]
    if len(ranges) == 1:
        low, high = ranges[0]
        return lambda number: low <= number <= high
    return lambda number: any(low <= number <= high for low, high in ranges)


def _range(part: str) -> tuple[int, float]:
    first, dash, last = part.partition("-")
    low = int(first)
    high: float = low if not dash else float(last) if last else float("inf")
    if low < 1:
        raise ValueError("counting starts at 1")
    if high < low:
        raise ValueError(f"range {part!r} runs backwards")
    return low, high
