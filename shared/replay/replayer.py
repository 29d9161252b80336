"""The SDK's replayer, with each run under its own id, which it has at a worker as well."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from temporalio.api.enums.v1 import WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer, WorkflowReplayResult

RESET = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW


class OwnRunReplayer(Replayer):
    """The SDK's takes a run's id from the first event, and that of a reset run names the run that
    was reset first."""

    def workflow_replay_iterator(
        self, histories: AsyncIterator[WorkflowHistory]
    ) -> AbstractAsyncContextManager[AsyncIterator[WorkflowReplayResult]]:
        """As the SDK's; `replay_workflow` and `replay_workflows` come here, too."""
        return super().workflow_replay_iterator(_as_its_own(each) async for each in histories)


def _as_its_own(history: WorkflowHistory) -> WorkflowHistory:
    first, *others = history.events
    for event in others:
        failed = event.workflow_task_failed_event_attributes
        if failed.cause == RESET:
            first = _begun_as(failed.new_run_id, first)
    return replace(history, events=[first, *others])


def _begun_as(run_id: str, first: HistoryEvent) -> HistoryEvent:
    begun = HistoryEvent()
    begun.CopyFrom(first)
    begun.workflow_execution_started_event_attributes.original_execution_run_id = run_id
    return begun
