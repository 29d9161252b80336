"""The product's own classes on simulated ground: a disk, a clock, and processes of both kinds."""

import asyncio
import datetime as datetime_module
import gc
import logging
import sys
import time as time_module
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, cast

from pydantic import SecretStr
from temporalio import workflow
from temporalio.workflow import UnfinishedSignalHandlersWarning, UnfinishedUpdateHandlersWarning

from services.api.feed import versions_after
from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.service import ImageService, VideoService
from services.worker.workflows import GenVideoWorkflow
from shared.errors import BadResult
from shared.jobs.genvideo import GENVIDEO, VIDEO
from shared.jobs.messages import Asset, Job, Progress, Record, Transition, started_at
from shared.jobs.slots import JOB_GATE, recalls_of
from shared.pipeline.definition import Definition, FileKind, JobInput, Stage
from shared.pipeline.draining import DrainActivities
from shared.pipeline.pipeline import Pipeline
from shared.pipeline.records import StateActivities
from shared.pipeline.settings import PipelineWorkerSettings
from shared.pipeline.storage import Parts
from shared.pipeline.vendor import Vendor as VendorClient
from shared.pipeline.worker import activities_of
from shared.semaphore.activities import SemaphoreActivities
from shared.semaphore.messages import SEMAPHORE_QUEUE, SEMAPHORE_WORKFLOW, semaphore_id
from shared.semaphore.state import SemaphoreRules
from shared.semaphore.watchdog import Watchdog, end_stale_tries
from shared.semaphore.workflow import SemaphoreWorkflow
from shared.store.records import is_beginning, is_newer
from tests.simulation.client import SimulatedClient
from tests.simulation.plan import Options, Rule
from tests.simulation.server import Server
from tests.simulation.vendors import Vendor
from tests.simulation.worker import Worker, new_worker
from tests.simulation.world import CLOCK, World

PRODUCT = ("services.", "shared.")
# A vendor is asked less often than it really is: that is half of all that happens otherwise.
SELDOM = {"POLL_MIN_SECONDS": 0.15, "POLL_SHARE": 0.3}
UNFINISHED = (UnfinishedSignalHandlersWarning, UnfinishedUpdateHandlersWarning)
_TRANSFER = (0.01, 0.06)
_LOOK = (0.002, 0.02)
# The share of results that can't be had at once.
_LARGE = 0.2


class Records:
    """The folder of records: a newer version replaces an older one, never the other way round.

    `broken` gets what no caller may see. `repeats`: the server has forgotten what it did, so a job
    may change once more as it did before.
    """

    def __init__(self, broken: Callable[[Rule, str], None]) -> None:
        self.there: dict[str, Record] = {}
        self.repeats = False
        self._broken = broken
        self._shown: dict[tuple[str, int], Job] = {}

    def read(self, job_id: str) -> Record | None:
        return self.there.get(job_id)

    def job_ids(self) -> list[str]:
        return list(self.there)

    def append(self, record: Record) -> bool:
        present = self.there.get(record.job_id)
        return (present is None or is_beginning(present, record)) and self.write(record)

    def write(self, record: Record) -> bool:
        present = self.there.get(record.job_id)
        if present is not None and is_newer(present, record):
            return False
        self.there[record.job_id] = record
        self._check(record, versions_after(record, 0))
        return True

    def _check(self, record: Record, jobs: list[Job]) -> None:
        for job in jobs:
            before = self._shown.setdefault((job.job_id, job.version), job)
            if before != job:
                text = f"version {job.version} of {job.job_id}: {_difference(before, job)}"
                self._broken(Rule.VERSIONS, text)
        for before, job in pairwise(jobs):
            same = (before.step, before.attempts) == (job.step, job.attempts)
            if same and job.percent < before.percent:
                text = f"version {job.version} of {job.job_id}: {before.percent}, {job.percent}"
                self._broken(Rule.PERCENT, text)
        if not _is_whole(record, repeats=self.repeats):
            self._broken(Rule.WHOLE, f"version {record.version} of {record.job_id}")


def _repeats(change: Transition, before: Transition) -> bool:
    """It is a repetition; but a wait may be reported by two activities."""
    again = before.model_copy(update={"version": change.version, "at": change.at})
    return change == again and "wait" not in change.note


