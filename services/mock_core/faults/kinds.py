"""Every fault there is: where, what, its members, and the sentence that documents it."""

from dataclasses import dataclass
from enum import StrEnum

from services.mock_core.faults import params as p


class Where(StrEnum):
    SUBMIT = "submit"
    START = "start"
    POLL = "poll"
    PROGRESS = "progress"
    RESULT = "result"
    CALLBACK = "callback"


@dataclass(frozen=True, slots=True)
class Kind:
    where: Where
    do: str
    params: type[p.Params]
    says: str
    # The only service that has it; None: both.
    service: str | None = None


_SUBMIT = (
    Kind(Where.SUBMIT, "refuse", p.Refuse, "answers with an error; nothing is accepted"),
    Kind(Where.SUBMIT, "reset", p.Nothing, "resets the connection; nothing is accepted"),
    Kind(
        Where.SUBMIT, "hang", p.Hang, "never answers, or 504 after `seconds`; nothing is accepted"
    ),
    Kind(Where.SUBMIT, "quota", p.Quota, "1302 with Retry-After after `submits` in `seconds`"),
    Kind(Where.SUBMIT, "pool", p.Pool, "1303 while `places` generations are open"),
    Kind(
        Where.SUBMIT,
        "skew",
        p.Skew,
        "judges the caller's token by a clock that is `seconds` off: 1003 or 1004",
        "video",
    ),
    Kind(Where.SUBMIT, "delay", p.Wait, "accepts at once, answers `seconds` later"),
    Kind(Where.SUBMIT, "lose-reply", p.LoseReply, "accepts and works, but the reply is lost"),
    Kind(
        Where.SUBMIT,
        "accept-late",
        p.AcceptLate,
        "the reply is lost or held, and the task accepted only `seconds` later",
    ),
    Kind(
        Where.SUBMIT,
        "reply-after-callback",
        p.AfterCallback,
        "answers only once the callback of `status` has been sent",
        "video",
    ),
)
_START = (
    Kind(Where.START, "fail", p.Fail, "the generation fails at a percentage"),
    Kind(Where.START, "slow", p.Slow, "the generation takes `factor` times as long plus `extra`"),
    Kind(Where.START, "never-start", p.Nothing, "accepted and never started"),
    Kind(Where.START, "stick", p.At, "runs up to a percentage and never ends"),
    Kind(Where.START, "vanish", p.At, "is forgotten at a percentage, as by a restart"),
)
_POLL = (
    Kind(Where.POLL, "refuse", p.Refuse, "a status call is answered with an error"),
    Kind(Where.POLL, "reset", p.Nothing, "a status call's connection is reset"),
    Kind(Where.POLL, "hang", p.Hang, "a status call is never answered, or 504 after `seconds`"),
    Kind(Where.POLL, "forget", p.Nothing, "a status call says that there is no such job"),
    Kind(Where.POLL, "delay", p.Wait, "a status call is answered late"),
    Kind(Where.POLL, "garbage", p.Nothing, "a status call is answered with a page, not JSON"),
    Kind(Where.POLL, "truncate", p.Truncate, "only a share of the answer's JSON comes"),
)
_PROGRESS = (
    Kind(
        Where.PROGRESS,
        "backwards",
        p.Backwards,
        "from `at` percent on, `polls` answers say queued and `to` percent",
    ),
    Kind(Where.PROGRESS, "freeze", p.At, "the percentage told never passes `at` before the end"),
    Kind(Where.PROGRESS, "absurd", p.Absurd, "the percentage told is no percentage"),
    Kind(Where.PROGRESS, "unknown-state", p.UnknownState, "the state told is in no table"),
    Kind(
        Where.PROGRESS,
        "no-url",
        p.NoUrl,
        "success is told without an address of the file, for good or for `seconds`",
    ),
    Kind(Where.PROGRESS, "relapse", p.Relapse, "after success the status says failed"),
)
_RESULT = (
    Kind(Where.RESULT, "refuse", p.Refuse, "the file is refused (404 unless told otherwise)"),
    Kind(Where.RESULT, "expire", p.Expire, "the address stops working `seconds` after the end"),
    Kind(Where.RESULT, "redirect", p.Redirect, "the address leads to another, internal one"),
    Kind(Where.RESULT, "hang", p.Hang, "the file is never sent, or 504 after `seconds`"),
    Kind(Where.RESULT, "delay", p.Wait, "the file is sent late"),
    Kind(Where.RESULT, "drip", p.Drip, "the file comes in drops over `seconds`"),
    Kind(Where.RESULT, "reset", p.Nothing, "the connection is reset in the middle of the file"),
    Kind(Where.RESULT, "truncate", p.Truncate, "only a share of the file comes, as if it were all"),
    Kind(Where.RESULT, "empty", p.Nothing, "the file has no bytes"),
    Kind(Where.RESULT, "corrupt", p.Nothing, "the file has the right length and wrong bytes"),
    Kind(Where.RESULT, "swap", p.Nothing, "the file of another job comes"),
    Kind(Where.RESULT, "wrong-type", p.WrongType, "the file comes with another content type"),
)
_CALLBACK = (
    Kind(Where.CALLBACK, "lose", p.Nothing, "the callback is never sent"),
    Kind(Where.CALLBACK, "repeat", p.Repeat, "the callback is sent several times"),
    Kind(Where.CALLBACK, "delay", p.Wait, "the callback is sent late, and holds up no other"),
    Kind(Where.CALLBACK, "hold", p.Nothing, "the callback is sent after the job's next one"),
    Kind(
        Where.CALLBACK,
        "after-poll",
        p.AfterPoll,
        "the callback is sent once a status call has told the end",
    ),
    Kind(Where.CALLBACK, "unknown-job", p.Nothing, "the callback names a job that never was"),
    Kind(Where.CALLBACK, "other-job", p.Nothing, "the callback tells of another job"),
    Kind(Where.CALLBACK, "contradict", p.Nothing, "failed is told as succeed, all else as failed"),
    Kind(Where.CALLBACK, "token", p.Token, "the address carries a wrong, old or no token"),
    Kind(Where.CALLBACK, "envelope", p.Nothing, "the body comes inside {code, message, data}"),
    Kind(Where.CALLBACK, "truncate", p.Truncate, "only a share of the body comes, as if all"),
    Kind(Where.CALLBACK, "oversize", p.Oversize, "the body is filled up to `bytes`"),
    Kind(Where.CALLBACK, "garbage", p.Nothing, "the body is not JSON"),
    Kind(Where.CALLBACK, "wrong-type", p.WrongType, "the body has another content type"),
    Kind(Where.CALLBACK, "drip", p.Drip, "the body comes in drops over `seconds`"),
    Kind(
        Where.CALLBACK,
        "resend",
        p.Resend,
        "the callback is sent again on a schedule that heeds or ignores the reply",
    ),
)
ALL = (*_SUBMIT, *_START, *_POLL, *_PROGRESS, *_RESULT, *_CALLBACK)
KINDS: dict[tuple[str, str], Kind] = {(kind.where, kind.do): kind for kind in ALL}


def names_at(where: str) -> list[str]:
    return [kind.do for kind in ALL if kind.where == where]
