"""The table of all faults: the point of a generation's life, the name, a sentence, the members.

A new kind is a row here, and a `case` where it is carried out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from services.mock_core.clock import Delay, DelaySpec


class Where(StrEnum):
    """The points of a generation's life."""

    SUBMIT = "submit"
    START = "start"
    POLL = "poll"
    PROGRESS = "progress"
    RESULT = "result"
    CALLBACK = "callback"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault. `members` are its parameters, which a rule gives under `with`; `service` is
    set if only one service has it."""

    where: Where
    do: str
    says: str
    members: type[BaseModel]
    service: str | None

    @property
    def name(self) -> str:
        return f"{self.where}.{self.do}"


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind with the members of one rule."""

    kind: Kind
    members: BaseModel


@dataclass(frozen=True, slots=True)
class Hit:
    """A fault that happens now; its lengths of time are drawn at `quantile`, in seconds."""

    fault: Fault
    quantile: float
    rule: str
    members: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.fault.kind.name

    def __getitem__(self, member: str) -> Any:
        return self.members[member]


def _kind(
    name: str, says: str, /, *, service: Literal["image", "video"] | None = None, **members: Any
) -> Kind:
    """Return a row; `members` are pairs of a type and a default."""
    where, _, do = name.partition(".")
    config = ConfigDict(frozen=True, extra="forbid")
    return Kind(Where(where), do, says, create_model(name, __config__=config, **members), service)


def _whole(low: int, high: int) -> Any:
    return Annotated[int, Field(ge=low, le=high)]


def _percent(default: int) -> Any:
    return _whole(0, 100), default


_Nominal = Annotated[float, Field(ge=0, le=10_000_000)]
_Address = Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=2048)]
_Status = Literal["processing", "succeed", "failed"]
_HERE = "http://169.254.169.254/latest/meta-data/"
_FAILED = (str, "generation failed")
# `code` is enough if the vendor's table gives the HTTP status.
_REFUSE: dict[str, Any] = {
    "status": (_whole(400, 599) | None, None),
    "code": (int | str | None, None),
    "message": (str | None, None),
    "retry_after": (Annotated[int, Field(ge=0)] | None, None),
}
# Without `seconds` the request stays open until the caller goes away.
_HANG: dict[str, Any] = {"seconds": (Delay | None, None)}
_LATE: dict[str, Any] = {"seconds": (Delay, DelaySpec("fixed", 30))}
_DRIP: dict[str, Any] = {
    "seconds": (Delay, DelaySpec("fixed", 1000)),
    "drops": (_whole(2, 1000), 10),
}
_CUT: dict[str, Any] = {"keep": (Annotated[float, Field(ge=0, lt=1)], 0.5)}
_TYPE: dict[str, Any] = {
    "content_type": (Annotated[str, Field(pattern=r"^[\w.+-]+/[\w.+-]+$")], "text/html")
}

