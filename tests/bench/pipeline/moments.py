"""The moments at which a holder's worker is killed; each is stretched so that it can be hit.

What the vendors still work after the kill is short, so that it hides nothing of the take-over.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from loadtest.times import instant
from tests.bench.pipeline.stack import StackUnderTest
from tests.bench.pipeline.victim import called_back, worker_of

# How long before the end of a generation its worker is killed.
LEFT_SECONDS = 0.15
# Lengths are drawn, so that kills fall anywhere between two heartbeats.
LENGTHS = (0.4, 1.4)

Rule = dict[str, Any]
# Waits for the moment in the life of a job; the process to kill.
Reach = Callable[[StackUnderTest, str, float], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Moment:
    """A stage of a job: what stretches it, and when it is reached."""

    name: str
    service: str
    effect: Callable[[float], Rule]
    reach: Reach

    def rule(self, prompt: str, length: float) -> tuple[str, Rule]:
        """What to arm for the job with this prompt, and in which mock."""
        name = f"bench-{self.name.replace(' ', '-')}"
        rule = {"name": name, "match": {"prompt": prompt}, "often": {"first": 1}}
        return self.service, rule | self.effect(length)


def draw(chance: random.Random) -> float:
    """The seconds of one stretched stage."""
    return chance.uniform(*LENGTHS)


def slow(seconds: float) -> Rule:
    return {"where": "start", "do": "slow", "with": {"factor": 0.1, "extra": _nominal(seconds)}}


def late_reply(seconds: float) -> Rule:
    return {"where": "submit", "do": "delay", "with": {"seconds": _nominal(seconds)}}


def late_file(seconds: float) -> Rule:
    return {"where": "result", "do": "delay", "with": {"seconds": _nominal(seconds)}}


def _nominal(seconds: float) -> str:
    """On the mocks' clock, which the bench's stack runs 100 times as fast."""
    return f"{seconds * 100:.1f}"


async def image_runs(stack: StackUnderTest, job: str, length: float) -> int:
    return await _before_end(stack, job, ("image", "gen_image"), length=length)


async def video_submits(stack: StackUnderTest, job: str, length: float) -> int:
    return await _before_end(stack, job, ("video", "request_video"), length=length)


async def video_waits(stack: StackUnderTest, job: str, length: float) -> int:
    return await _before_end(stack, job, ("video", "collect_video"), length=length)


async def video_is_stored(stack: StackUnderTest, job: str, length: float) -> int:
    """Within the workflow task that the callback brings about; the job's close is of it, too."""
    pid = await called_back(stack.client, job)
    await asyncio.sleep(length / 2)
    return pid


MOMENTS = (
    Moment("image running", "image", slow, image_runs),
    Moment("video being submitted", "video", late_reply, video_submits),
    Moment("video waited for", "video", slow, video_waits),
    Moment("video being stored", "video", late_file, video_is_stored),
)


async def _before_end(
    stack: StackUnderTest, job: str, what: tuple[str, str], *, length: float
) -> int:
    step, activity = what
    accepted = await _seen(stack, job, step, "accepted_at")
    pid = await worker_of(stack.client, job, activity)
    await _sleep_until(accepted + length - LEFT_SECONDS)
    return pid


async def _sleep_until(at: float) -> None:
    await asyncio.sleep(max(0.0, at - time.time()))


async def _seen(stack: StackUnderTest, job: str, step: str, key: str) -> float:
    """The instant in the vendor's book, as soon as it is there."""
    while True:
        for row in await stack.rows(step, job):
            if (at := instant(row.get(key))) is not None:
                return at
        await asyncio.sleep(0.01)
