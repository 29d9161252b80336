"""Instants of every kind that the books use, and durations for people."""

import pytest

from loadtest.times import duration, instant, timestamp


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-02T03:04:05.5Z",
        "2026-01-02T03:04:05.5",
        "2026-01-02T11:04:05.500+08:00",
        1767323045.5,
        1767323045500,
    ],
)
def test_same_instant_in_many_formats(value: object) -> None:
    assert instant(value) == 1767323045.5


@pytest.mark.parametrize("value", [None, True, "soon", [], {}])
def test_invalid_instants(value: object) -> None:
    assert instant(value) is None


def test_printed_timestamp_is_parsed_as_the_same() -> None:
    assert timestamp(1767323045.5) == "2026-01-02T03:04:05.500Z"
    assert timestamp(None) == "–"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 ms"), (0.0123, "12.3 ms"), (0.3, "300 ms"), (1.234, "1.23 s"), (109, "109 s"),
     (601, "10 min"), (7300, "2.03 h"), (None, "–"), (-0.02, "-20 ms")],
)  # fmt: skip
def test_durations_are_readable(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text
