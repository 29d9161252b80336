"""A release whose jobs begin with something else: what an older one has begun doesn't replay."""

import asyncio

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from services.worker.workflows import GenVideoWorkflow
    from shared.jobs.messages import JobInput, Progress
    from shared.temporal.client import GENVIDEO_WORKFLOW


@workflow.defn(name=GENVIDEO_WORKFLOW)
class ChangedWorkflow(GenVideoWorkflow):
    """It takes a breath before anything else."""

    @workflow.init
    def __init__(self, job: JobInput) -> None:
        super().__init__(job)

    @workflow.run
    async def run(self, job: JobInput) -> Progress:
        """The same, a moment later."""
        await asyncio.sleep(0.01)
        return await super().run(job)
