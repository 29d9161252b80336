"""`python -m services.api.rebuild`: makes records again, from Temporal.

Every one that is missing, damaged or behind. It may run at any moment, beside a working
stack, and again: a record is never made older.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable
from enum import IntEnum, StrEnum

from temporalio.client import Client, WorkflowQueryFailedError
from temporalio.service import RPCError

from services.api.feed.feed import Retention
from services.api.settings import ApiSettings
from services.api.temporal import Temporal, from_workflow
from shared.errors import TemporalRefuses, TemporalUnavailable
from shared.jobs.messages import Record
from shared.process_exit import run_and_exit
from shared.settings.common import load
from shared.store.chosen import chosen_store
from shared.store.records import Records
from shared.telemetry import logs
from shared.temporal.client import answer, connect
from shared.temporal.namespace import see_all

# Each question replays a history on a worker; more at once would hold up the jobs that run.
AT_ONCE = 4


class Exit(IntEnum):
    """The statuses that every command of the stack ends with."""

    GOOD = 0
    LEFT = 1
    UNREACHABLE = 3


class RecordState(StrEnum):
    """What a job's record was like."""

    GOOD = "good"
    MISSING = "missing"
    DAMAGED = "damaged"
    BEHIND = "behind"
    LOST = "lost"
    FORGOTTEN = "forgotten"


Say = Callable[[str], None]


class Rebuild:
    """One pass over all jobs that Temporal knows, and over the files that it doesn't."""

    def __init__(
        self, records: Records, temporal: Temporal, say: Say, *, retention: Retention
    ) -> None:
        self._records = records
        self._retention = retention
        self._temporal = temporal
        self._say = say
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> Exit:
        """Do it and tell of it; TemporalUnavailable where nobody can be asked."""
        known = await self._temporal.job_ids()
        # A job that began since the list was read counts as unknown, and its record is whole.
        unknown = await asyncio.to_thread(set, self._records.job_ids()) - known
        found = Counter(
            await asyncio.gather(
                *(self._examine(job_id) for job_id in sorted(known)),
                *(self._examine_unknown(job_id) for job_id in sorted(unknown)),
            )
        )
        self._sum_up(found, await asyncio.to_thread(self._records.forget_partials))
        return Exit.LEFT if found[RecordState.LOST] else Exit.GOOD

    async def _examine(self, job_id: str) -> RecordState:
        present = await asyncio.to_thread(self._records.read, job_id)
        if present is not None and present.status.ended:
            return RecordState.GOOD
        async with self._at_once:
            return await self._compare(job_id, present)

    async def _compare(self, job_id: str, present: Record | None) -> RecordState:
        """A record that isn't known to be the last one, beside what the workflow says."""
        try:
            there = await self._temporal.describe(job_id)
            if present is None and there is not None and self._retention.past(there.close_time):
                return RecordState.FORGOTTEN
            record = None if there is None else await from_workflow(self._temporal, there)
        except (RPCError, WorkflowQueryFailedError) as error:
            self._say(f"{job_id}: can't be made again: {error}")
            return RecordState.LOST
        found = RecordState.BEHIND if present else await self._missing_or_damaged(job_id)
        if record is None or not await asyncio.to_thread(self._records.write, record):
            return RecordState.GOOD
        self._say(f"{job_id}: was {found}, is {record.status} in version {record.version}")
        return found

    async def _missing_or_damaged(self, job_id: str) -> RecordState:
        there = await asyncio.to_thread(self._records.known, job_id)
        return RecordState.DAMAGED if there else RecordState.MISSING

    async def _examine_unknown(self, job_id: str) -> RecordState:
        """A file of a job that Temporal has forgotten, or never knew."""
        if await asyncio.to_thread(self._records.read, job_id) is not None:
            return RecordState.GOOD
        self._say(f"{job_id}: damaged, and Temporal does not know it any more")
        return RecordState.LOST

    def _sum_up(self, found: Counter[RecordState], removed: int) -> None:
        restored = {
            kind: found[kind]
            for kind in (RecordState.MISSING, RecordState.DAMAGED, RecordState.BEHIND)
        }
        said = ", ".join(f"{count} {kind}" for kind, count in restored.items() if count)
        self._say(
            f"{found.total()} jobs: {sum(restored.values())} records restored"
            + (f" ({said})" if said else "")
            + f", {found[RecordState.GOOD]} were good"
            + (
                f", {found[RecordState.FORGOTTEN]} are past RETENTION_DAYS"
                if found[RecordState.FORGOTTEN]
                else ""
            )
            + (f", {found[RecordState.LOST]} can't be restored" if found[RecordState.LOST] else "")
        )
        if removed:
            self._say(f"{removed} half-written files removed")


async def rebuild(settings: ApiSettings, client: Client, say: Say) -> Exit:
    """The whole pass; one line and its status where Temporal or a worker doesn't answer, or where
    Temporal is not ready for us."""
    retention = Retention(settings.retention_days)
    records = Records(chosen_store(settings), namespace=client.namespace)
    work = Rebuild(records, Temporal(client), say, retention=retention)
    try:
        await answer(see_all(client))
        return await work.run()
    except TemporalRefuses as refused:
        say(f"temporal: {refused.message}")
        return Exit.UNREACHABLE
    except TemporalUnavailable:
        say("Temporal, or a worker that answers for the jobs, is away; make ps")
        return Exit.UNREACHABLE
    except OSError as error:
        say(f"the records can't be written: {error}")
        return Exit.LEFT


async def _main(settings: ApiSettings) -> Exit:
    return await rebuild(settings, await connect(settings.payload_keys, lazy=True), _print)


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """By the API's own settings."""
    settings = load(ApiSettings)
    logs.configure(service="api", level="ERROR", form=settings.log_format)
    return asyncio.run(_main(settings))


if __name__ == "__main__":
    run_and_exit(lambda: sys.exit(main()))
