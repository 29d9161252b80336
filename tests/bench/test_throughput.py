"""Jobs a second beside bare workflows: never more at once than wanted, and a ratio for each run."""

import asyncio

import pytest

from tests.bench.pipeline import throughput
from tests.bench.pipeline.targets import met
from tests.bench.pipeline.throughput import Rates


@pytest.mark.parametrize("at_once", [1, 3, 50])
async def test_so_many_are_at_work_and_no_more(at_once: int) -> None:
    now = most = done = 0

    async def one() -> None:
        nonlocal now, most, done
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.001)
        now, done = now - 1, done + 1

    assert await throughput._rate(one, 60, at_once=at_once) > 0
    assert (most, done) == (at_once, 60)


async def test_one_that_fails_is_told_and_no_rate() -> None:
    async def one() -> None:
        raise AssertionError("a job failed")

    with pytest.raises(ExceptionGroup) as caught:
        await throughput._rate(one, 3, at_once=2)
    assert "a job failed" in str(caught.value.exceptions[0])


def test_each_run_is_compared_with_itself() -> None:
    runs = [
        Rates({50: 10.0, 1: 4.0}, {50: 20.0, 1: 40.0}),
        Rates({50: 4.0, 1: 8.0}, {50: 16.0, 1: 20.0}),
        Rates({50: 9.0, 1: 9.0}, {50: 30.0, 1: 30.0}),
    ]
    lines = {figure.name: figure for figure in throughput.figures(runs)}

    assert lines["jobs, 50 at once"].value == 9
    assert lines["bare workflows of two activities, 1 at once"].value == 30
    assert lines["jobs / bare workflows, 50 at once"].values == (0.5, 0.25, 0.3)
    assert met(lines["jobs / bare workflows, 50 at once"]) is True
    assert lines["jobs / bare workflows, 1 at once"].value == 0.3
    assert lines["jobs / bare workflows, 1 at once"].values == (0.1, 0.4, 0.3)
