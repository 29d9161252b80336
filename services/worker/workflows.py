"""GenVideoWorkflow: an image of the prompt, then a video of the image, one job at a time."""

from temporalio import workflow

from shared.jobs.genvideo import GENVIDEO, IMAGE, VIDEO, GenVideoInput
from shared.jobs.messages import Progress
from shared.jobs.states import OnVideoFailure
from shared.pipeline.cancellation import Degraded
from shared.pipeline.pipeline import Pipeline
from shared.pipeline.starting import StageFailed


@workflow.defn(name=GENVIDEO.workflow)
class GenVideoWorkflow(Pipeline[GenVideoInput]):
    """Queue, image, video, end; the signal `kling_done` reports the video's callback."""

    definition = GENVIDEO

    @workflow.init
    def __init__(self, job: GenVideoInput) -> None:
        super().__init__(job)

    @workflow.run
    async def run(self, job: GenVideoInput) -> Progress:
        return await self.until_ended()

    async def stages(self, job: GenVideoInput) -> None:
        """Make image and video; a job that allows it ends with its image if the video can't be
        made."""
        await self.make(IMAGE, prompt=job.prompt, style=job.style)
        try:
            await self.make(VIDEO, prompt=job.prompt)
        except StageFailed as failure:
            if job.on_video_failure is not OnVideoFailure.IMAGE:
                raise
            raise Degraded("ended with the image alone", failure) from failure
