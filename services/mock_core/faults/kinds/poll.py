"""Faults of a status call."""

from services.mock_core.faults.kinds import common
from services.mock_core.faults.kinds.fault import Fault, Share, Where


class Refuse(common.Refuse, at=Where.POLL):
    """a status call is answered with an error"""


class Reset(common.Reset, at=Where.POLL):
    """a status call's connection is reset"""


class Hang(common.Hang, at=Where.POLL):
    """a status call is never answered, or 504 after `seconds`"""


class Forget(Fault, at=Where.POLL, do="forget"):
    """a status call says that there is no such job"""


class Delay(common.Delay, at=Where.POLL):
    """a status call is answered late"""


class Garbage(Fault, at=Where.POLL, do="garbage"):
    """a status call is answered with a page, not JSON"""


class Truncate(Fault, at=Where.POLL, do="truncate"):
    """only a share of the answer's JSON comes"""

    keep: Share = 0.5
