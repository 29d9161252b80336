"""A length of time in nominal seconds: fixed, uniform or lognormal; one text form for all three."""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

MAX_SECONDS = 10_000_000.0
_SHAPES = {"fixed": 1, "uniform": 2, "lognormal": 2}
_HELP = "a number of seconds, 'uniform:low,high' or 'lognormal:median,sigma'"


@dataclass(frozen=True, slots=True)
class DelaySpec:
    """`fixed` has a; `uniform` runs from a to b; `lognormal` has median a and sigma b."""

    shape: str
    a: float
    b: float = 0.0

    def at(self, quantile: float) -> float:
        """Seconds at this quantile, a number in [0, 1)."""
        if self.shape == "fixed":
            return self.a
        if self.shape == "uniform":
            return self.a + (self.b - self.a) * quantile
        quantile = min(max(quantile, 1e-9), 1 - 1e-9)
        return self.a * math.exp(self.b * NormalDist().inv_cdf(quantile))

    def __str__(self) -> str:
        """As it is read, to the last digit."""
        if self.shape == "fixed":
            return _digits(self.a)
        return f"{self.shape}:{_digits(self.a)},{_digits(self.b)}"


def _digits(number: float) -> str:
    return repr(float(number)).removesuffix(".0")


def parse_delay(value: object) -> DelaySpec:
    """Read `30`, `"uniform:10,20"` or `"lognormal:164,0.2"`; ValueError says what is wrong."""
    if isinstance(value, DelaySpec):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"must be {_HELP}")
    shape, separator, rest = str(value).strip().partition(":")
    if not separator:
        shape, rest = "fixed", shape
    if shape not in _SHAPES:
        raise ValueError(f"unknown shape {shape!r}: must be {_HELP}")
    return _checked(shape, _numbers(rest, _SHAPES[shape]))


def _numbers(text: str, count: int) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"must be {_HELP}") from None
    if len(numbers) != count:
        raise ValueError(f"needs {count} number(s): must be {_HELP}")
    if not all(0 <= number <= MAX_SECONDS for number in numbers):
        raise ValueError(f"each number must be between 0 and {MAX_SECONDS:.0f}")
    return numbers


def _checked(shape: str, numbers: list[float]) -> DelaySpec:
    if shape == "uniform" and numbers[0] > numbers[1]:
        raise ValueError("uniform runs from the smaller to the larger number")
    if shape == "lognormal" and not (numbers[0] > 0 and numbers[1] <= 3):
        raise ValueError("lognormal needs a median above 0 and a sigma of at most 3")
    return DelaySpec(shape, *numbers)


Delay = Annotated[
    DelaySpec,
    PlainValidator(parse_delay),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": ["number", "string"], "description": _HELP}),
]
