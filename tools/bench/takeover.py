"""Take-over: a job's worker is killed with -9 while another one lives, in each of its stages."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from temporalio.api.enums.v1 import EventType, PendingActivityState
from temporalio.client import Client, WorkflowFailureError

from loadtest.books.executions import Activity, Execution
from loadtest.books.histories import read_events
from loadtest.times import instant
from loadtest.wire.temporal import history_rows
from shared.jobs.genvideo import GENVIDEO
from tools.bench.stack import StackUnderTest, hops
from tools.bench.table import Figure, milliseconds

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


WORKER = "services.worker"


class NoWorker(Exception):
    """The process that was found is no worker of this machine."""


async def worker_of(client: Client, job_id: str, activity: str) -> int:
    """The process that runs an activity of this job; waits until there is one."""
    handle = client.get_workflow_handle(job_id)
    while True:
        described = (await handle.describe()).raw_description
        for pending in described.pending_activities:
            started = pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
            if pending.activity_type.name == activity and started:
                return process_of(pending.last_worker_identity)
        await asyncio.sleep(0.01)


async def called_back(client: Client, job_id: str) -> int:
    """The process at the workflow task that tells a job of its callback; waits for it."""
    told = False
    history = client.get_workflow_handle(job_id).fetch_history_events(wait_new_event=True)
    async for event in history:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            signal_name = event.workflow_execution_signaled_event_attributes.signal_name
            told = told or signal_name == GENVIDEO.done
        elif told and event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED:
            return process_of(event.workflow_task_started_event_attributes.identity)
    raise NoWorker(f"{job_id} ended without a callback")


def process_of(identity: str) -> int:
    """The process id in the identity that the SDK gives a worker by default: `pid@host`."""
    number, _, _ = identity.partition("-")
    if not number.isdecimal():
        raise NoWorker(f"the worker calls itself {identity!r}, which names no process")
    return int(number)


def kill(pid: int) -> float:
    """SIGKILL to a worker; the instant before it."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError as error:
        raise NoWorker(f"process {pid} is not there: {error.strerror}") from None
    if WORKER.encode() not in words:
        raise NoWorker(f"process {pid} is not one of {WORKER}")
    at = time.time()
    os.kill(pid, signal.SIGKILL)
    return at


PART = "takeover"
NAMES = tuple(moment.name for moment in MOMENTS)
TRIAL_SECONDS = 60.0
TRIES = 10


@dataclass(frozen=True, slots=True)
class TakeOver:
    """Seconds from one kill to what went on; `next_job` without service that began after it."""

    moment: str
    next_step: float
    next_job: float


async def measure(
    stack: StackUnderTest, runs: int, *, seed: int, only: str, note: Callable[[str], None]
) -> list[Figure]:
    """Kill at each moment so many times, in turns."""
    chance = random.Random(seed)  # noqa: S311 - a seed makes it repeatable
    note(f"seed {seed}")
    found = []
    async with hops(stack.client, stack.temporal) as sampled:
        for run in range(runs):
            for moment in [moment for moment in MOMENTS if only in ("", moment.name)]:
                found.append(await _hit(stack, moment, f"{seed}-{run}", chance=chance))
                note(f"{moment.name}: {found[-1].next_step:.2f} s, {found[-1].next_job:.2f} s")
    return figures(found, median(sampled))


async def _hit(
    stack: StackUnderTest, moment: Moment, name: str, *, chance: random.Random
) -> TakeOver:
    """A kill that fell before the moment had passed; a short one may be missed."""
    for number in range(TRIES):
        trial = await _trial(stack, moment, f"{name}-{number}", length=draw(chance))
        if trial.next_step > 0:
            return trial
    raise RuntimeError(f"{moment.name}: the moment had passed before each of {TRIES} kills")


async def _trial(stack: StackUnderTest, moment: Moment, name: str, *, length: float) -> TakeOver:
    await stack.until_workers_ready()
    prompt = f"{moment.name} {name}, first"
    service, rule = moment.rule(prompt, length)
    await stack.vendors[service].arm({"rules": [rule]})
    async with asyncio.timeout(TRIAL_SECONDS):
        first = await stack.submit(prompt)
        # With two workers the second one could ask before the first, and find the slot free.
        await stack.until(
            lambda view: first in [holder["job_id"] for holder in view["holders"]], every=0.01
        )
        second = await stack.submit(f"{moment.name} {name}, second")
        at = kill(await moment.reach(stack, first, length))
        for job in (first, second):
            await _closed(stack, job)
    await stack.vendors[service].disarm(rule["name"])
    return await _measured(stack, moment, (first, second), at=at)


async def _closed(stack: StackUnderTest, job: str) -> None:
    try:
        await stack.client.get_workflow_handle(job).result()
    except WorkflowFailureError as failure:
        raise AssertionError(f"{job} failed: {failure.cause}") from failure


async def _measured(
    stack: StackUnderTest, moment: Moment, jobs: tuple[str, str], *, at: float
) -> TakeOver:
    first, second = jobs
    events = await stack.temporal.history(first) or ()
    run = read_events(first, history_rows(first, events))
    rows = {step: await stack.rows(step, first) for step in ("image", "video")}
    [after] = await stack.rows("image", second)
    begun = float(instant(after["accepted_at"]) or 0.0)
    return TakeOver(
        moment=moment.name,
        next_step=_next_step(moment, run, rows) - at,
        next_job=begun - at - service_after(at, [*rows["image"], *rows["video"]]),
    )


def _next_step(moment: Moment, run: Execution, rows: dict[str, list[dict[str, Any]]]) -> float:
    """What the outside sees next of the job itself."""
    match moment.name:
        case "image running":
            return float(instant(rows["video"][0]["accepted_at"]) or 0.0)
        case "video being submitted":
            return _ended(run.activities, "request_video")
        case _:
            # The video is stored in the job's last workflow task.
            return run.closed or 0.0


def _ended(activities: Sequence[Activity], kind: str) -> float:
    return max(a.ended or 0.0 for a in activities if a.kind == kind and a.outcome == "completed")


def service_after(at: float, rows: Sequence[dict[str, Any]]) -> float:
    """The vendors' own time for what was begun after an instant."""
    spans = [(instant(row["accepted_at"]), instant(row["finished_at"])) for row in rows]
    return sum(end - begin for begin, end in spans if begin and end and begin > at)


def figures(found: Sequence[TakeOver], hop: float) -> list[Figure]:
    """The table's lines: the median of each moment, beside the worst that was seen."""
    lines = [Figure(part=PART, name="plain hop, p50", unit="ms", values=milliseconds([hop]))]
    for name in dict.fromkeys(each.moment for each in found):
        trials = [each for each in found if each.moment == name]
        lines.append(_line(f"{name}: next step", [each.next_step for each in trials]))
        lines.append(_line(f"{name}: next job", [each.next_job for each in trials]))
    return lines


def _line(name: str, seconds: Sequence[float]) -> Figure:
    values = tuple(round(value, 3) for value in seconds)
    return Figure(part=PART, name=name, unit="s", values=values, worst=True)
