"""Clear the vendors after a job that ended before its generations did."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import product

import structlog
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from shared.errors import GenvideoError, RefusedForGood, VendorError
from shared.failures import MAX_ATTEMPTS
from shared.jobs.closing import RESET, amend_accepted, close_record
from shared.jobs.ids import asset_url, external_id, is_job_id, parse_external_id
from shared.jobs.messages import Asset, Attempts, Record, raised
from shared.jobs.states import Status
from shared.pipeline.definition import DRAIN_ACTIVITY, OPEN_RECORDS_ACTIVITY, Definition, Stage
from shared.pipeline.heartbeat import beating
from shared.pipeline.messages import Kept, Order, submit_activity
from shared.pipeline.policies import KEEP_SECONDS
from shared.pipeline.polling import asked_by, end_of
from shared.pipeline.storage import Parts
from shared.pipeline.vendor import VendorStatus
from shared.semaphore.messages import Closed, Drain, OpenRecords, OpenRun, RunRef
from shared.semaphore.server import is_gone
from shared.store.chosen import chosen_store
from shared.store.records import Records

log = structlog.get_logger(__name__)

BEGUN = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
FORGOTTEN = "forgotten"
# A stored result, and its cost by external id.
Bought = tuple[Asset, dict[str, str]]
# The first poll of a running generation; later ones come more slowly, because hours may pass.
POLL_SECONDS = 0.2
POLL_GROWTH = 1.1


class DrainActivities:
    """The drain, started by a cancelled job's own workflow, or by the semaphore."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._pipeline = parts.pipeline
        self._settings = parts.settings
        self._limits = parts.settings.limits()
        self._client = parts.client
        self._storage = parts.storage
        self._records = Records(chosen_store(parts.settings), namespace=parts.client.namespace)

    @activity.defn(name=DRAIN_ACTIVITY)
    async def drain_job(self, drain: Drain) -> Kept:
        """Return when no generation of the job runs any more, or the bound has passed.

        It first waits `hold_seconds`, because a submit of a closed job's activities may be on its
        way. Paid results are stored if their record can still be written: by the job's own code, or
        by this drain for a job that Temporal has forgotten. The record of a job that was closed
        from outside is closed here. Other workflows, and a job whose id another namespace has, have
        nothing at our vendors; their activities get the time to notice the close.
        """
        async with beating(self._client, drain.job_id) as pulse:
            now, since = pulse.now, _since(drain)
            if not await asyncio.to_thread(self._is_ours, drain.job_id):
                await asyncio.sleep(max(0.0, since - now()))
                return Kept(attempts=self._pipeline.attempts(), assets={}, asset_url=None)
            code = await self._close_code(drain)
            if code is not None and code != FORGOTTEN:
                await asyncio.to_thread(self._close, drain, code)
            await asyncio.sleep(max(0.0, since - now()))
            seen = await self._cleared(drain, now, since)
            if code is None or await asyncio.to_thread(self._is_open, drain):
                kept = await self._keep(drain.job_id, seen)
                if code is not None:
                    await asyncio.to_thread(self._close, drain, code, kept)
                return kept
            await asyncio.to_thread(self._amend, drain.job_id, seen)
            return Kept(attempts=seen.attempts(), assets={}, asset_url=None)

    @activity.defn(name=OPEN_RECORDS_ACTIVITY)
    async def open_records(self) -> OpenRecords:
        """Return the runs of all records of this namespace that have begun and not ended."""
        async with beating(self._client, "records"):
            runs = await asyncio.to_thread(self._open_records)
        log.info("open records", job_ids=[run.job_id for run in runs])
        return OpenRecords(runs=tuple(runs))

    def _open_records(self) -> list[OpenRun]:
        records = map(self._records.read, self._records.job_ids())
        return [
            OpenRun(job_id=each.job_id, run_id=each.run_id, pipeline=each.pipeline, step=each.step)
            for each in records
            if each is not None
            and each.run_id
            and each.status is Status.RUNNING
            and each.is_of(self._client.namespace)
        ]

    async def _close_code(self, drain: Drain) -> str | None:
        """Return the code with which the record of a closed run ends; None if the job's code writes
        it.

        A run that was reset has a successor, which ends at once.
        """
        if drain.closed is None:
            return None
        if drain.closed is Closed.UNKNOWN:
            return FORGOTTEN
        try:
            latest = await self._client.get_workflow_handle(drain.job_id).describe()
        except RPCError as error:
            if not is_gone(error):
                raise
            return FORGOTTEN
        first = latest.raw_description.workflow_execution_info.first_run_id
        was_reset = latest.run_id != drain.run_id and first == drain.run_id
        return RESET if was_reset else drain.closed.value

    async def _cleared(self, drain: Drain, now: Callable[[], float], since: float) -> "Seen":
        """Wait until nothing of the job runs; return what the vendors say of its generations.

        While a submit may be on its way, finding nothing proves nothing. Once the latest generation
        is known, no other one is on its way.
        """
        until = since + self._settings.drain_seconds
        record = await asyncio.to_thread(self._records.read, drain.job_id)
        attempts = await self._last_attempts(drain, record)
        latest = _latest(self._pipeline, drain.job_id, attempts)
        # The accepted generations: the vendor's ids by ours.
        tasks = record.tasks if record else {}
        # It was deleted while it waited: its record would have an attempt before the submit.
        waited = (
            drain.closed is Closed.UNKNOWN
            and record is not None
            and record.run_id == drain.run_id
            and not any(attempts.values())
        )
        may_come = drain.in_doubt and not waited
        doubt = since
        if may_come:
            # A generation that can't be looked up may run for as long as one is waited for at all.
            asked = self._asked(latest, tasks) is not None
            doubt = since + self._settings.accept_seconds if asked else until
        seen, pause = Seen(self._pipeline, tasks, self._lost), POLL_SECONDS
        longest = min(limits.poll for limits in self._limits.stages.values())
        if may_come:
            seen.doubted.add(latest)
        numbers = range(1, MAX_ATTEMPTS + 1)
        every = [
            external_id(drain.job_id, *each) for each in product(self._pipeline.names, numbers)
        ]
        await self._look(every, seen, tasks)
        while True:
            in_doubt = now() < doubt and latest not in seen.known
            if not seen.running and not in_doubt:
                return seen
            if now() >= until:
                log.warning(
                    "gave up waiting for generations that may still run",
                    generations=sorted(seen.running),
                )
                return seen
            await asyncio.sleep(pause)
            pause = min(pause * POLL_GROWTH, longest)
            await self._look(seen.running | {latest}, seen, tasks)

    async def _last_attempts(self, drain: Drain, record: Record | None) -> Attempts:
        """Return by stage the highest attempt whose submit the job may have begun.

        The record has it before the submit, unless its write was still running when the run was
        closed from outside; then only the run's history has it.
        """
        attempts = record.attempts if record else self._pipeline.attempts()
        if drain.closed is None:
            return attempts
        run = RunRef(job_id=drain.job_id, run_id=drain.run_id)
        return raised(attempts, await submitted(self._pipeline, self._client, run))

    def _asked(self, ours: str, tasks: Mapping[str, str]) -> str | None:
        return asked_by(self._parts.vendor(step_of(ours)), ours, tasks.get(ours))

    def _lost(self, ours: str) -> float:
        return self._limits.stages[step_of(ours)].lost

    async def _look(
        self, generations: Iterable[str], seen: "Seen", tasks: Mapping[str, str]
    ) -> None:
        for ours in sorted(set(generations) - seen.ended):
            vendor = self._parts.vendor(step_of(ours))
            asked = self._asked(ours, tasks)
            news: VendorStatus | VendorError | None
            try:
                news = await vendor.status(asked) if asked else None
            except VendorError as error:
                news = error
                log.warning("a drain can't ask its vendor", generation=ours, reason=error.message)
            seen.note(ours, news)
            if ours in seen.running and isinstance(news, VendorStatus):
                try:
                    await vendor.cancel(news.vendor_id)
                except VendorError as error:
                    log.warning("a cancel at the vendor failed", reason=error.message)

    def _close(self, drain: Drain, code: str, kept: Kept | None = None) -> None:
        """End an open record of this run, with the kept results if they belong in it."""
        record = self._records.read(drain.job_id)
        if record is None or not self._is_open(drain):
            return
        if kept is not None:
            record = record.model_copy(
                update={
                    "attempts": raised(record.attempts, kept.attempts),
                    "assets": {**record.assets, **kept.assets},
                    "asset_url": kept.asset_url or record.asset_url,
                    "tasks": {**kept.tasks, **record.tasks},
                    "units": {**record.units, **kept.units},
                }
            )
        self._records.write(close_record(record, code))

    def _is_ours(self, job_id: str) -> bool:
        if not is_job_id(job_id):
            return False
        record = self._records.read(job_id)
        return record is None or record.is_of(self._client.namespace)

    def _is_open(self, drain: Drain) -> bool:
        record = self._records.read(drain.job_id)
        return record is not None and record.run_id == drain.run_id and not record.status.ended

    def _amend(self, job_id: str, seen: "Seen") -> None:
        """Complete the record of a job that ended from outside by what a vendor had accepted."""
        while (record := self._records.read(job_id)) is not None:
            amended = amend_accepted(record, seen.attempts(), seen.tasks)
            if amended is None or self._records.write(amended):
                return

    async def _keep(self, job_id: str, seen: "Seen") -> Kept:
        record = await asyncio.to_thread(self._records.read, job_id)
        there = record.assets if record else {}
        tasks = record.tasks if record else {}
        assets: dict[str, Asset] = {}
        units: dict[str, str] = {}
        for stage in self._pipeline.stages:
            if stage.name not in there and (bought := await self._kept(job_id, stage, tasks)):
                assets[stage.name], charged = bought
                units |= charged
        kept_now = [name for name in self._pipeline.names if name in {*there, *assets}]
        url = kept_now and asset_url(self._settings.api_public_url, job_id, kept_now[-1])
        return Kept(
            attempts=seen.attempts(),
            assets=assets,
            asset_url=url or None,
            units=units,
            tasks=seen.tasks,
        )

    async def _kept(self, job_id: str, stage: Stage, tasks: Mapping[str, str]) -> Bought | None:
        for attempt in range(MAX_ATTEMPTS, 0, -1):
            try:
                async with asyncio.timeout(KEEP_SECONDS):
                    ours = external_id(job_id, stage.name, attempt)
                    vendor = self._parts.vendor(stage.name)
                    asked = self._asked(ours, tasks)
                    if asked and (end := await end_of(vendor, asked, known=None)):
                        units = {} if end.units is None else {ours: end.units}
                        asset = await self._storage.store(end.url, job_id, stage, vendor=vendor)
                        return asset, units
            except (GenvideoError, TimeoutError) as error:
                why = str(error)
                log.warning("paid result could not be stored", step=stage.name, reason=why)
        return None


