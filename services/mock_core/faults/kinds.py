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


_ALL = (
    Kind(Where.SUBMIT, "refuse", p.Refuse, "answers with an error; nothing is accepted"),
    Kind(Where.SUBMIT, "reset", p.Nothing, "resets the connection; nothing is accepted"),
    Kind(Where.SUBMIT, "hang", p.Hang, "never answers (or not for `seconds`); nothing is accepted"),
    Kind(Where.SUBMIT, "delay", p.Wait, "accepts at once, answers `seconds` later"),
    Kind(Where.SUBMIT, "lose-reply", p.LoseReply, "accepts and works, but the reply is lost"),
    Kind(Where.START, "fail", p.Fail, "the generation fails at a percentage"),
    Kind(Where.START, "slow", p.Slow, "the generation takes `factor` times as long plus `extra`"),
    Kind(Where.START, "never-start", p.Nothing, "accepted and never started"),
    Kind(Where.START, "stick", p.At, "runs up to a percentage and never ends"),
    Kind(Where.START, "vanish", p.At, "is forgotten at a percentage, as by a restart"),
    Kind(Where.POLL, "refuse", p.Refuse, "a status call is answered with an error"),
    Kind(Where.POLL, "reset", p.Nothing, "a status call's connection is reset"),
    Kind(Where.POLL, "hang", p.Hang, "a status call is never answered"),
    Kind(Where.POLL, "delay", p.Wait, "a status call is answered late"),
    Kind(Where.RESULT, "refuse", p.Refuse, "the file is refused (404 unless told otherwise)"),
    Kind(Where.RESULT, "reset", p.Nothing, "the connection is reset in the middle of the file"),
    Kind(Where.RESULT, "hang", p.Hang, "the file is never sent"),
    Kind(Where.RESULT, "delay", p.Wait, "the file is sent late"),
    Kind(Where.RESULT, "truncate", p.Truncate, "only a share of the file comes, as if it were all"),
    Kind(Where.RESULT, "empty", p.Nothing, "the file has no bytes"),
    Kind(Where.RESULT, "wrong-type", p.WrongType, "the file comes with another content type"),
    Kind(Where.CALLBACK, "lose", p.Nothing, "the callback is never sent"),
    Kind(Where.CALLBACK, "repeat", p.Repeat, "the callback is sent several times"),
    Kind(Where.CALLBACK, "delay", p.Wait, "the callback is sent late"),
)

KINDS: dict[tuple[str, str], Kind] = {(kind.where, kind.do): kind for kind in _ALL}


def names_at(where: str) -> list[str]:
    return [kind.do for kind in _ALL if kind.where == where]
