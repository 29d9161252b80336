"""The table of all faults: the point of a generation's life, the name, a sentence, the members.

A new kind is a row here, and a `case` where it is carried out.
"""

from collections.abc import Callable, Mapping
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
    says: str, /, *, service: Literal["image", "video"] | None = None, **members: Any
) -> Callable[[str], Kind]:
    """Return a row, which gets its name from the table; `members` are pairs of a type and a
    default."""

    def named(name: str) -> Kind:
        where, _, do = name.partition(".")
        config = ConfigDict(frozen=True, extra="forbid", strict=True)
        model = create_model(name, __config__=config, **members)
        return Kind(Where(where), do, says, model, service)

    return named


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
_LATE: dict[str, Any] = {"seconds": (Delay, DelaySpec(30))}
_CUT: dict[str, Any] = {"keep": (Annotated[float, Field(ge=0, lt=1)], 0.5)}
# Those of one point in the order of the documentation.
_TABLE: dict[str, Callable[[str], Kind]] = {
    "submit.refuse": _kind("answers with an error; nothing is accepted", **_REFUSE),
    "submit.reset": _kind("resets the connection; nothing is accepted"),
    "submit.hang": _kind("never answers, or 504 after `seconds`; nothing is accepted", **_HANG),
    "submit.delay": _kind("accepts at once, answers `seconds` later", **_LATE),
    # `how` is what the caller sees instead of the reply.
    "submit.lose-reply": _kind(
        "accepts and works, but the reply is lost",
        how=(Literal["reset", "hang", "504", "500", "garbage"], "reset"),
    ),
    # `held`: the reply itself, once the task is accepted.
    "submit.accept-late": _kind(
        "the reply is lost or held, and the task accepted only `seconds` later",
        **_LATE,
        how=(Literal["reset", "hang", "504", "500", "garbage", "held"], "reset"),
    ),
    "submit.reply-after-callback": _kind(
        "answers only once the callback of `status` has been sent",
        service="video",
        status=(_Status, "processing"),
        within=(_Nominal, 1000.0),
    ),
    "start.fail": _kind("the generation fails at a percentage", at=_percent(50), message=_FAILED),
    "start.out-of-memory": _kind(
        "the generation fails at a percentage, because the GPU's memory is full",
        service="image",
        at=_percent(50),
    ),
    "start.slow": _kind(
        "the generation takes `factor` times as long plus `extra`",
        factor=(Annotated[float, Field(gt=0, le=10_000)], 3.0),
        extra=(Delay, DelaySpec(0)),
    ),
    "start.never-start": _kind("accepted and never started"),
    "start.stick": _kind("runs up to a percentage and never ends", at=_percent(99)),
    "start.vanish": _kind(
        "the vendor forgets the generation at a percentage, as after a restart",
        at=_percent(99),
    ),
    "poll.refuse": _kind("a status call is answered with an error", **_REFUSE),
    "poll.reset": _kind("a status call's connection is reset"),
    "poll.hang": _kind("a status call is never answered, or 504 after `seconds`", **_HANG),
    "poll.forget": _kind("a status call says that there is no such job"),
    "poll.delay": _kind("a status call is answered late", **_LATE),
    "poll.garbage": _kind("a status call is answered with a page, not JSON"),
    "poll.truncate": _kind("the answer's JSON is cut to a share", **_CUT),
    "progress.backwards": _kind(
        "from `at` percent on, `polls` answers say queued and `to` percent",
        at=_percent(50),
        to=_percent(0),
        polls=(_whole(1, 1_000_000), 1),
    ),
    "progress.absurd": _kind(
        "the reported percentage is invalid",
        percent=(int | float | str | None, 250),
    ),
    "progress.unknown-state": _kind(
        "the reported state is unknown",
        word=(Annotated[str, Field(min_length=1, max_length=100)], "reviewing"),
    ),
    # Nominal seconds after the end until the address is reported; without them it never is.
    "progress.no-url": _kind(
        "success is reported without an address of the file, for good or for `seconds`",
        seconds=(_Nominal | None, None),
    ),
    "progress.relapse": _kind("after success the status says failed", message=_FAILED),
    "result.refuse": _kind("the file is refused (404 by default)", **_REFUSE),
    "result.expire": _kind(
        "the address stops working `seconds` after the end",
        seconds=(_Nominal, 0.0),
        status=(Literal[403, 404, 410], 403),
    ),
    "result.redirect": _kind(
        "the address leads to another, internal one",
        to=(_Address, _HERE),
        status=(Literal[301, 302, 303, 307, 308], 302),
    ),
    "result.delay": _kind("the file is sent late", **_LATE),
    "result.drip": _kind(
        "the file is sent in drops over `seconds`",
        seconds=(Delay, DelaySpec(1000)),
        drops=(_whole(2, 1000), 10),
    ),
    "result.reset": _kind("the connection is reset in the middle of the file"),
    "result.truncate": _kind("the file is cut to a share, as if it were whole", **_CUT),
    "result.empty": _kind("the file is empty"),
    "result.corrupt": _kind("the file has the right length and wrong bytes"),
    "callback.lose": _kind("the callback is never sent"),
    "callback.repeat": _kind(
        "the callback is sent several times",
        times=(_whole(2, 1000), 2),
        gap=(Delay, DelaySpec(0)),
    ),
    "callback.delay": _kind("the callback is sent late, and delays no other", **_LATE),
    "callback.hold": _kind("the callback is sent after the job's next one"),
    # Without any status call it is sent after `within` nominal seconds.
    "callback.after-poll": _kind(
        "the callback is sent once a status call has reported the end",
        seconds=(Delay, DelaySpec(0)),
        within=(_Nominal, 10_000.0),
    ),
    "callback.unknown-job": _kind("the callback names an unknown job"),
    "callback.other-job": _kind("the callback is about another job"),
    "callback.contradict": _kind("failed is reported as succeed, every other state as failed"),
    "callback.token": _kind(
        "the address carries a wrong, old or no token",
        how=(Literal["wrong", "missing", "stale"], "wrong"),
    ),
    "callback.envelope": _kind("the body is wrapped in {code, message, data}"),
    "callback.truncate": _kind("the body is cut to a share, as if it were whole", **_CUT),
    "callback.oversize": _kind(
        "the body is padded to `bytes`",
        bytes=(_whole(1, 16_000_000), 300_000),
    ),
    "callback.garbage": _kind("the body is not JSON"),
    "callback.wrong-type": _kind(
        "the body has another content type",
        content_type=(Annotated[str, Field(pattern=r"^[\w.+-]+/[\w.+-]+$")], "text/html"),
    ),
}
KINDS = {name: named(name) for name, named in _TABLE.items()}
