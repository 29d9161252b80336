"""SpeechWorkflow: one stage, on the slot that genvideo's jobs wait for as well."""

from temporalio import workflow

from examples.speech.definition import READ, SPEECH, SpeechInput
from shared.jobs.messages import Progress
from shared.pipeline.pipeline import Pipeline


@workflow.defn(name=SPEECH.workflow)
class SpeechWorkflow(Pipeline[SpeechInput]):
    """Queue, speech, end."""

    definition = SPEECH

    @workflow.init
    def __init__(self, job: SpeechInput) -> None:
        super().__init__(job)

    @workflow.run
    async def run(self, job: SpeechInput) -> Progress:
        return await self.until_ended()

    async def stages(self, job: SpeechInput) -> None:
        await self.make(READ, text=job.text)
