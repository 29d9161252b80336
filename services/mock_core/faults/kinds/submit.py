"""Faults of a submit."""

from typing import Annotated, Literal

from pydantic import Field

from services.mock_core.faults.kinds import common
from services.mock_core.faults.kinds.fault import Fault, Nominal, Seconds, Where, fixed


class Refuse(common.Refuse, at=Where.SUBMIT):
    """answers with an error; nothing is accepted"""


class Reset(common.Reset, at=Where.SUBMIT):
    """resets the connection; nothing is accepted"""


class Hang(common.Hang, at=Where.SUBMIT):
    """never answers, or 504 after `seconds`; nothing is accepted"""


class Quota(Fault, at=Where.SUBMIT, do="quota"):
    """1302 with Retry-After after `submits` in `seconds`"""

    submits: Annotated[int, Field(ge=0, le=1_000_000)] = 10
    seconds: Nominal = 60.0
    retry_after: Annotated[int, Field(ge=0)] = 1


class Pool(Fault, at=Where.SUBMIT, do="pool"):
    """1303 while `places` generations are open"""

    places: Annotated[int, Field(ge=0, le=100_000)] = 1


class Skew(Fault, at=Where.SUBMIT, do="skew", service="video"):
    """judges the caller's token by a clock that is `seconds` off: 1003 or 1004

    Positive: the vendor's clock is ahead, so that tokens look expired.
    """

    seconds: Annotated[float, Field(ge=-1e9, le=1e9)] = 3600.0


class Delay(common.Delay, at=Where.SUBMIT):
    """accepts at once, answers `seconds` later"""


class LoseReply(Fault, at=Where.SUBMIT, do="lose-reply"):
    """accepts and works, but the reply is lost

    `how` is what the caller sees instead of it.
    """

    how: Literal["reset", "hang", "504", "500", "garbage"] = "reset"


class AcceptLate(Fault, at=Where.SUBMIT, do="accept-late"):
    """the reply is lost or held, and the task accepted only `seconds` later

    `how` is what the caller sees meanwhile; `held`: the reply itself, once the task is accepted.
    """

    seconds: Seconds = fixed(30)
    how: Literal["reset", "hang", "504", "500", "garbage", "held"] = "reset"


class ReplyAfterCallback(Fault, at=Where.SUBMIT, do="reply-after-callback", service="video"):
    """answers only once the callback of `status` has been sent"""

    status: Literal["processing", "succeed", "failed"] = "processing"
    within: Nominal = 1000.0
