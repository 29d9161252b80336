"""All faults: a class each, by the point of a generation's life at which it strikes.

A new kind is a class here, and a `case` where it is carried out.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from services.mock_core.faults.fault import KINDS as KINDS
from services.mock_core.faults.fault import (
    Fault,
    Hang,
    Late,
    Nominal,
    Percent,
    Refuse,
    Reset,
    Seconds,
    Share,
    Where,
    fixed,
)
from services.mock_core.faults.fault import names_at as names_at


class SubmitRefuse(Refuse, at=Where.SUBMIT):
    """answers with an error; nothing is accepted"""


class SubmitReset(Reset, at=Where.SUBMIT):
    """resets the connection; nothing is accepted"""


class SubmitHang(Hang, at=Where.SUBMIT):
    """never answers, or 504 after `seconds`; nothing is accepted"""


class SubmitQuota(Fault, at=Where.SUBMIT, do="quota"):
    """1302 with Retry-After after `submits` in `seconds`"""

    submits: Annotated[int, Field(ge=0, le=1_000_000)] = 10
    seconds: Nominal = 60.0
    retry_after: Annotated[int, Field(ge=0)] = 1


class SubmitPool(Fault, at=Where.SUBMIT, do="pool"):
    """1303 while `places` generations are open"""

    places: Annotated[int, Field(ge=0, le=100_000)] = 1


class SubmitSkew(Fault, at=Where.SUBMIT, do="skew", service="video"):
    """judges the caller's token by a clock that is `seconds` off: 1003 or 1004

    Positive: the vendor's clock is ahead, so that tokens look expired.
    """

    seconds: Annotated[float, Field(ge=-1e9, le=1e9)] = 3600.0


class SubmitDelay(Late, at=Where.SUBMIT):
    """accepts at once, answers `seconds` later"""


class SubmitLoseReply(Fault, at=Where.SUBMIT, do="lose-reply"):
    """accepts and works, but the reply is lost

    `how` is what the caller sees instead of it.
    """

    how: Literal["reset", "hang", "504", "500", "garbage"] = "reset"


class SubmitAcceptLate(Fault, at=Where.SUBMIT, do="accept-late"):
    """the reply is lost or held, and the task accepted only `seconds` later

    `how` is what the caller sees meanwhile; `held`: the reply itself, once the task is accepted.
    """

    seconds: Seconds = fixed(30)
    how: Literal["reset", "hang", "504", "500", "garbage", "held"] = "reset"


class SubmitReplyAfterCallback(Fault, at=Where.SUBMIT, do="reply-after-callback", service="video"):
    """answers only once the callback of `status` has been sent"""

    status: Literal["processing", "succeed", "failed"] = "processing"
    within: Nominal = 1000.0


class StartFail(Fault, at=Where.START, do="fail"):
    """the generation fails at a percentage"""

    at: Percent = 50
    message: str = "generation failed"


class StartOutOfMemory(Fault, at=Where.START, do="out-of-memory", service="image"):
    """the generation fails at a percentage, because the GPU's memory is full"""

    at: Percent = 50


class StartSlow(Fault, at=Where.START, do="slow"):
    """the generation takes `factor` times as long plus `extra`"""

    factor: Annotated[float, Field(gt=0, le=10_000)] = 3.0
    extra: Seconds = fixed(0)


class StartNeverStart(Fault, at=Where.START, do="never-start"):
    """accepted and never started"""


class StartStick(Fault, at=Where.START, do="stick"):
    """runs up to a percentage and never ends"""

    at: Percent = 99


class StartVanish(Fault, at=Where.START, do="vanish"):
    """the vendor forgets the generation at a percentage, as after a restart"""

    at: Percent = 99


class PollRefuse(Refuse, at=Where.POLL):
    """a status call is answered with an error"""


class PollReset(Reset, at=Where.POLL):
    """a status call's connection is reset"""


class PollHang(Hang, at=Where.POLL):
    """a status call is never answered, or 504 after `seconds`"""


class PollForget(Fault, at=Where.POLL, do="forget"):
    """a status call says that there is no such job"""


class PollDelay(Late, at=Where.POLL):
    """a status call is answered late"""


class PollGarbage(Fault, at=Where.POLL, do="garbage"):
    """a status call is answered with a page, not JSON"""


class PollTruncate(Fault, at=Where.POLL, do="truncate"):
    """the answer's JSON is cut to a share"""

    keep: Share = 0.5


class ProgressBackwards(Fault, at=Where.PROGRESS, do="backwards"):
    """from `at` percent on, `polls` answers say queued and `to` percent"""

    at: Percent = 50
    to: Percent = 0
    polls: Annotated[int, Field(ge=1, le=1_000_000)] = 1


class ProgressFreeze(Fault, at=Where.PROGRESS, do="freeze"):
    """the reported percentage stays at `at` until the end"""

    at: Percent = 99


class ProgressAbsurd(Fault, at=Where.PROGRESS, do="absurd"):
    """the reported percentage is invalid"""

    percent: int | float | str | None = 250


class ProgressUnknownState(Fault, at=Where.PROGRESS, do="unknown-state"):
    """the reported state is unknown"""

    word: Annotated[str, Field(min_length=1, max_length=100)] = "reviewing"


