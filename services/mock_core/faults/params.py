"""What each kind of fault can be told under `with`; unknown members are refused."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.mock_core.lib.delays import Delay, DelaySpec

Percent = Annotated[int, Field(ge=0, le=100)]
Share = Annotated[float, Field(ge=0, lt=1)]
Nominal = Annotated[float, Field(ge=0, le=10_000_000)]


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


class Quota(Params):
    submits: Annotated[int, Field(ge=0, le=1_000_000)] = 10
    seconds: Nominal = 60.0
    retry_after: Annotated[int, Field(ge=0)] = 1


class Pool(Params):
    places: Annotated[int, Field(ge=0, le=100_000)] = 1


class Skew(Params):
    """Positive: the vendor's clock is ahead, so that tokens look expired."""

    seconds: Annotated[float, Field(ge=-1e9, le=1e9)] = 3600.0


class LoseReply(Params):
    """How the reply goes missing after the work was accepted."""

    how: Literal["reset", "hang", "504", "500", "garbage"] = "reset"


class AcceptLate(Params):
    """What the caller sees meanwhile; `held`: the reply itself, once the task is accepted."""

    seconds: Delay = DelaySpec("fixed", 30)
    how: Literal["reset", "hang", "504", "500", "garbage", "held"] = "reset"


class AfterCallback(Params):
    status: Literal["processing", "succeed", "failed"] = "processing"
    within: Nominal = 1000.0


class Fail(Params):
    at: Percent = 50
    message: str = "generation failed"


class Slow(Params):
    factor: Annotated[float, Field(gt=0, le=10_000)] = 3.0
    extra: Delay = DelaySpec("fixed", 0)


class At(Params):
    at: Percent = 99


class Backwards(Params):
    at: Percent = 50
    to: Percent = 0
    polls: Annotated[int, Field(ge=1, le=1_000_000)] = 1


class Absurd(Params):
    percent: int | float | str | None = 250


class UnknownState(Params):
    word: Annotated[str, Field(min_length=1, max_length=100)] = "reviewing"


class NoUrl(Params):
    """Nominal seconds after the end from which on the address is told; without them it never is."""

    seconds: Nominal | None = None


class Relapse(Params):
    message: str = "generation failed"


class Truncate(Params):
    keep: Share = 0.5


class Drip(Params):
    """`seconds` are nominal; the drops come evenly."""

    seconds: Delay = DelaySpec("fixed", 1000)
    drops: Annotated[int, Field(ge=2, le=1000)] = 10


class WrongType(Params):
    content_type: Annotated[str, Field(pattern=r"^[\w.+-]+/[\w.+-]+$")] = "text/html"


class Redirect(Params):
    to: Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=2048)] = (
        "http://169.254.169.254/latest/meta-data/"
    )
    status: Literal[301, 302, 303, 307, 308] = 302


class Expire(Params):
    seconds: Nominal = 0.0
    status: Literal[403, 404, 410] = 403


class Repeat(Params):
    times: Annotated[int, Field(ge=2, le=1000)] = 2
    gap: Delay = DelaySpec("fixed", 0)


class AfterPoll(Params):
    """Without any status call the callback is sent after `within` nominal seconds."""

    seconds: Delay = DelaySpec("fixed", 0)
    within: Nominal = 10_000.0


class Token(Params):
    how: Literal["wrong", "missing", "stale"] = "wrong"


class Oversize(Params):
    bytes: Annotated[int, Field(ge=1, le=16_000_000)] = 300_000


class Resend(Params):
    """Nominal seconds before each try; `heed` ends the schedule at the first 2xx."""

    schedule: Annotated[tuple[Nominal, ...], Field(min_length=1, max_length=50)] = (0, 5, 300)
    heed: bool = True
