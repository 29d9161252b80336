"""Why a file is none of ours; each becomes a failure of the vendor's by its code."""


class Refused(Exception):
    """The file is not what it should be, and another one may be; `code` is that of the failure."""

    code = "bad_result"


class RefusedKind(Refused):
    """It begins as a file of another kind does, so that another one would, too."""

    code = "wrong_kind"
