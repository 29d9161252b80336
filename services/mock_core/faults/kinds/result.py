"""Faults of the fetch of a finished file."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from services.mock_core.faults.kinds import common
from services.mock_core.faults.kinds.fault import Fault, Nominal, Seconds, Share, Where, fixed


class Refuse(common.Refuse, at=Where.RESULT):
    """the file is refused (404 unless told otherwise)"""

    usual_status: ClassVar[int | None] = 404


class Expire(Fault, at=Where.RESULT, do="expire"):
    """the address stops working `seconds` after the end"""

    seconds: Nominal = 0.0
    status: Literal[403, 404, 410] = 403


class Redirect(Fault, at=Where.RESULT, do="redirect"):
    """the address leads to another, internal one"""

    to: Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=2048)] = (
        "http://169.254.169.254/latest/meta-data/"
    )
    status: Literal[301, 302, 303, 307, 308] = 302


class Hang(common.Hang, at=Where.RESULT):
    """the file is never sent, or 504 after `seconds`"""


class Delay(common.Delay, at=Where.RESULT):
    """the file is sent late"""


class Drip(Fault, at=Where.RESULT, do="drip"):
    """the file comes in drops over `seconds`

    Nominal seconds; the drops come evenly.
    """

    seconds: Seconds = fixed(1000)
    drops: Annotated[int, Field(ge=2, le=1000)] = 10


class Reset(Fault, at=Where.RESULT, do="reset"):
    """the connection is reset in the middle of the file"""


class Truncate(Fault, at=Where.RESULT, do="truncate"):
    """only a share of the file comes, as if it were all"""

    keep: Share = 0.5


class Empty(Fault, at=Where.RESULT, do="empty"):
    """the file has no bytes"""


class Corrupt(Fault, at=Where.RESULT, do="corrupt"):
    """the file has the right length and wrong bytes"""


class Swap(Fault, at=Where.RESULT, do="swap"):
    """the file of another job comes"""


class WrongType(Fault, at=Where.RESULT, do="wrong-type"):
    """the file comes with another content type"""

    content_type: Annotated[str, Field(pattern=r"^[\w.+-]+/[\w.+-]+$")] = "text/html"
