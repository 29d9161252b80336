"""Faults that are carried out alike on a submit, a status call and the fetch of a file."""

from typing import Annotated, ClassVar

from pydantic import Field

from services.mock_core.faults.kinds.fault import Fault, Seconds, fixed


class Refuse(Fault, do="refuse"):
    """`code` alone is enough where the vendor's table gives the HTTP status."""

    # Answered where a rule tells neither status nor code; None: the wire has one of its own.
    usual_status: ClassVar[int | None] = None

    status: Annotated[int, Field(ge=400, le=599)] | None = None
    code: int | str | None = None
    message: str | None = None
    retry_after: Annotated[int, Field(ge=0)] | None = None

    @property
    def answered_status(self) -> int | None:
        untold = self.status is None and self.code is None
        return self.usual_status if untold else self.status


class Reset(Fault, do="reset"):
    """The connection is reset before a byte is answered."""


class Hang(Fault, do="hang"):
    """Without `seconds` the request stays open until the caller goes away."""

    seconds: Seconds | None = None


class Delay(Fault, do="delay"):
    """Carried out at once, answered `seconds` later."""

    seconds: Seconds = fixed(30)
