"""The vendor's clock: nominal lengths, a speed that may change in the middle."""

import asyncio

from services.mock_core.clock import Clock


async def test_sleepers_wake_in_the_order_of_their_ends() -> None:
    clock = Clock(1000)
    woken: list[int] = []

    async def sleeper(seconds: int) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    await asyncio.gather(*(sleeper(seconds) for seconds in (30, 10, 20, 0)))
    assert woken == [0, 10, 20, 30]


async def test_a_sleep_lasts_its_nominal_length() -> None:
    clock = Clock(1000)
    before = clock.now()
    await clock.sleep(20)
    assert clock.now() - before >= 19


async def test_a_faster_clock_ends_sleeps_that_are_under_way() -> None:
    clock = Clock(0.001)
    sleeping = asyncio.create_task(clock.sleep(100))
    await asyncio.sleep(0)
    before = clock.now()
    clock.set_speed(1_000_000)
    assert clock.now() >= before
    await sleeping


async def test_a_cancelled_sleep_holds_up_no_other() -> None:
    clock = Clock(1000)
    first = asyncio.create_task(clock.sleep(10))
    second = asyncio.create_task(clock.sleep(20))
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert first.cancelled()
