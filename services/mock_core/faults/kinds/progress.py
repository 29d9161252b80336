"""Faults of what status calls tell, decided when the generation is accepted."""

from typing import Annotated

from pydantic import Field

from services.mock_core.faults.kinds.fault import Fault, Nominal, Percent, Where


class Backwards(Fault, at=Where.PROGRESS, do="backwards"):
    """from `at` percent on, `polls` answers say queued and `to` percent"""

    at: Percent = 50
    to: Percent = 0
    polls: Annotated[int, Field(ge=1, le=1_000_000)] = 1


class Freeze(Fault, at=Where.PROGRESS, do="freeze"):
    """the percentage told never passes `at` before the end"""

    at: Percent = 99


class Absurd(Fault, at=Where.PROGRESS, do="absurd"):
    """the percentage told is no percentage"""

    percent: int | float | str | None = 250


class UnknownState(Fault, at=Where.PROGRESS, do="unknown-state"):
    """the state told is in no table"""

    word: Annotated[str, Field(min_length=1, max_length=100)] = "reviewing"


class NoUrl(Fault, at=Where.PROGRESS, do="no-url"):
    """success is told without an address of the file, for good or for `seconds`

    Nominal seconds after the end from which on the address is told; without them it never is.
    """

    seconds: Nominal | None = None


class Relapse(Fault, at=Where.PROGRESS, do="relapse"):
    """after success the status says failed"""

    message: str = "generation failed"
