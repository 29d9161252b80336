"""Axis scales with ticks at round values: counts, plain numbers and times."""

import math
from collections.abc import Callable
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_MINUTES = (60.0, 120.0, 300.0, 600.0, 900.0, 1800.0)
_HOURS = (3600.0, 7200.0, 10800.0, 21600.0, 43200.0, 86400.0)
TICKS = 5


@dataclass(frozen=True, slots=True)
class Scale:
    """The end of an axis, its ticks, and how a value is written."""

    most: float
    ticks: tuple[float, ...]
    text: Callable[[float], str]


def counts(most: float, *, tight: bool = False) -> Scale:
    """Whole numbers; `tight` ends the axis at the value and not at a tick."""
    step = max(1.0, _round_step(most))
    return _scale(most, step, tight=tight, text=lambda value: f"{value:,.0f}")


def numbers(most: float, unit: str) -> Scale:
    """Any number, with a unit behind it."""
    step = _round_step(most)
    return _scale(most, step, tight=False, text=lambda value: f"{value:.4g} {unit}")


def times(most: float, *, tight: bool = False) -> Scale:
    """Seconds, written in the unit that suits the step."""
    rough = most / TICKS
    if rough <= 30:
        step, unit, size = _round_step(most), "s", 1.0
        if step < 1:
            unit, size = "ms", 0.001
    elif rough <= _MINUTES[-1]:
        step, unit, size = next(s for s in _MINUTES if s >= rough), "min", 60.0
    else:
        step = next((s for s in _HOURS if s >= rough), math.ceil(rough / 86400) * 86400.0)
        unit, size = "h", 3600.0
    return _scale(most, step, tight=tight, text=lambda value: f"{value / size:.4g} {unit}")


def _scale(most: float, step: float, *, tight: bool, text: Callable[[float], str]) -> Scale:
    """Ticks from 0 on; past the last tick there is no axis unless it is tight."""
    count = max(1, math.floor(most / step + 1e-9) if tight else math.ceil(most / step - 1e-9))
    ticks = tuple(place * step for place in range(count + 1))
    return Scale(max(most, 1e-9) if tight and most > step else ticks[-1], ticks, text)


def _round_step(most: float) -> float:
    if most <= 0:
        return 1.0
    rough = most / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in _STEPS if step * power >= rough * 0.999999)
