"""Patterns of the rule language: globs, `re:` expressions and lists of number ranges."""

import fnmatch
import re
from collections.abc import Callable

import re2

Matcher = Callable[[str], bool]
NumberTest = Callable[[int], bool]

# For one expression and its states; what needs more is refused, or matched with fewer of them.
_EXPRESSION_BYTES = 1 << 18


def text_matcher(pattern: str) -> Matcher:
    """A glob, or after `re:` an expression of RE2, whose time is linear in the text's length.

    ValueError when the expression is none.
    """
    if pattern.startswith("re:"):
        return _expression(pattern[3:])
    if not any(mark in pattern for mark in "*?["):
        return lambda text: text == pattern
    whole = re.compile(fnmatch.translate(pattern)).match
    return lambda text: whole(text) is not None


def _expression(pattern: str) -> Matcher:
    options = re2.Options()
    options.dot_nl, options.log_errors, options.max_mem = True, False, _EXPRESSION_BYTES
    try:
        found = re2.compile(pattern, options).search
    except re2.error as error:
        raise ValueError(f"not an expression of RE2: {error.args[0].decode()}") from error
    except UnicodeEncodeError as error:
        raise ValueError(f"not an expression of RE2: {error.reason}") from error
    return lambda text: found(text.encode("utf-8", "replace")) is not None


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