class ProgressNoUrl(Fault, at=Where.PROGRESS, do="no-url"):
    """success is reported without an address of the file, for good or for `seconds`

    Nominal seconds after the end until the address is reported; without them it never is.
    """

    seconds: Nominal | None = None


class ProgressRelapse(Fault, at=Where.PROGRESS, do="relapse"):
    """after success the status says failed"""

    message: str = "generation failed"


class ResultRefuse(Refuse, at=Where.RESULT):
    """the file is refused (404 by default)"""

    usual_status: ClassVar[int | None] = 404


class ResultExpire(Fault, at=Where.RESULT, do="expire"):
    """the address stops working `seconds` after the end"""

    seconds: Nominal = 0.0
    status: Literal[403, 404, 410] = 403


class ResultRedirect(Fault, at=Where.RESULT, do="redirect"):
    """the address leads to another, internal one"""

    to: Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=2048)] = (
        "http://169.254.169.254/latest/meta-data/"
    )
    status: Literal[301, 302, 303, 307, 308] = 302


class ResultHang(Hang, at=Where.RESULT):
    """the file is never sent, or 504 after `seconds`"""


class ResultDelay(Late, at=Where.RESULT):
    """the file is sent late"""


class ResultDrip(Fault, at=Where.RESULT, do="drip"):
    """the file is sent in drops over `seconds`

    Nominal seconds; the drops are evenly spaced.
    """

    seconds: Seconds = fixed(1000)
    drops: Annotated[int, Field(ge=2, le=1000)] = 10


class ResultReset(Fault, at=Where.RESULT, do="reset"):
    """the connection is reset in the middle of the file"""


class ResultTruncate(Fault, at=Where.RESULT, do="truncate"):
    """the file is cut to a share, as if it were whole"""

    keep: Share = 0.5


class ResultEmpty(Fault, at=Where.RESULT, do="empty"):
    """the file is empty"""


class ResultCorrupt(Fault, at=Where.RESULT, do="corrupt"):
    """the file has the right length and wrong bytes"""


class ResultSwap(Fault, at=Where.RESULT, do="swap"):
    """the file of another job is sent"""


class ResultWrongType(Fault, at=Where.RESULT, do="wrong-type"):
    """the file has another content type"""

    content_type: Annotated[str, Field(pattern=r"^[\w.+-]+/[\w.+-]+$")] = "text/html"


class CallbackLose(Fault, at=Where.CALLBACK, do="lose"):
    """the callback is never sent"""


class CallbackRepeat(Fault, at=Where.CALLBACK, do="repeat"):
    """the callback is sent several times"""

    times: Annotated[int, Field(ge=2, le=1000)] = 2
    gap: Seconds = fixed(0)


class CallbackDelay(Fault, at=Where.CALLBACK, do="delay"):
    """the callback is sent late, and delays no other"""

    seconds: Seconds = fixed(30)


class CallbackHold(Fault, at=Where.CALLBACK, do="hold"):
    """the callback is sent after the job's next one"""


class CallbackAfterPoll(Fault, at=Where.CALLBACK, do="after-poll"):
    """the callback is sent once a status call has reported the end

    Without any status call it is sent after `within` nominal seconds.
    """

    seconds: Seconds = fixed(0)
    within: Nominal = 10_000.0


class CallbackUnknownJob(Fault, at=Where.CALLBACK, do="unknown-job"):
    """the callback names an unknown job"""


class CallbackOtherJob(Fault, at=Where.CALLBACK, do="other-job"):
    """the callback is about another job"""


class CallbackContradict(Fault, at=Where.CALLBACK, do="contradict"):
    """failed is reported as succeed, every other state as failed"""


class CallbackToken(Fault, at=Where.CALLBACK, do="token"):
    """the address carries a wrong, old or no token"""

    how: Literal["wrong", "missing", "stale"] = "wrong"


class CallbackEnvelope(Fault, at=Where.CALLBACK, do="envelope"):
    """the body is wrapped in {code, message, data}"""


class CallbackTruncate(Fault, at=Where.CALLBACK, do="truncate"):
    """the body is cut to a share, as if it were whole"""

    keep: Share = 0.5


class CallbackOversize(Fault, at=Where.CALLBACK, do="oversize"):
    """the body is padded to `bytes`"""

    bytes: Annotated[int, Field(ge=1, le=16_000_000)] = 300_000


class CallbackGarbage(Fault, at=Where.CALLBACK, do="garbage"):
    """the body is not JSON"""


class CallbackWrongType(Fault, at=Where.CALLBACK, do="wrong-type"):
    """the body has another content type"""

    content_type: Annotated[str, Field(pattern=r"^[\w.+-]+/[\w.+-]+$")] = "text/html"


class CallbackDrip(Fault, at=Where.CALLBACK, do="drip"):
    """the body is sent in drops over `seconds`

    Nominal seconds; the drops are evenly spaced.
    """

    seconds: Seconds = fixed(1000)
    drops: Annotated[int, Field(ge=2, le=1000)] = 10


class CallbackResend(Fault, at=Where.CALLBACK, do="resend"):
    """the callback is sent again on a schedule that heeds or ignores the reply

    Nominal seconds before each attempt; `heed` ends the schedule at the first 2xx.
    """

    schedule: Annotated[tuple[Nominal, ...], Field(min_length=1, max_length=50)] = (0, 5, 300)
    heed: bool = True
