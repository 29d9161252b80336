"""What each kind of fault can be told under `with`; unknown members are refused."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.mock_core.delays import Delay, DelaySpec

Percent = Annotated[int, Field(ge=0, le=100)]
Share = Annotated[float, Field(ge=0, lt=1)]


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Nothing(Params):
    """Takes no members."""


class Refuse(Params):
    """`code` alone is enough where the vendor's table gives the HTTP status."""

    status: Annotated[int, Field(ge=400, le=599)] | None = None
    code: int | str | None = None
    message: str | None = None
    retry_after: Annotated[int, Field(ge=0)] | None = None


class Wait(Params):
    seconds: Delay = DelaySpec("fixed", 30)


class Hang(Params):
    """Without `seconds` the request stays open until the caller goes away."""

    seconds: Delay | None = None


class LoseReply(Params):
    """How the reply goes missing after the work was accepted."""

    how: Literal["reset", "hang", "504", "500"] = "reset"


class Fail(Params):
    at: Percent = 50
    message: str = "generation failed"


class Slow(Params):
    factor: Annotated[float, Field(gt=0, le=10_000)] = 3.0
    extra: Delay = DelaySpec("fixed", 0)


class At(Params):
    at: Percent = 99


class Truncate(Params):
    keep: Share = 0.5


class WrongType(Params):
    content_type: Annotated[str, Field(pattern=r"^[\w.+-]+/[\w.+-]+$")] = "text/html"


class Repeat(Params):
    times: Annotated[int, Field(ge=2, le=1000)] = 2
    gap: Delay = DelaySpec("fixed", 0)