# By name; those of one point in the order of the documentation.
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        _kind("submit.refuse", "answers with an error; nothing is accepted", **_REFUSE),
        _kind("submit.reset", "resets the connection; nothing is accepted"),
        _kind("submit.hang", "never answers, or 504 after `seconds`; nothing is accepted", **_HANG),
        _kind(
            "submit.quota",
            "1302 with Retry-After after `submits` in `seconds`",
            submits=(_whole(0, 1_000_000), 10),
            seconds=(_Nominal, 60.0),
            retry_after=(Annotated[int, Field(ge=0)], 1),
        ),
        _kind(
            "submit.pool",
            "1303 while `places` generations are open",
            places=(_whole(0, 100_000), 1),
        ),
        # Positive: the vendor's clock is ahead, so that tokens look expired.
        _kind(
            "submit.skew",
            "judges the caller's token by a clock that is `seconds` off: 1003 or 1004",
            service="video",
            seconds=(Annotated[float, Field(ge=-1e9, le=1e9)], 3600.0),
        ),
        _kind("submit.delay", "accepts at once, answers `seconds` later", **_LATE),
        # `how` is what the caller sees instead of the reply.
        _kind(
            "submit.lose-reply",
            "accepts and works, but the reply is lost",
            how=(Literal["reset", "hang", "504", "500", "garbage"], "reset"),
        ),
        # `held`: the reply itself, once the task is accepted.
        _kind(
            "submit.accept-late",
            "the reply is lost or held, and the task accepted only `seconds` later",
            **_LATE,
            how=(Literal["reset", "hang", "504", "500", "garbage", "held"], "reset"),
        ),
        _kind(
            "submit.reply-after-callback",
            "answers only once the callback of `status` has been sent",
            service="video",
            status=(_Status, "processing"),
            within=(_Nominal, 1000.0),
        ),
        _kind(
            "start.fail", "the generation fails at a percentage", at=_percent(50), message=_FAILED
        ),
        _kind(
            "start.out-of-memory",
            "the generation fails at a percentage, because the GPU's memory is full",
            service="image",
            at=_percent(50),
        ),
        _kind(
            "start.slow",
            "the generation takes `factor` times as long plus `extra`",
            factor=(Annotated[float, Field(gt=0, le=10_000)], 3.0),
            extra=(Delay, DelaySpec("fixed", 0)),
        ),
        _kind("start.never-start", "accepted and never started"),
        _kind("start.stick", "runs up to a percentage and never ends", at=_percent(99)),
        _kind(
            "start.vanish",
            "the vendor forgets the generation at a percentage, as after a restart",
            at=_percent(99),
        ),
        _kind("poll.refuse", "a status call is answered with an error", **_REFUSE),
        _kind("poll.reset", "a status call's connection is reset"),
        _kind("poll.hang", "a status call is never answered, or 504 after `seconds`", **_HANG),
        _kind("poll.forget", "a status call says that there is no such job"),
        _kind("poll.delay", "a status call is answered late", **_LATE),
        _kind("poll.garbage", "a status call is answered with a page, not JSON"),
        _kind("poll.truncate", "the answer's JSON is cut to a share", **_CUT),
        _kind(
            "progress.backwards",
            "from `at` percent on, `polls` answers say queued and `to` percent",
            at=_percent(50),
            to=_percent(0),
            polls=(_whole(1, 1_000_000), 1),
        ),
        _kind(
            "progress.freeze",
            "the reported percentage stays at `at` until the end",
            at=_percent(99),
        ),
        _kind(
            "progress.absurd",
            "the reported percentage is invalid",
            percent=(int | float | str | None, 250),
        ),
        _kind(
            "progress.unknown-state",
            "the reported state is unknown",
            word=(Annotated[str, Field(min_length=1, max_length=100)], "reviewing"),
        ),
        # Nominal seconds after the end until the address is reported; without them it never is.
        _kind(
            "progress.no-url",
            "success is reported without an address of the file, for good or for `seconds`",
            seconds=(_Nominal | None, None),
        ),
        _kind("progress.relapse", "after success the status says failed", message=_FAILED),
        _kind("result.refuse", "the file is refused (404 by default)", **_REFUSE),
        _kind(
            "result.expire",
            "the address stops working `seconds` after the end",
            seconds=(_Nominal, 0.0),
            status=(Literal[403, 404, 410], 403),
        ),
        _kind(
            "result.redirect",
            "the address leads to another, internal one",
            to=(_Address, _HERE),
            status=(Literal[301, 302, 303, 307, 308], 302),
        ),
        _kind("result.hang", "the file is never sent, or 504 after `seconds`", **_HANG),
        _kind("result.delay", "the file is sent late", **_LATE),
        _kind("result.drip", "the file is sent in drops over `seconds`", **_DRIP),
        _kind("result.reset", "the connection is reset in the middle of the file"),
        _kind("result.truncate", "the file is cut to a share, as if it were whole", **_CUT),
        _kind("result.empty", "the file is empty"),
        _kind("result.corrupt", "the file has the right length and wrong bytes"),
        _kind("result.swap", "the file of another job is sent"),
        _kind("result.wrong-type", "the file has another content type", **_TYPE),
        _kind("callback.lose", "the callback is never sent"),
        _kind(
            "callback.repeat",
            "the callback is sent several times",
            times=(_whole(2, 1000), 2),
            gap=(Delay, DelaySpec("fixed", 0)),
        ),
        _kind("callback.delay", "the callback is sent late, and delays no other", **_LATE),
        _kind("callback.hold", "the callback is sent after the job's next one"),
        # Without any status call it is sent after `within` nominal seconds.
        _kind(
            "callback.after-poll",
            "the callback is sent once a status call has reported the end",
            seconds=(Delay, DelaySpec("fixed", 0)),
            within=(_Nominal, 10_000.0),
        ),
        _kind("callback.unknown-job", "the callback names an unknown job"),
        _kind("callback.other-job", "the callback is about another job"),
        _kind("callback.contradict", "failed is reported as succeed, every other state as failed"),
        _kind(
            "callback.token",
            "the address carries a wrong, old or no token",
            how=(Literal["wrong", "missing", "stale"], "wrong"),
        ),
        _kind("callback.envelope", "the body is wrapped in {code, message, data}"),
        _kind("callback.truncate", "the body is cut to a share, as if it were whole", **_CUT),
        _kind(
            "callback.oversize",
            "the body is padded to `bytes`",
            bytes=(_whole(1, 16_000_000), 300_000),
        ),
        _kind("callback.garbage", "the body is not JSON"),
        _kind("callback.wrong-type", "the body has another content type", **_TYPE),
        _kind("callback.drip", "the body is sent in drops over `seconds`", **_DRIP),
        # Nominal seconds before each attempt; `heed` ends the schedule at the first 2xx.
        _kind(
            "callback.resend",
            "the callback is sent again on a schedule that heeds or ignores the reply",
            schedule=(
                Annotated[tuple[_Nominal, ...], Field(min_length=1, max_length=50)],
                (0, 5, 300),
            ),
            heed=(bool, True),
        ),
    )
}
