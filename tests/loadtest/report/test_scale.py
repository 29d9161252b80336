"""Axes: ticks at round values, and none beyond the end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.report.scale import Scale, counts, numbers, times


@given(st.floats(0.001, 1e6), st.booleans())
def test_an_axis_holds_its_value_and_few_ticks(most: float, tight: bool) -> None:
    for scale in (counts(most, tight=tight), times(most, tight=tight), numbers(most, "MB")):
        assert scale.most >= most * 0.999
        assert 2 <= len(scale.ticks) <= 8
        assert scale.ticks[0] == 0
        assert scale.ticks[-1] <= scale.most * 1.0001


@pytest.mark.parametrize(
    ("scale", "texts"),
    [
        (counts(1), ["0", "1"]),
        (counts(10_000), ["0", "2,000", "4,000", "6,000", "8,000", "10,000"]),
        (times(0.04), ["0 ms", "10 ms", "20 ms", "30 ms", "40 ms"]),
        (times(109), ["0 s", "25 s", "50 s", "75 s", "100 s", "125 s"]),
        (times(10_800, tight=True), ["0 h", "1 h", "2 h", "3 h"]),
    ],
)
def test_ticks_are_round(scale: Scale, texts: list[str]) -> None:
    assert [scale.text(tick) for tick in scale.ticks] == texts
