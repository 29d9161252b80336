"""The semaphore's activities as its workflow starts them: limits and retries."""

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from .messages import (
        CleanUp,
        Drain,
        Holder,
        Recall,
        drain_id,
    )
    from .state import (
        DRAIN_HOLD_SECONDS,
        FIND_JOBS,
        SEMAPHORE_RULES,
        WATCH_RUN,
        SemaphoreRules,
        Watch,
    )

# The server takes 400 bytes; a character has up to four.
SUMMARY_LENGTH = 80
# A watch and a drain have their own bounds, in the settings of job and worker.
FOR_EVER = timedelta(days=3650)
RETRY_POLICY = RetryPolicy(
    initial_interval=timedelta(milliseconds=100), maximum_interval=timedelta(seconds=2)
)
RULES_TIMEOUT = timedelta(seconds=5)
REBUILD_TIMEOUT = timedelta(minutes=5)

# The workflow validates the result, because an operator can complete an activity with anything.
Handle = workflow.ActivityHandle[Any]


def rules() -> Handle:
    """Return the rules of the current process."""
    return workflow.start_activity(
        SEMAPHORE_RULES,
        summary="the rules of the process at work",
        start_to_close_timeout=RULES_TIMEOUT,
        retry_policy=RETRY_POLICY,
    )


def find_jobs(given: SemaphoreRules) -> Handle:
    """Return holders and waiters, by Temporal's data."""
    return workflow.start_activity(
        FIND_JOBS,
        summary="rebuild from the runs",
        start_to_close_timeout=REBUILD_TIMEOUT,
        # The next process ends the tries of the one before, so a stall needs no restart.
        heartbeat_timeout=timedelta(seconds=given.watch_seconds),
        retry_policy=RETRY_POLICY,
    )


def open_records(recall: Recall, given: SemaphoreRules) -> Handle:
    """Return the runs of open records; needs a worker of those records."""
    return workflow.start_activity(
        recall.activity,
        task_queue=recall.task_queue,
        summary="Temporal remembers no semaphore: which records are open?",
        # Enough for any number of records.
        start_to_close_timeout=FOR_EVER,
        heartbeat_timeout=timedelta(seconds=given.beat_seconds),
        retry_policy=RETRY_POLICY,
    )


def watch(request: Watch, given: SemaphoreRules) -> Handle:
    """Signal the permit, and return how the run has closed, once it has."""
    return workflow.start_activity(
        WATCH_RUN,
        request,
        summary=summary(f"grant to {request.run.job_id}, and watch it until it closes"),
        start_to_close_timeout=FOR_EVER,
        heartbeat_timeout=timedelta(seconds=given.watch_seconds),
        retry_policy=RETRY_POLICY,
    )


def drain(holder: Holder, clean_up: CleanUp, given: SemaphoreRules) -> Handle:
    """Return when nothing of a run acts any more."""
    request = holder.request
    return workflow.start_activity(
        clean_up.activity,
        Drain(
            job_id=request.job_id,
            run_id=request.run_id,
            hold_seconds=DRAIN_HOLD_SECONDS,
            closed=holder.drain,
            since=holder.drains_since,
        ),
        task_queue=clean_up.task_queue,
        activity_id=drain_id(request.run_id),
        summary=summary(f"clear up after {request.job_id}"),
        start_to_close_timeout=FOR_EVER,
        heartbeat_timeout=timedelta(seconds=given.beat_seconds),
        retry_policy=RETRY_POLICY,
    )


def summary(text: str) -> str:
    """Return a short line for the Temporal UI."""
    line = " ".join(text.split())
    return line if len(line) <= SUMMARY_LENGTH else line[: SUMMARY_LENGTH - 1] + "…"
