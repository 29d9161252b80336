"""Finds the process that works for a job and kills it; it must be a worker, or nothing is done."""

import asyncio
import os
import signal
import time
from pathlib import Path

from temporalio.api.enums.v1 import EventType, PendingActivityState
from temporalio.client import Client

from shared.temporal.client import KLING_DONE_SIGNAL

WORKER = "services.worker"


class NoWorker(Exception):
    """The process that was found is no worker of this machine."""


async def worker_of(client: Client, job_id: str, activity: str) -> int:
    """The process that runs an activity of this job; waits until there is one."""
    handle = client.get_workflow_handle(job_id)
    while True:
        described = (await handle.describe()).raw_description
        for pending in described.pending_activities:
            started = pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
            if pending.activity_type.name == activity and started:
                return process_of(pending.last_worker_identity)
        await asyncio.sleep(0.01)


async def called_back(client: Client, job_id: str) -> int:
    """The process at the workflow task that tells a job of its callback; waits for it."""
    told = False
    history = client.get_workflow_handle(job_id).fetch_history_events(wait_new_event=True)
    async for event in history:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            signal_name = event.workflow_execution_signaled_event_attributes.signal_name
            told = told or signal_name == KLING_DONE_SIGNAL
        elif told and event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED:
            return process_of(event.workflow_task_started_event_attributes.identity)
    raise NoWorker(f"{job_id} ended without a callback")


def process_of(identity: str) -> int:
    """The process id in the identity that the SDK gives a worker by default: `pid@host`."""
    number, _, _ = identity.partition("@")
    if not number.isdecimal():
        raise NoWorker(f"the worker calls itself {identity!r}, which names no process")
    return int(number)


def kill(pid: int) -> float:
    """SIGKILL to a worker; the instant before it."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError as error:
        raise NoWorker(f"process {pid} is not there: {error.strerror}") from None
    if WORKER.encode() not in words:
        raise NoWorker(f"process {pid} is not one of {WORKER}")
    at = time.time()
    os.kill(pid, signal.SIGKILL)
    return at
