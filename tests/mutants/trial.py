"""A mutant on trial: its stack runs the scene, and the judge says what it finds in the books."""

import asyncio
import io
import json
import shutil
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from loadtest.books import raw
from loadtest.books.raw import RunFolder
from loadtest.judge.judge import judge
from loadtest.report.write import write_report
from loadtest.run.plan import planned
from loadtest.run.progress import Display
from loadtest.run.run import Run
from loadtest.run.session import armed, replay
from loadtest.wire.stack import open_stack, preflight
from tests.loadtest.forging.kit import convictions
from tests.mutants.mutant import Mutant, grown
from tests.mutants.product import copied
from tests.mutants.site import Lane, Scene, Site

# Four stacks share two processors, because each waits most of its time.
LANES = 4
RUN, STRANGER = "run", "stranger"
# The rule of the scene's own: the judge does not know what was done to a job.
DEMANDED = "demanded"
# With the mutant's own code, as the stack does it.
REPLAYS = f"env PYTHONPATH={{code}} {sys.executable} -P -m services.worker.replay"


@dataclass(frozen=True)
class Finding:
    """What the judge holds against a job, by the job's name in the plan, or against the run."""

    rule: str
    job: str
    message: str


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant; `found` is all that the judge holds against its run."""

    mutant: Mutant
    found: tuple[Finding, ...]

    @property
    def is_as_expected(self) -> bool:
        """Whether the rule convicts the jobs; of a harmless mutant, whether nothing is found."""
        if self.mutant.harmless:
            return not self.found
        convicted = {each.job for each in self.found if each.rule == self.mutant.rule}
        return bool(convicted) and set(self.mutant.jobs) <= convicted


async def outcomes(mutants: Iterable[Mutant], folder: Path) -> AsyncIterator[Outcome]:
    """Try each mutant, several at a time, and yield the outcomes as they come."""
    # Slow scenes first, so that no lane waits for one at the end.
    waiting, done = sorted(mutants, key=lambda each: each.scene.speed), asyncio.Queue[Outcome]()
    product = await asyncio.to_thread(copied, folder / "product")

    async def lane(number: int) -> None:
        async with Lane(folder / f"lane-{number}") as place:
            while waiting:
                mutant = waiting.pop(0)
                try:
                    await done.put(await tried(mutant, place, product))
                except Exception as error:  # a build that does not come up is an outcome, too
                    failed = Finding("error", RUN, repr(error))
                    await done.put(Outcome(mutant, (failed,)))

    count = len(waiting)
    async with asyncio.TaskGroup() as group:
        for number in range(min(LANES, count)):
            group.create_task(lane(number))
        for _ in range(count):
            yield await done.get()


async def tried(mutant: Mutant, lane: Lane, product: Path) -> Outcome:
    """Run one mutant's scene and judge its books."""
    code = await asyncio.to_thread(grown, mutant, product, lane.folder / f"{mutant.name}.code")
    async with lane.site(mutant.name, code, mutant.scene) as site:
        outcome = await tried_in(site, mutant, code)
    await asyncio.to_thread(shutil.rmtree, code)
    return outcome


async def tried_in(site: Site, mutant: Mutant, code: Path) -> Outcome:
    """Run one mutant's scene on a stack of its code, and judge its books."""
    books = await played(site, mutant.scene, name=mutant.name)
    await asyncio.to_thread(replay, books, REPLAYS.format(code=code))
    return await asyncio.to_thread(judged, mutant, books)


async def played(site: Site, scene: Scene, *, name: str) -> RunFolder:
    """The books of a run of this scene."""
    plan = planned(
        str(scene.jobs),
        seed=scene.seed,
        stall=str(scene.stall),
        rate=scene.rate,
        concurrency="1",
        thresholds=("success_rate>=0",),
        on_video_failure=scene.on_video_failure,
        priorities=scene.priorities,
        presets=scene.presets,
        faults=map(json.dumps, scene.faults),
    )
    temporal = await preflight(site.settings)
    async with (
        open_stack(site.settings, temporal) as stack,
        armed(stack.vendors, plan.faults, seed=plan.seed),
    ):
        run = Run(stack, plan, command=f"make mutants ONLY={name}")
        display = Display(Console(file=io.StringIO()), plan.stages)
        acting = asyncio.create_task(scene.act(site))
        books = await run.go(display, asyncio.Event())
        # A broken build may never come to where the act waits for it.
        acting.cancel()
        [ended] = await asyncio.gather(acting, return_exceptions=True)
    if isinstance(ended, Exception):
        raise ended
    return books


def judged_again(mutants: Iterable[Mutant], folder: Path) -> Iterator[Outcome]:
    """The outcomes by books that an earlier trial has left in the folder."""
    for mutant in mutants:
        for run in folder.glob(f"lane-*/{mutant.name}/reports/*/raw/{raw.RUN}"):
            yield judged(mutant, RunFolder.open(run.parents[1]))


def judged(mutant: Mutant, books: RunFolder) -> Outcome:
    """What the judge holds against the run, with the jobs named as the plan names them."""
    names = {"the run": RUN} | {
        row["job_id"]: f"#{row['prompt'].rpartition('#')[2]}" for row in books.rows(raw.SUBMITS)
    }
    ends = {names.get(row["job"]["job_id"]): row["job"]["status"] for row in books.rows(raw.JOBS)}
    demanded = [
        Finding(DEMANDED, job, f"it ended {ends.get(job)}; what was done to it demands {end}")
        for job, end in mutant.scene.ends.items()
        if ends.get(job) != end
    ]
    judgement = judge(books)
    write_report(books, judgement)
    found = [
        Finding(each.rule, names.get(each.job_id, STRANGER), each.text)
        for each in convictions(judgement)
    ]
    return Outcome(mutant, (*found, *demanded))