def _is_whole(record: Record, *, repeats: bool) -> bool:
    changes, last = record.transitions, record.transitions[-1]
    ended = [change.at for change in changes if change.status.ended]
    return (
        [change.version for change in changes] == [*range(1, record.version + 1)]
        and all(before.at <= change.at for before, change in pairwise(changes))
        and (repeats or not any(map(_repeats, changes[1:], changes)))
        and dict(last) == dict(record.followed(last.at, last.note).transitions[-1])
        and record.started_at == started_at(changes)
        and record.finished_at == (ended[0] if ended else None)
    )


def _difference(before: Job, after: Job) -> str:
    names = [name for name in Job.model_fields if getattr(before, name) != getattr(after, name)]
    return ", ".join(f"{name} {getattr(before, name)}, {getattr(after, name)}" for name in names)


class Store:
    """Results are fetched and checked in no time to speak of, and are good."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def look(self, url: str, kinds: Mapping[str, bytes], *, ours: bool = False) -> None:
        await asyncio.sleep(self._world.chance.between("look", *_LOOK))

    async def store(self, url: str, job_id: str, stage: Stage, *, vendor: VendorClient) -> Asset:
        await asyncio.sleep(self._world.chance.between("transfer", *_TRANSFER))
        return Asset(size=1, sha256="0" * 64, media_type=stage.file.media_type)

    async def store_at_once(
        self, url: str, job_id: str, stage: Stage, *, vendor: VendorClient
    ) -> Asset:
        if self._world.chance.often("not at once", _LARGE):
            raise BadResult("It takes longer.")
        return await self.store(url, job_id, stage, vendor=vendor)


class _Time(ModuleType):
    """Stands for the module `time` in the product's modules."""

    def __init__(self) -> None:
        super().__init__("time")

    def monotonic(self) -> float:
        return CLOCK.now()

    def time(self) -> float:
        return CLOCK.wall()

    def __getattr__(self, name: str) -> Any:
        return getattr(time_module, name)


class _DateTime(datetime_module.datetime):
    """Stands for the class `datetime`; makes plain ones."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return datetime_module.datetime.fromtimestamp(CLOCK.wall(), tz)


def _note_warning(message: Warning | str, category: type[Warning], *_: Any) -> None:
    CLOCK.warnings.append((CLOCK.run_id, f"{category.__name__}: {str(message)[:300]}"))


class _Silent:
    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: None


@contextmanager
def product_in_virtual_time() -> Iterator[None]:
    """The product's modules take the time from the world, and log nothing."""
    stands: list[tuple[ModuleType, str, Any]] = []
    for name, module in list(sys.modules.items()):
        if not name.startswith(PRODUCT):
            continue
        if vars(module).get("time") is time_module:
            stands.append((module, "time", _Time()))
        if vars(module).get("datetime") is datetime_module.datetime:
            stands.append((module, "datetime", _DateTime))
        stands += [(module, name, value) for name, value in SELDOM.items() if name in vars(module)]
        if "structlog" in vars(module) and "log" in vars(module):
            stands.append((module, "log", _Silent()))
    before = [(module, name, getattr(module, name)) for module, name, _ in stands]
    loggers = [logging.getLogger(name) for name in ("temporalio", "asyncio")]
    levels = [logger.level for logger in loggers]
    for module, name, value in stands:
        setattr(module, name, value)
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    # What is there before the first history is no garbage, and is not looked at each time.
    gc.freeze()
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _note_warning  # type: ignore[assignment]
            for category in UNFINISHED:
                warnings.simplefilter("always", category)
            yield
    finally:
        gc.unfreeze()
        for module, name, value in before:
            setattr(module, name, value)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


NOWHERE = Path("nowhere")
SOUND = Stage(
    name="sound", file=FileKind("WAV", "wav", "audio/wav"), vendor="sound", deadline=60, give_up=600
)


class SoundInput(JobInput):
    text: str


# Another pipeline on the same slot, of one stage that is not called back.
SOUNDS = Definition(name="sounds", workflow="SoundWorkflow", input=SoundInput, stages=(SOUND,))
PIPELINES = {each.name: each for each in (GENVIDEO, SOUNDS)}
TYPES = frozenset(each.workflow for each in PIPELINES.values())


