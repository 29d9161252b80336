"""The vendor's clock and lengths of time."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.mock_core.clock import Clock, DelaySpec, parse_delay


async def test_sleep_lasts_its_nominal_length() -> None:
    clock = Clock(1000)
    before = clock.now()
    await clock.sleep(20)
    assert clock.now() - before >= 19


async def test_faster_clock_shortens_running_sleeps() -> None:
    clock = Clock(0.001)
    sleeping = asyncio.create_task(clock.sleep(100))
    await asyncio.sleep(0)
    before = clock.now()
    clock.set_speed(1_000_000)
    assert clock.now() >= before
    await sleeping


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "-1",
        "nan",
        "inf",
        "normal:1,2",
        "uniform:1",
        "uniform:3,2",
        "lognormal:164,0.2",
        True,
    ],
)
def test_wrong_distribution_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"number|uniform"):
        parse_delay(text)


@given(st.floats(0, 1, exclude_max=True))
def test_duration_stays_within_its_distribution(chance: float) -> None:
    assert DelaySpec(7).at(chance) == 7
    assert 10 <= DelaySpec(10, 20).at(chance) <= 20
