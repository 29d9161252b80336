"""The pipeline `speech`, as the services outside its worker know it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

from shared.pipeline.callbacks import Reported, TaskStatus, VendorId
from shared.pipeline.definition import Definition, FileKind, JobInput, Stage


class SpeechInput(JobInput):
    """What a job is started with."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=2500, pattern=r"^[^\x00]*$")]

    @property
    def title(self) -> str:
        return self.text


class Callback(BaseModel):
    """The vendor's body; `reference` is our id, `at` in ms since 1970."""

    id: VendorId
    reference: VendorId | None = None
    state: Literal["waiting", "reading", "done", "failed"]
    at: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    error: str | None = None


STATES = {
    "waiting": TaskStatus.SUBMITTED,
    "reading": TaskStatus.PROCESSING,
    "done": TaskStatus.SUCCEED,
    "failed": TaskStatus.FAILED,
}


def read(body: Any) -> Reported:
    """What a callback says, bare or inside `{data: …}`."""
    if isinstance(body, dict) and "id" not in body and isinstance(body.get("data"), dict):
        body = body["data"]
    found = Callback.model_validate(body)
    return Reported(
        task_id=found.id,
        task_status=STATES[found.state],
        updated_at=found.at,
        message=found.error or "",
        external_id=found.reference,
    )


READ = Stage(
    name="speech",
    file=FileKind("WAV", "wav", "audio/wav"),
    vendor="speech",
    deadline=120,
    give_up=3600,
    callback="speech",
)
SPEECH = Definition(
    name="speech",
    workflow="SpeechWorkflow",
    input=SpeechInput,
    stages=(READ,),
    readers={"speech": read},
)
