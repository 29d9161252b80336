"""Make each change of a job in one step: workflow state, search attribute, JSON record."""

import asyncio

from temporalio import workflow

from shared.failures import MAX_ATTEMPTS
from shared.jobs.messages import ProgressReport, Record
from shared.jobs.states import Status
from shared.pipeline import starting
from shared.pipeline.definition import Definition, JobInput
from shared.pipeline.messages import (
    ENTER_QUEUE,
    RECORD_STATE,
    Enter,
    Entered,
    JobLimits,
    Recorded,
    Stored,
)
from shared.pipeline.policies import LOCAL_RETRY_POLICY, REQUEST_RETRY_POLICY
from shared.pipeline.state import JobState
from shared.redact import as_markdown
from shared.semaphore.messages import RunRef, SlotRequest
from shared.temporal.client import CUSTOM_PROGRESS, summary


class RecordTaken(Exception):
    """The record takes nothing more of this run: it has an end, which stays, or is another run's.

    `run`: whose record it is. An end was recorded by another writer, or by this run in a workflow
    task that the server discarded and repeats.
    """

    def __init__(self, run: RunRef) -> None:
        super().__init__()
        self.run = run


class Journal:
    """Makes one change at a time, so that versions reach the store in order."""

    def __init__(self, pipeline: Definition, job: JobInput) -> None:
        info = workflow.info()
        first = Record.of(
            pipeline,
            job,
            job_id=info.workflow_id,
            run_id=info.original_execution_run_id,
            created_at=info.workflow_start_time,
            namespace=info.namespace,
        )
        self.state = JobState(first)
        self._lock = asyncio.Lock()
        # Why this run records nothing more.
        self._stop: RecordTaken | None = None

    @property
    def record(self) -> Record:
        return self.state.record

    async def enter(self, request: SlotRequest) -> JobLimits:
        """Record the job as queued, request the slot, return the limits.

        Nothing is requested if the record has ended or belongs to another run; `check` raises then.
        """
        note = "queued"
        record = self.state.change(workflow.now(), note, status=Status.QUEUED)
        workflow.set_current_details(details_of(record, note))
        entered = await starting.local(
            ENTER_QUEUE,
            Enter(record=record, request=request),
            Entered,
            summary=summary_of(record, note),
            # Retried without end, because without the request the job would wait for ever.
            retry=REQUEST_RETRY_POLICY,
        )
        self._take(entered.recorded)
        return entered.limits

    def check(self) -> None:
        """Raise RecordTaken if the record takes nothing more of this run."""
        if self._stop is not None:
            raise self._stop

    async def change(self, note: str, **fields: object) -> None:
        """Make and record the next version; raise as `check`."""
        async with self._lock:
            if self._stop is None:
                await self._next(note, fields)
            self.check()

    async def begin(self, note: str, **fields: object) -> Record:
        """Make the next version without writing it, because the activity that it begins does so.

        This saves a local activity between a permit and the submit. Raises as `check` does.
        """
        async with self._lock:
            if self._stop is None:
                self._make(note, fields)
            self.check()
            return self.record

    async def write_again(self) -> Record:
        """Write the present version after an activity could not; raise as `check`."""
        async with self._lock:
            if self._stop is None:
                await self._write()
            self.check()
            return self.record

    def stored(self, stage: str, stored: Stored) -> dict[str, object]:
        return {
            "asset_url": stored.asset_url,
            "assets": {**self.record.assets, stage: stored.asset},
            "units": {**self.record.units, **stored.units},
        }

    async def report(self, report: ProgressReport) -> None:
        """Take a report of the running attempt's activity: a percent, which only rises, a position
        in the vendor's queue, or a wait."""
        async with self._lock:
            record = self.record
            # The attempt may have ended while the lock was waited for.
            over = record.step is None or record.status.ended or self._stop is not None
            attempt = f"{record.job_id}.{record.step}.{record.attempt}"
            if over or report.external_id != attempt:
                return
            place: dict[str, object] = {"vendor_position": report.position}
            if report.waiting:
                await self._next(report.waiting, place)
            elif report.percent > record.percent:
                await self._next(f"{report.percent} %", {"percent": report.percent, **place})
            elif report.position != record.vendor_position:
                await self._next(_place(report.position), place)

    async def _next(self, note: str, fields: dict[str, object]) -> None:
        self._make(note, fields)
        await self._write()

    def _make(self, note: str, fields: dict[str, object]) -> None:
        before = self.record.percent
        record = self.state.change(workflow.now(), note, **fields)
        if record.percent != before:
            workflow.upsert_search_attributes([CUSTOM_PROGRESS.value_set(record.percent)])
        workflow.set_current_details(details_of(record, note))

    async def _write(self) -> None:
        try:
            while self._take(await self._recorded()):
                pass
        except starting.StageFailed as failure:
            # The job goes on; the record can be made again from Temporal, and a later one is newer.
            version = self.record.version
            workflow.logger.warning("version %d could not be recorded: %s", version, failure)

    async def _recorded(self) -> Recorded:
        return await starting.local(
            RECORD_STATE,
            self.record,
            Recorded,
            summary=summary_of(self.record, self.state.note),
            retry=LOCAL_RETRY_POLICY,
        )

    def _take(self, found: Recorded) -> bool:
        """Take in what was found in the store; return True if our change must be recorded after
        it."""
        if (present := found.present) is None:
            return False
        before, again = self.record.percent, False
        taken = RecordTaken(RunRef(job_id=present.job_id, run_id=present.run_id))
        if present.run_id != self.record.run_id:
            self._stop = taken
        elif present.status.ended:
            self._stop = None if self.state.is_at(present) else taken
            self.state.adopt(present)
        else:
            again = self.state.resume(present.transitions, present.attempts)
        if self.record.percent != before:
            workflow.upsert_search_attributes([CUSTOM_PROGRESS.value_set(self.record.percent)])
        return again


def _place(position: int | None) -> str:
    return "the vendor has begun" if position is None else f"{position} before it at the vendor"


SAYS = {
    Status.QUEUED: "The job waits for its turn.",
    Status.RUNNING: "The job runs.",
    Status.SUCCEEDED: "The job has succeeded: all its results are stored.",
    Status.DEGRADED: "The job has ended with a part of its results.",
    Status.FAILED: "The job has failed.",
    Status.CANCELLED: "The job was cancelled.",
}


def summary_of(record: Record, note: str) -> str:
    return summary(f"version {record.version}: {note}")


def details_of(record: Record, note: str) -> str:
    """Return the details for the Temporal UI: state, reason of a bad end, last note."""
    lines = [f"**{_says(record)}**"]
    if record.error is not None:
        lines.append(f"Why: {as_markdown(f'{record.error.message} ({record.error.code})')}")
    noted = as_markdown(note.rstrip("."))
    lines.append(f"Noted last, as version {record.version} of its record: {noted}.")
    return "\n\n".join(lines)


def _says(record: Record) -> str:
    if record.status is not Status.RUNNING or record.step is None:
        return SAYS[record.status]
    tries = f"attempt {record.attempt} of {MAX_ATTEMPTS}"
    return f"The {record.step} is being made, {tries}: {record.percent} % of it are done."