async def submitted(pipeline: Definition, client: Client, run: RunRef) -> Attempts:
    """Return by stage the highest attempt whose submit a run has begun, by its history.

    The history is read as far as possible; only if the server is away does the next try read it
    again.
    """
    found, submits = pipeline.attempts(), set(map(submit_activity, pipeline.stages))
    handle = client.get_workflow_handle(run.job_id, run_id=run.run_id)
    try:
        async for event in handle.fetch_history_events():
            begun = event.activity_task_scheduled_event_attributes
            if event.event_type == BEGUN and begun.activity_type.name in submits:
                [order] = await client.data_converter.decode(begun.input.payloads, [Order])
                found = raised(found, {order.stage: order.attempt})
    except Exception as error:  # a converter or a codec can raise anything
        if isinstance(error, RPCError) and error.status is RPCStatusCode.UNAVAILABLE:
            raise
        log.warning("unreadable history", reason=type(error).__name__, **run.model_dump())
    return found


def _latest(pipeline: Definition, job_id: str, attempts: Attempts) -> str:
    names = pipeline.names
    step = next((name for name in reversed(names) if attempts.get(name)), names[0])
    return external_id(job_id, step, max(1, attempts.get(step, 0)))


class Seen:
    """The vendors' answers: generations ever known, ended, not ended yet.

    `doubted`: those whose submit may have arrived. `tasks`: the vendors' ids by ours.
    """

    def __init__(
        self, pipeline: Definition, known: Iterable[str], lost: Callable[[str], float]
    ) -> None:
        self._pipeline = pipeline
        self.known: set[str] = set(known)
        self.doubted: set[str] = set()
        self.ended: set[str] = set()
        self.running: set[str] = set()
        self.tasks: dict[str, str] = {}
        self._lost = lost
        self._missing_since: dict[str, float] = {}

    def note(self, ours: str, news: VendorStatus | VendorError | None) -> None:
        """Note a failed question.

        The vendor may run the generation, even if it denies one that it knew. A vendor that refuses
        every question (a wrong key) has no generation that was unknown to it and to us.
        """
        self.running.discard(ours)
        if isinstance(news, VendorError):
            if ours in self.known | self.doubted or not isinstance(news, RefusedForGood):
                self.running.add(ours)
        elif news is None:
            now = time.monotonic()
            missing = now - self._missing_since.setdefault(ours, now)
            if ours in self.known and missing <= self._lost(ours):
                self.running.add(ours)
        else:
            self.known.add(ours)
            self.tasks[ours] = news.vendor_id
            self._missing_since.pop(ours, None)
            over = news.state in ("succeeded", "failed")
            (self.ended if over else self.running).add(ours)

    def attempts(self) -> Attempts:
        found = self._pipeline.attempts()
        for each in map(parse_external_id, self.known):
            if each is not None:
                found = raised(found, {each.step: each.attempt})
        return found


def step_of(ours: str) -> str:
    return ours.rsplit(".", 2)[1]


def _since(drain: Drain) -> float:
    """Return the time from which on nothing more begins, by the server's clock.

    A try that follows a dead one, or an earlier run of the semaphore, gets no more time. Otherwise
    each would restart the wait.
    """
    begun = drain.since or activity.info().scheduled_time
    return begun.timestamp() + drain.hold_seconds
