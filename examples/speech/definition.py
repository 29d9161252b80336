"""The pipeline `speech`, as the services outside its worker know it."""

from typing import Annotated

from pydantic import StringConstraints

from shared.pipeline.definition import Definition, FileKind, JobInput, Stage


class SpeechInput(JobInput):
    """What a job is started with."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=2500, pattern=r"^[^\x00]*$")]

    @property
    def title(self) -> str:
        return self.text

    @property
    def details(self) -> str:
        return f"Reads a text aloud. {super().details}"


READ = Stage(
    name="speech",
    file=FileKind("WAV", "wav", "audio/wav"),
    vendor="speech",
    deadline=120,
    give_up=3600,
    called_back=True,
)
SPEECH = Definition(
    name="speech",
    workflow="SpeechWorkflow",
    input=SpeechInput,
    stages=(READ,),
)
