"""The pipeline `genvideo`: an image of a prompt, then a video of the image."""

from typing import Annotated

from pydantic import StringConstraints

from shared.jobs.states import OnVideoFailure
from shared.pipeline.definition import PRINTABLE, Definition, FileKind, JobInput, Stage

Prompt = Annotated[str, StringConstraints(min_length=1, max_length=2500, pattern=r"^[^\x00]*$")]
Style = Annotated[str, StringConstraints(max_length=200, pattern=PRINTABLE)]


class GenVideoInput(JobInput):
    """The input of a genvideo job."""

    prompt: Prompt
    style: Style
    on_video_failure: OnVideoFailure = OnVideoFailure.FAIL

    @property
    def title(self) -> str:
        return self.prompt

    @property
    def details(self) -> str:
        ends = "it ends with its image" if self.on_video_failure == "image" else "it fails"
        return (
            "Makes an image of the prompt, then a video of the image. "
            f"{super().details} If the video can't be made, {ends}."
        )


IMAGE = Stage(
    name="image",
    file=FileKind("PNG", "png", "image/png"),
    vendor="image",
    deadline=300,
    give_up=3600,
)
VIDEO = Stage(
    name="video",
    file=FileKind("MP4", "mp4", "video/mp4"),
    vendor="video",
    deadline=900,
    give_up=4 * 3600,
    lost=300,
    callback="kling",
    points=34,
)
GENVIDEO = Definition(
    name="genvideo",
    workflow="GenVideoWorkflow",
    input=GenVideoInput,
    stages=(IMAGE, VIDEO),
    done="kling_done",
)
