"""Carries out strikes, each as it falls due; says every one, and keeps whom it was done to."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from temporalio.service import RPCError

from compose.stack.output import StackError
from loadtest.wire.http import Unreachable
from loadtest.wire.vendor import Vendor
from tests.chaos import operators
from tests.chaos.crowd import Crowd, Places
from tests.chaos.schedule import ENDED, HELD, HOLDER, SEMAPHORE_WORKFLOW, Kind, Stage, Strike
from tests.chaos.site import Site
from tests.chaos.wires import IMAGE_WIRE, VIDEO_WIRE, hold

STAGE_PATIENCE = 20.0
BACKLOG_PATIENCE = 120.0
DELAY_BY = 0.3
HELD_ON = {Stage.IMAGE_HELD: IMAGE_WIRE, Stage.VIDEO_HELD: VIDEO_WIRE}
# What counts as done to a job.
NOTED = (
    *(Kind.CANCEL, Kind.TERMINATE, Kind.RESET, Kind.DELETE, Kind.START_AGAIN),
    *(Kind.ACTIVITY_FAIL, Kind.ACTIVITY_COMPLETE),
)
# What a strike meets that hits a part which is down already.
MISSED = (RPCError, OSError, Unreachable, StackError)
Say = Callable[[str], None]


# A video of a job whose time is to run out takes so many times as long.
SLOW_FACTOR = 200.0


@dataclass
class Striker:
    """Strikes what is on a site; `struck` is the log of the run, `disturbed` what was done to
    single jobs."""

    site: Site
    crowd: Crowd
    places: Places
    say: Say
    struck: list[dict[str, Any]] = field(default_factory=list)
    disturbed: dict[str, frozenset[Kind]] = field(default_factory=dict)

    async def carry_out(self, strikes: list[Strike]) -> None:
        """All of them in order; what lasts goes on beside the next, and is over at the end."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as lasting:
            for strike in strikes:
                await asyncio.sleep(max(0.0, began + strike.at - time.monotonic()))
                job_id = await self._prepare(strike)
                late = time.monotonic() - began
                self.say(f"{late:7.1f} s  {strike.number:3}  {strike}{_seen(strike, job_id)}")
                self.struck.append({"number": strike.number, "at": late, "strike": str(strike)})
                self.struck[-1] |= {"kind": strike.hit.kind, "epoch": time.time(), "job": job_id}
                self.struck[-1] |= {"target": strike.hit.target, "seconds": strike.lasts}
                lasting.create_task(self._strike(strike, job_id))

    async def _prepare(self, strike: Strike) -> str | None:
        """Wait for what the strike waits for; the job that is at the stage."""
        hit, crowd = strike.hit, self.crowd
        if hit.backlog and not await crowd.waiting(hit.backlog, seconds=BACKLOG_PATIENCE):
            self.say(f"only {len(crowd.tracker.open)} were open in time")
        if hit.target == ENDED:
            return crowd.last_ended
        stage = hit.stage or (Stage.WAITING if hit.target == HOLDER else None)
        if stage is None or hit.kind is Kind.TIME_OUT:
            return None
        if stage in HELD:
            return await self._held(stage, strike.seconds, patience=STAGE_PATIENCE)
        jobs = crowd.tracker
        return await self.places.reach(stage, lambda: jobs.open, seconds=STAGE_PATIENCE)

    async def _strike(self, strike: Strike, job_id: str | None) -> None:
        try:
            await self._deed(strike, job_id)
        except MISSED as error:
            self.say(f"{strike.number}: {strike.hit.kind}: {error}")

    def _deed(self, strike: Strike, job_id: str | None) -> Awaitable[object]:
        hit, seconds = strike.hit, strike.seconds
        match hit.kind:
            case Kind.KILL:
                return self.site.ground.kill(hit.target)
            case Kind.FREEZE:
                return self.site.ground.freeze(hit.target, seconds)
            case Kind.RESTART:
                return self.site.ground.restart(hit.target)
            case Kind.CUT | Kind.DELAY | Kind.DROP:
                return self._disturb_wire(hit.kind, seconds)
            case Kind.TIME_OUT if hit.stage in HELD:
                return self._time_out_held(strike, hit.stage)
            case Kind.TIME_OUT:
                return self._time_out(strike.number)
            case _ if hit.target == SEMAPHORE_WORKFLOW:
                return self._by_operator(strike, operators.SEMAPHORE)
            case _:
                return self._by_operator(strike, job_id)

    async def _by_operator(self, strike: Strike, workflow_id: str | None) -> None:
        """What is done to a job counts as done, even if it has just ended."""
        if workflow_id is None:
            return
        kind, row = strike.hit.kind, self.struck[strike.number - 1]
        if workflow_id != operators.SEMAPHORE and kind in NOTED:
            self._note(workflow_id, kind)
        row["by_operator"] = await operators.act(
            self.site.client, kind, workflow_id, seconds=strike.seconds
        )

    async def _disturb_wire(self, kind: Kind, seconds: float) -> None:
        wire = self.site.wire
        if wire is None:
            raise OSError("there is no wire of ours")
        match kind:
            case Kind.CUT:
                await wire.cut(seconds)
            case Kind.DELAY:
                await wire.delay(seconds, DELAY_BY)
            case _:
                await wire.drop(seconds)

    async def _held(
        self, stage: Stage, seconds: float, *, patience: float, prompt: str = ""
    ) -> str | None:
        wire = self.site.vendors[HELD_ON[stage]]
        return await hold(wire, seconds, patience=patience, prompt=prompt)

    def _note(self, job_id: str, done: Kind) -> None:
        self.disturbed[job_id] = self.disturbed.get(job_id, frozenset()) | {done}

    async def _time_out(self, number: int) -> None:
        """A job whose video takes longer than any job may; it overtakes those that wait."""
        prompt = f"time is up {number}"
        await _slow(self.places.videos, number, prompt, factor=SLOW_FACTOR)
        await self._without_time(prompt)

    async def _time_out_held(self, strike: Strike, stage: Stage) -> None:
        """The image takes nearly all of a job's time; it ends while the video's submit is held."""
        prompt = f"time is up {strike.number}, held"
        speed = float((await self.places.images.read("/admin/stats"))["speed"])
        nearly = max(0.0, self.site.job_seconds - strike.seconds / 2)
        await _slow(self.places.images, strike.number, prompt, factor=1, extra=nearly * speed)
        await self._without_time(prompt)
        patience = self.site.job_seconds + BACKLOG_PATIENCE
        if not await self._held(stage, strike.seconds, patience=patience, prompt=prompt):
            self.say(f"{strike.number}: the submit did not come")

    async def _without_time(self, prompt: str) -> None:
        job_id = await self.crowd.submit(prompt=prompt, priority=1)
        if job_id is not None:
            self._note(job_id, Kind.TIME_OUT)


async def _slow(vendor: Vendor, number: int, prompt: str, **members: float) -> None:
    rule: dict[str, Any] = {"name": f"slow-{number}", "where": "start", "do": "slow"}
    rule |= {"match": {"prompt": prompt}, "with": members}
    await vendor.arm({"rules": [rule]})


def _seen(strike: Strike, job_id: str | None) -> str:
    if job_id is not None:
        return f" ({job_id})"
    waited = strike.hit.stage and strike.hit.kind is not Kind.TIME_OUT
    return " (the stage was not seen)" if waited else ""
