"""Each change of a job in one step: workflow state, search attribute, JSON record."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from services.worker.deterministic.cancellation import to_its_end
    from services.worker.deterministic.state import JobState
    from services.worker.deterministic.wording import details_of, summary_of
    from services.worker.models import RECORD_STATE, Recorded, Stored
    from services.worker.policies import LOCAL_RETRY_POLICY, LOCAL_TIMEOUT
    from shared.jobs.messages import JobInput, ProgressReport, Record
    from shared.jobs.states import Step
    from shared.temporal.client import CUSTOM_PROGRESS


class EndedBefore(Exception):
    """The job's end is on disk already, and stands: this run recorded it once before.

    The server did not take the workflow task that recorded it, since something had arrived
    meanwhile, and gives the step to us again together with what arrived, a cancellation even.
    """


class Journal:
    """Serialises the changes, so that versions reach the disk in their order."""

    def __init__(self, job: JobInput) -> None:
        info = workflow.info()
        self.state = JobState(
            info.workflow_id,
            job,
            run_id=info.run_id,
            created_at=info.workflow_start_time,
            namespace=info.namespace,
        )
        self._lock = asyncio.Lock()
        self._ended_before = False

    @property
    def record(self) -> Record:
        return self.state.record

    async def change(self, note: str, **fields: object) -> None:
        """Make and record the next version. EndedBefore where the job's end is on disk already."""
        async with self._lock:
            if not self._ended_before:
                await self._next(note, fields)
            if self._ended_before:
                raise EndedBefore

    def stored(self, step: Step, stored: Stored) -> dict[str, object]:
        """What a stage's result changes."""
        return {
            "asset_url": stored.asset_url,
            "assets": {**self.record.assets, step: stored.asset},
            "units": {**self.record.units, **stored.units},
        }

    async def report(self, report: ProgressReport) -> None:
        """What the running attempt's activity tells: a percent, which only rises, a place in the
        vendor's queue, or a wait."""
        async with self._lock:
            if not self._concerns(report.external_id):
                return
            place: dict[str, object] = {"vendor_position": report.position}
            if report.waiting:
                await self._next(report.waiting, place)
            elif report.percent > self.record.percent:
                await self._next(f"{report.percent} %", {"percent": report.percent, **place})
            elif report.position != self.record.vendor_position:
                await self._next(_place(report.position), place)

    def _concerns(self, external_id: str) -> bool:
        """Asked under the lock: what came before may have ended the attempt, or the job."""
        record = self.record
        if record.step is None or record.status.ended:
            return False
        return external_id == f"{record.job_id}.{record.step}.{record.attempt}"

    async def _next(self, note: str, fields: dict[str, object]) -> None:
        before = self.record.percent
        record = self.state.change(workflow.now(), note, **fields)
        if record.percent != before:
            workflow.upsert_search_attributes([CUSTOM_PROGRESS.value_set(record.percent)])
        workflow.set_current_details(details_of(record, note))
        try:
            found = await _write(record, note)
            while self._comes_behind(found):
                found = await _write(self.record, note)
            if found.end is not None:
                self.state.adopt(found.end)
                self._ended_before = True
        except ActivityError:
            # The job goes on; the record can be made again from Temporal, a later one is newer.
            workflow.logger.exception("version %d could not be recorded", record.version)

    def _comes_behind(self, found: Recorded) -> bool:
        """Whether our change goes behind others that are known, and is to be recorded there."""
        if found.ahead:
            self.state.follow(found.ahead, found.attempts, runs=found.runs)
            return True
        if not found.own or not self.state.resume(found.own, found.attempts):
            return False
        workflow.upsert_search_attributes([CUSTOM_PROGRESS.value_set(self.record.percent)])
        return True


async def _write(record: Record, note: str) -> Recorded:
    """What is on disk where that is ahead of us; an end is recorded once, whatever comes after."""
    return await to_its_end(
        workflow.start_local_activity(
            RECORD_STATE,
            record,
            result_type=Recorded,
            summary=summary_of(record, note),
            start_to_close_timeout=LOCAL_TIMEOUT,
            retry_policy=LOCAL_RETRY_POLICY,
        )
    )


def _place(position: int | None) -> str:
    return "the vendor has begun" if position is None else f"{position} before it at the vendor"
