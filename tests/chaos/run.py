"""One chaos run: a queue under strikes, a tail without any, the books, the judgement."""

import asyncio
import json
import shutil
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from loadtest.books import raw, seal
from loadtest.books.raw import RunFolder
from loadtest.collect.collector import Collector, probe
from loadtest.report.write import write_report
from loadtest.run.plan import planned
from loadtest.run.run import answers, facts
from loadtest.wire.stack import Stack as Reached
from loadtest.wire.stack import open_stack
from loadtest.wire.temporal import Temporal
from tests.chaos import books
from tests.chaos.books import Evidence
from tests.chaos.crowd import Crowd, Places
from tests.chaos.judgement import Violation, violations
from tests.chaos.schedule import KILLS, LONGEST, Hit, Strike, schedule
from tests.chaos.site import MakeSite, Site
from tests.chaos.striker import Say, Striker

CHAOS_STAGE, TAIL_STAGE = 0, 1
DRAIN_PATIENCE = 300.0
FREE_PATIENCE = 60.0


@dataclass(frozen=True)
class ChaosPlan:
    """What a run does; two runs of equal plans strike alike."""

    seed: int
    seconds: float
    deck: tuple[Hit, ...]
    pause: float = 6.0
    longest: float = LONGEST
    queue: int = 10
    tail: int = 20
    mode: str = "local"

    @classmethod
    def once(cls, seed: int, deck: tuple[Hit, ...], *, pause: float, mode: str = "local") -> Self:
        """Seconds are chosen so that the whole deck is dealt, and nothing of it twice."""
        endless = schedule(seed, seconds=1000, deck=deck, pause=pause)
        seconds = endless[len(deck) - 1].at + 0.001
        return cls(seed=seed, seconds=seconds, deck=deck, pause=pause, mode=mode)

    @property
    def strikes(self) -> list[Strike]:
        """The schedule; the seed and the rest of the plan fix it."""
        return schedule(
            self.seed,
            seconds=self.seconds,
            deck=self.deck,
            pause=self.pause,
            longest=self.longest,
        )

    @property
    def command(self) -> str:
        """The line that repeats it."""
        mode = "" if self.mode == "local" else f" MODE={self.mode}"
        deck = "DECK=kills" if self.deck == KILLS else f"MINUTES={self.seconds / 60:g}"
        return f"make chaos {deck} SEED={self.seed}{mode}"


@dataclass(frozen=True)
class Outcome:
    """What became of it; also in `result.json` of the run's folder."""

    folder: Path
    result: dict[str, Any]
    violations: list[Violation]


async def run(plan: ChaosPlan, make_site: MakeSite, *, reports: Path, say: Say) -> Outcome:
    """Carry out the plan on a stack of its own, and judge what the books say afterwards."""
    folder = _new_folder(reports, plan.seed)
    say(f"seed {plan.seed}, {plan.seconds:g} s of strikes, books in {folder.path}")
    data = folder.path / "stack"
    began = time.monotonic()
    async with make_site(data) as site:
        say(f"the stack was up after {time.monotonic() - began:.1f} s")
        found = await _Run(plan, site, folder=folder, say=say).go()
    if not found.violations:
        # The stored files are many, and nobody has a question to them.
        shutil.rmtree(data / "data", ignore_errors=True)
    say(f"seed {plan.seed}: {_verdict(found)}")
    return found


def _verdict(found: Outcome) -> str:
    jobs = ", ".join(f"{count} {status}" for status, count in found.result["jobs"].items())
    strikes = sum(found.result["strikes"].values())
    return f"{strikes} strikes, jobs: {jobs}; {len(found.violations)} violations"


def _new_folder(reports: Path, seed: int) -> RunFolder:
    reports.mkdir(parents=True, exist_ok=True)
    names = (f"chaos-{seed}", *(f"chaos-{seed}-{again}" for again in range(2, 1000)))
    return RunFolder.create(reports, next(n for n in names if not (reports / n).exists()))


