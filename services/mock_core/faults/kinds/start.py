"""Faults of the generation's own run, decided when it is accepted."""

from typing import Annotated

from pydantic import Field

from services.mock_core.faults.kinds.fault import Fault, Percent, Seconds, Where, fixed


class Fail(Fault, at=Where.START, do="fail"):
    """the generation fails at a percentage"""

    at: Percent = 50
    message: str = "generation failed"


class OutOfMemory(Fault, at=Where.START, do="out-of-memory", service="image"):
    """the generation fails at a percentage, for the GPU's memory is full"""

    at: Percent = 50


class Slow(Fault, at=Where.START, do="slow"):
    """the generation takes `factor` times as long plus `extra`"""

    factor: Annotated[float, Field(gt=0, le=10_000)] = 3.0
    extra: Seconds = fixed(0)


class NeverStart(Fault, at=Where.START, do="never-start"):
    """accepted and never started"""


class Stick(Fault, at=Where.START, do="stick"):
    """runs up to a percentage and never ends"""

    at: Percent = 99


class Vanish(Fault, at=Where.START, do="vanish"):
    """is forgotten at a percentage, as by a restart"""

    at: Percent = 99
