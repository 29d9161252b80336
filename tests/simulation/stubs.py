"""What the activities have around them beside vendors and server: a disk, and a clock."""

import asyncio
import datetime as datetime_module
import gc
import logging
import sys
import time as time_module
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from types import ModuleType
from typing import Any

from temporalio.workflow import (
    UnfinishedSignalHandlersWarning,
    UnfinishedUpdateHandlersWarning,
)

from services.api.feed.versions import versions_after
from services.worker.vendors.vendor import Vendor
from shared.errors import BadResult
from shared.jobs.messages import Asset, Job, Record
from shared.jobs.states import Step
from shared.store.records import is_beginning, is_newer
from tests.simulation.verdicts import Rule
from tests.simulation.world import BEGINNING, World

PRODUCT = ("services.", "shared.")
# A vendor is asked less often than it really is: that is half of all that happens otherwise.
SELDOM = {"IMAGE_POLL_MIN_SECONDS": 0.15, "IMAGE_POLL_SHARE": 0.3}
UNFINISHED = (UnfinishedSignalHandlersWarning, UnfinishedUpdateHandlersWarning)
_TRANSFER = (0.01, 0.06)
# The share of results that can't be had at once.
_LARGE = 0.2


class Records:
    """The folder of records: a newer version replaces an older one, never the other way round.

    `broken` is told of what nobody may be shown.
    """

    def __init__(self, broken: Callable[[Rule, str], None]) -> None:
        self.there: dict[str, Record] = {}
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


def _difference(before: Job, after: Job) -> str:
    names = [name for name in Job.model_fields if getattr(before, name) != getattr(after, name)]
    return ", ".join(f"{name} {getattr(before, name)}, {getattr(after, name)}" for name in names)


class Store:
    """Results are fetched and checked in no time to speak of, and are good."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def store(self, url: str, job_id: str, *, step: Step, vendor: Vendor) -> Asset:
        await asyncio.sleep(self._world.chance.between("transfer", *_TRANSFER))
        return Asset(size=1, sha256="0" * 64, media_type=f"{step}/any")

    async def store_at_once(self, url: str, job_id: str, *, step: Step, vendor: Vendor) -> Asset:
        if self._world.chance.often("not at once", _LARGE):
            raise BadResult("It takes longer.")
        return await self.store(url, job_id, step=step, vendor=vendor)


class _Clock:
    """The world whose time it is now, and what the SDK has warned of in it."""

    def __init__(self) -> None:
        self.world: World | None = None
        self.run_id = ""
        self.warnings: list[tuple[str, str]] = []

    def now(self) -> float:
        return self.world.now if self.world is not None else BEGINNING

    def wall(self) -> float:
        """What the clock of the process at work shows."""
        return self.now() + (self.world.skew if self.world is not None else 0.0)


CLOCK = _Clock()


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
    """A logger that says nothing."""

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
