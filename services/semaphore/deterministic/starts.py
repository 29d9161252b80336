"""The activities of the semaphore as its workflow starts them: their limits and retries."""

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from services.semaphore.models import (
        DRAIN_HOLD_SECONDS,
        FIND_JOBS,
        SEMAPHORE_RULES,
        WATCH_RUN,
        Ended,
        Found,
        SemaphoreRules,
        Watch,
    )
    from shared.slot.messages import DRAIN_ACTIVITY, Closed, Drain, RunRef
    from shared.temporal.client import GENVIDEO_QUEUE
    from shared.temporal.pace import Times

# A watch and a clean-up bound themselves, by the job's and the worker's settings.
FOR_EVER = timedelta(days=3650)
RETRY_POLICY = RetryPolicy(
    initial_interval=timedelta(milliseconds=100), maximum_interval=timedelta(seconds=2)
)
RULES_TIMEOUT = timedelta(seconds=5)
REBUILD_TIMEOUT = timedelta(minutes=5)


def rules() -> workflow.ActivityHandle[SemaphoreRules]:
    """The rules of the process at work."""
    return workflow.start_activity(
        SEMAPHORE_RULES,
        result_type=SemaphoreRules,
        summary="the rules of the process at work",
        start_to_close_timeout=RULES_TIMEOUT,
        retry_policy=RETRY_POLICY,
    )


def find_jobs(times: Times) -> workflow.ActivityHandle[Found]:
    """Who holds and who waits, as Temporal tells."""
    return workflow.start_activity(
        FIND_JOBS,
        result_type=Found,
        summary="rebuild from the running jobs",
        start_to_close_timeout=REBUILD_TIMEOUT,
        # The next process ends the tries of the one before; a stall costs no new beginning.
        heartbeat_timeout=times.watch,
        retry_policy=RETRY_POLICY,
    )


def watch(request: Watch, times: Times) -> workflow.ActivityHandle[Ended]:
    """How a run has closed, once it has."""
    return workflow.start_activity(
        WATCH_RUN,
        request,
        result_type=Ended,
        summary=f"watch {request.run.job_id} until it closes",
        start_to_close_timeout=FOR_EVER,
        heartbeat_timeout=times.watch,
        retry_policy=RETRY_POLICY,
    )


def drain(
    run: RunRef, closed: Closed, times: Times, *, since: datetime
) -> workflow.ActivityHandle[None]:
    """Done when nothing of a killed run acts any more, at its worker or at a vendor."""
    return workflow.start_activity(
        DRAIN_ACTIVITY,
        Drain(
            job_id=run.job_id,
            run_id=run.run_id,
            hold_seconds=DRAIN_HOLD_SECONDS,
            close_code=closed.value,
            since=since,
        ),
        task_queue=GENVIDEO_QUEUE,
        summary=f"clear the vendors after {run.job_id}",
        start_to_close_timeout=FOR_EVER,
        heartbeat_timeout=times.work,
        retry_policy=RETRY_POLICY,
    )