@workflow.defn(name=SOUNDS.workflow)
class SoundWorkflow(Pipeline[SoundInput]):
    """Queue, sound, end."""

    definition = SOUNDS

    @workflow.init
    def __init__(self, job: SoundInput) -> None:
        super().__init__(job)

    @workflow.run
    async def run(self, job: SoundInput) -> Progress:
        return await self.until_ended()

    async def stages(self, job: SoundInput) -> None:
        await self.make(SOUND, prompt=job.text, style="")


class SoundSettings(PipelineWorkerSettings):
    pipeline: ClassVar[Definition] = SOUNDS
    sound_attempt_seconds: float = SOUND.deadline
    sound_give_up_seconds: float = SOUND.give_up


def _settings(options: Options, pipeline: Definition) -> PipelineWorkerSettings:
    kind = WorkerSettings if pipeline is GENVIDEO else SoundSettings
    return _settings_of(
        kind,
        image_attempt_seconds=options.image_seconds,
        sound_attempt_seconds=options.image_seconds,
        sound_give_up_seconds=options.give_up_seconds,
        video_attempt_seconds=options.video_seconds,
        job_seconds=options.job_seconds,
        drain_seconds=options.drain_seconds,
        image_give_up_seconds=options.give_up_seconds,
        video_give_up_seconds=options.give_up_seconds,
        gates=options.gates,
    )


@cache
def _settings_of(
    kind: type[PipelineWorkerSettings], **fields: float | str
) -> PipelineWorkerSettings:
    """Made once for all histories that set the same: the environment is read each time."""
    secret = SecretStr("a-secret-of-32-characters-or-more")
    return kind.model_validate({"callback_secret": secret, "data_dir": NOWHERE, **fields})


def job_worker(
    server: Server,
    name: str,
    options: Options,
    *,
    pipeline: Definition,
    vendors: Mapping[str, Vendor],
    records: Records,
) -> Worker:
    """A process that runs jobs, as `shared.pipeline.worker` puts it together."""
    kind = GenVideoWorkflow if pipeline is GENVIDEO else SoundWorkflow
    worker = new_worker(server, name, pipeline.name, workflows={pipeline.workflow: kind})
    client: Any = SimulatedClient(server, worker)
    settings = _settings(options, pipeline)
    parts = Parts(
        settings=settings,
        client=client,
        vendors={
            name: (VideoService if name == VIDEO.vendor else ImageService)(
                cast(Any, vendor.at(worker))
            )
            for name, vendor in vendors.items()
        },
        storage=cast(Any, Store(server.world)),
    )
    state = StateActivities(settings, client=client)
    drain = DrainActivities(parts)
    for each in (state, drain):
        each._records = cast(Any, records)
    _install(worker, activities_of(parts, state, drain))
    return worker


def semaphore_worker(server: Server, name: str, options: Options) -> Worker:
    """The semaphore's process, with the care that a semaphore runs for each gate in use."""
    worker = new_worker(
        server, name, SEMAPHORE_QUEUE, workflows={SEMAPHORE_WORKFLOW: SemaphoreWorkflow}
    )
    client: Any = SimulatedClient(server, worker)
    rules = SemaphoreRules(
        max_history=options.max_history,
        beat_seconds=1.4,
        ends_failing=True,
        recalls=recalls_of(PIPELINES.values()),
    )
    watchdog = Watchdog(client, rules)
    activities = SemaphoreActivities(client, rules)
    _install(
        worker,
        (
            activities.ask,
            activities.grant_and_watch,
            activities.find_jobs,
            activities.semaphore_rules,
        ),
    )

    async def care() -> None:
        await end_stale_tries(client, gates(options))
        await watchdog.run(gates(options))

    worker.begin(care())
    return worker


def gates(options: Options) -> list[str]:
    """The gates that a semaphore is run for."""
    return [JOB_GATE, *(name for name in options.gates.split(",") if name)]


def _install(worker: Worker, functions: Iterable[Callable[..., Any]]) -> None:
    for function in functions:
        definition = getattr(function, "__temporal_activity_definition")
        worker.functions[definition.name] = function


def semaphore_of(gate: str) -> str:
    return semaphore_id(gate)
