"""Faults of a callback: whether it comes, when, and what it says."""

from typing import Annotated, Literal

from pydantic import Field

from services.mock_core.faults.kinds.fault import Fault, Nominal, Seconds, Share, Where, fixed


class Lose(Fault, at=Where.CALLBACK, do="lose"):
    """the callback is never sent"""


class Repeat(Fault, at=Where.CALLBACK, do="repeat"):
    """the callback is sent several times"""

    times: Annotated[int, Field(ge=2, le=1000)] = 2
    gap: Seconds = fixed(0)


class Delay(Fault, at=Where.CALLBACK, do="delay"):
    """the callback is sent late, and holds up no other"""

    seconds: Seconds = fixed(30)


class Hold(Fault, at=Where.CALLBACK, do="hold"):
    """the callback is sent after the job's next one"""


class AfterPoll(Fault, at=Where.CALLBACK, do="after-poll"):
    """the callback is sent once a status call has told the end

    Without any status call it is sent after `within` nominal seconds.
    """

    seconds: Seconds = fixed(0)
    within: Nominal = 10_000.0


class UnknownJob(Fault, at=Where.CALLBACK, do="unknown-job"):
    """the callback names a job that never was"""


class OtherJob(Fault, at=Where.CALLBACK, do="other-job"):
    """the callback tells of another job"""


class Contradict(Fault, at=Where.CALLBACK, do="contradict"):
    """failed is told as succeed, all else as failed"""


class Token(Fault, at=Where.CALLBACK, do="token"):
    """the address carries a wrong, old or no token"""

    how: Literal["wrong", "missing", "stale"] = "wrong"


class Envelope(Fault, at=Where.CALLBACK, do="envelope"):
    """the body comes inside {code, message, data}"""


class Truncate(Fault, at=Where.CALLBACK, do="truncate"):
    """only a share of the body comes, as if all"""

    keep: Share = 0.5


class Oversize(Fault, at=Where.CALLBACK, do="oversize"):
    """the body is filled up to `bytes`"""

    bytes: Annotated[int, Field(ge=1, le=16_000_000)] = 300_000


class Garbage(Fault, at=Where.CALLBACK, do="garbage"):
    """the body is not JSON"""


class WrongType(Fault, at=Where.CALLBACK, do="wrong-type"):
    """the body has another content type"""

    content_type: Annotated[str, Field(pattern=r"^[\w.+-]+/[\w.+-]+$")] = "text/html"


class Drip(Fault, at=Where.CALLBACK, do="drip"):
    """the body comes in drops over `seconds`

    Nominal seconds; the drops come evenly.
    """

    seconds: Seconds = fixed(1000)
    drops: Annotated[int, Field(ge=2, le=1000)] = 10


class Resend(Fault, at=Where.CALLBACK, do="resend"):
    """the callback is sent again on a schedule that heeds or ignores the reply

    Nominal seconds before each attempt; `heed` ends the schedule at the first 2xx.
    """

    schedule: Annotated[tuple[Nominal, ...], Field(min_length=1, max_length=50)] = (0, 5, 300)
    heed: bool = True