class _Run:
    def __init__(self, plan: ChaosPlan, site: Site, *, folder: RunFolder, say: Say) -> None:
        self._plan, self._site, self._folder, self._say = plan, site, folder, say
        self._began = time.time()
        self._before: dict[str, Any] = {}

    async def go(self) -> Outcome:
        temporal = Temporal(self._site.client, self._site.settings.payload_keys)
        async with open_stack(self._site.settings, temporal) as reached:
            self._folder.append(raw.CLOCKS, await probe(reached.vendors, "begin"))
            self._before = await answers(reached, "/admin/stats")
            first, striker = await self._struck(reached)
            last = await self._tail(reached)
            slots = await self._free(last)
            for crowd in (first, last):
                await crowd.close()
            self._folder.append(raw.CLOCKS, await probe(reached.vendors, "end"))
            self._say(f"collecting the books, {time.time() - self._began:.1f} s after the start")
            await self._collect(reached, (first, last))
        done = {job_id: sorted(deeds) for job_id, deeds in striker.disturbed.items()}
        self._folder.write(
            raw.CHAOS,
            {
                "seed": self._plan.seed,
                "slots": slots,
                "disturbed": done,
                "tail": sorted(last.tracker.known),
                "struck": striker.struck,
            },
        )
        self._say(f"seal: {seal.write(self._folder)}")
        return self._outcome(striker)

    async def _struck(self, reached: Reached) -> tuple[Crowd, Striker]:
        """The queue under strikes, to the end of its last job."""
        crowd = self._crowd(reached, CHAOS_STAGE)
        images, videos = reached.vendors
        data_dir = self._site.settings.data_dir
        places = Places(images=images, videos=videos, data_dir=data_dir)
        striker = Striker(self._site, crowd, places, self._say)
        async with crowd.running():
            crowd.backlog = self._plan.queue
            await striker.carry_out(self._plan.strikes)
            self._say(f"last strike is over, {len(crowd.tracker.open)} jobs are open")
            await self._ended(crowd)
        return crowd, striker

    async def _tail(self, reached: Reached) -> Crowd:
        crowd = self._crowd(reached, TAIL_STAGE)
        async with crowd.running():
            began = time.monotonic()
            for _ in range(self._plan.tail):
                await crowd.submit()
            await self._ended(crowd)
            self._say(f"tail: {crowd.jobs} jobs in {time.monotonic() - began:.1f} s")
        return crowd

    async def _ended(self, crowd: Crowd) -> None:
        if not await crowd.all_ended(seconds=DRAIN_PATIENCE):
            self._say(f"{len(crowd.tracker.open)} jobs have not ended in {DRAIN_PATIENCE:g} s")

    def _crowd(self, reached: Reached, number: int) -> Crowd:
        return Crowd(self._folder, reached, seed=self._plan.seed, number=number)

    async def _free(self, crowd: Crowd) -> dict[str, Any]:
        """What `GET /slots` shows as soon as nobody holds or waits, or when time is up."""
        until = time.monotonic() + FREE_PATIENCE
        slots = await crowd.slots()
        while time.monotonic() < until and (
            not slots or slots.get("holders") or slots.get("waiting_count")
        ):
            await asyncio.sleep(0.5)
            slots = await crowd.slots()
        return slots

    async def _collect(self, reached: Reached, crowds: tuple[Crowd, ...]) -> None:
        collector = Collector(self._folder, reached)
        stages = [(crowd.number, crowd.tracker) for crowd in crowds]
        await collector.collect(stages, since=self._began)
        jobs = {job_id for crowd in crowds for job_id in crowd.tracker.known}
        semaphores = await books.semaphore_histories(self._site.client, self._folder)
        self._say(
            f"{len(jobs)} jobs, {semaphores} runs of the semaphore; replaying their histories"
        )
        await books.replay(self._folder)
        await self._write_run(collector.problems, crowds, reached)

    async def _write_run(
        self, problems: list[str], crowds: tuple[Crowd, ...], reached: Reached
    ) -> None:
        """The facts of the run, as a load test notes them."""
        stages = ",".join(str(max(1, crowd.jobs)) for crowd in crowds)
        plan = planned(stages, seed=self._plan.seed, thresholds=("success_rate>=0",))
        self._folder.write(
            raw.RUN,
            {
                **await facts(reached, plan, self._plan.command),
                "run_id": self._folder.path.name,
                # Its stack is gone with the run.
                "temporal_ui": "",
                "began_at": self._began,
                "ended_at": time.time(),
                "limit": (await reached.api.read("/slots")).get("limit"),
                "vendors_before": self._before,
                "why": "done",
                "unread": problems,
            },
        )

    def _outcome(self, striker: Striker) -> Outcome:
        found = Evidence.of(self._folder)
        write_report(self._folder, found.judged)
        broken = violations(found)
        jobs = Counter(str(job.record.status if job.record else None) for job in found.books.jobs)
        result = {
            "seed": self._plan.seed,
            "seconds": self._plan.seconds,
            "took": round(time.time() - self._began, 1),
            "strikes": dict(Counter(row["kind"] for row in striker.struck)),
            "jobs": dict(jobs),
            "disturbed": dict(Counter(d for done in striker.disturbed.values() for d in done)),
            "held": sum(bool(row["job"]) for row in striker.struck if "held" in row["strike"]),
            "by_operator": [row["by_operator"] for row in striker.struck if "by_operator" in row],
            "grants": len(found.grants),
            "generations": sum(len(job.generations) for job in found.books.jobs),
            "replayed": (found.books.replay or {}).get("replayed"),
            "violations": [vars(violation) for violation in broken],
            "environment": found.books.run["environment"],
        }
        text = json.dumps(result, ensure_ascii=False, indent=1)
        (self._folder.path / "result.json").write_text(text + "\n", encoding="utf-8")
        for violation in broken[:50]:
            self._say(f"VIOLATION: {violation.rule}: {violation.who}: {violation.text}")
        return Outcome(self._folder.path, result, broken)
