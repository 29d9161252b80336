"""The API's messages beside Job and SlotView.

Input is strict: an unknown field is an error, because it may be a mistake.
"""

import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Header
from pydantic import (
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)
from pydantic_core import InitErrorDetails

from shared.jobs.genvideo import GENVIDEO, GenVideoInput, Style
from shared.jobs.messages import Job, Message
from shared.pipeline.definition import Definition, JobInput
from shared.semaphore.messages import RunId, SlotChange

# Spaces, separators, controls, formats such as U+200B, and marks that need a letter before them.
_BLANK_CATEGORIES = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf", "Mn", "Me"})
# Letters and a symbol that Unicode draws as nothing: the fillers, and Braille's blank.
_BLANK_CHARACTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")


MAX_PAGE = 1000
DEFAULT_PAGE = 100

STRICT = ConfigDict(extra="forbid")

_Key = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]
IdempotencyKey = Annotated[
    _Key | None,
    Header(
        description="The same key and body give the same job; 1 to 200 visible ASCII characters.",
    ),
]


class JobOrder(GenVideoInput):
    """A caller's order. Priority 1 is served first, 5 last, as with Temporal's own keys.

    For another `pipeline` of PIPELINES the fields are those of its own input.
    """

    model_config = STRICT

    pipeline: str = GENVIDEO.name
    style: Style = ""

    @field_validator("prompt")
    @classmethod
    def _is_visible(cls, prompt: str) -> str:
        visible = (each for each in prompt if each not in _BLANK_CHARACTERS)
        if all(unicodedata.category(each) in _BLANK_CATEGORIES for each in visible):
            raise ValueError("It needs at least one visible character.")
        return prompt

    def input(self) -> GenVideoInput:
        return GenVideoInput.model_validate(self.model_dump())


class SlotOrder(SlotChange):
    """The body of `PUT /slots`."""

    model_config = STRICT


class FreeOrder(Message):
    """The body of `POST /slots/{name}/free`: the run whose drain is given up."""

    model_config = STRICT

    run_id: RunId


# A pipeline, and what a job of it is started with.
Ordered = tuple[Definition, JobInput]


def reader_of(known: Mapping[str, Definition]) -> WrapValidator:
    """Return what reads the body of `POST /jobs` by its pipeline and names each mistake."""

    def read(body: Any, as_genvideo: ValidatorFunctionWrapHandler) -> Ordered:
        name = body.get("pipeline", GENVIDEO.name) if isinstance(body, dict) else GENVIDEO.name
        if name == GENVIDEO.name:
            return GENVIDEO, as_genvideo(body).input()
        pipeline = known.get(name) if isinstance(name, str) else None
        if pipeline is None:
            wrong = ValueError(f"It must be one of {', '.join(known)}.")
            mistake = InitErrorDetails(
                type="value_error", loc=("pipeline",), input=name, ctx={"error": wrong}
            )
            raise ValidationError.from_exception_data("JobOrder", [mistake])
        given = {field: value for field, value in body.items() if field != "pipeline"}
        return pipeline, pipeline.input.model_validate(given, extra="forbid")

    return WrapValidator(read)


class Accepted(Message):
    """A job was accepted: where to look at it, and where to listen."""

    job_id: str
    status_url: str
    events_url: str
    ws_url: str


class JobList(Message):
    """One page of jobs, newest first; `next_cursor` is null on the last one.

    `change`: the last change of any job by then, from which `/ws/jobs` continues. It is an opaque
    name.
    """

    jobs: list[Job]
    next_cursor: str | None
    change: str = ""
