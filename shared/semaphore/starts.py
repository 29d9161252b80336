"""The semaphore's activities as its workflow starts them: limits and retries."""

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from .messages import CleanUp, Drain, Holder, Recall, drain_id
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
    return _start(SEMAPHORE_RULES, about="the rules of the process at work", limit=RULES_TIMEOUT)


def find_jobs(given: SemaphoreRules) -> Handle:
    """Return holders and waiters, by Temporal's data."""
    # The next process ends the tries of the one before, so a stall needs no restart.
    beats = given.watch_seconds
    return _start(FIND_JOBS, about="rebuild from the runs", beats=beats, limit=REBUILD_TIMEOUT)


def open_records(recall: Recall, given: SemaphoreRules) -> Handle:
    """Return the runs of open records; needs a worker of those records."""
    about = "Temporal remembers no semaphore: which records are open?"
    return _start(recall.activity, about=about, queue=recall.task_queue, beats=given.beat_seconds)


def watch(request: Watch, given: SemaphoreRules) -> Handle:
    """Signal the permit, and return how the run has closed, once it has."""
    about = f"grant to {request.run.job_id}, and watch it until it closes"
    return _start(WATCH_RUN, request, about=about, beats=given.watch_seconds)


def drain(holder: Holder, clean_up: CleanUp, given: SemaphoreRules) -> Handle:
    """Return when nothing of a run acts any more."""
    return _start(
        clean_up.activity,
        Drain(
            job_id=holder.run.job_id,
            run_id=holder.run.run_id,
            hold_seconds=DRAIN_HOLD_SECONDS,
            closed=holder.drain,
            since=holder.drains_since,
        ),
        about=f"clear up after {holder.run.job_id}",
        queue=clean_up.task_queue,
        beats=given.beat_seconds,
        activity_id=drain_id(holder.run.run_id),
    )


def _start(
    name: str,
    *arguments: object,
    about: str,
    queue: str | None = None,
    beats: float | None = None,
    limit: timedelta = FOR_EVER,
    activity_id: str | None = None,
) -> Handle:
    return workflow.start_activity(
        name,
        args=arguments,
        summary=summary(about),
        task_queue=queue,
        start_to_close_timeout=limit,
        heartbeat_timeout=None if beats is None else timedelta(seconds=beats),
        retry_policy=RETRY_POLICY,
        activity_id=activity_id,
    )


def summary(text: str) -> str:
    """Return a short line for the Temporal UI."""
    line = " ".join(text.split())
    return line if len(line) <= SUMMARY_LENGTH else line[: SUMMARY_LENGTH - 1] + "…"
