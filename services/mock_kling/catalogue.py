"""The vendor's models: what each takes and what a second costs (documented, not captured)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

FIRST_MODEL = "kling-v1"
_SHORT_OR_LONG = frozenset({5, 10})
_ANY = frozenset(range(3, 16))


@dataclass(frozen=True, slots=True)
class Model:
    """`units` of a second by mode, and with sound; `last_frame` has the modes that take one."""

    units: Mapping[str, str]
    with_sound: Mapping[str, str] = field(default_factory=dict)
    seconds: frozenset[int] = _SHORT_OR_LONG
    last_frame: tuple[str, ...] = ()

    def refusal(self, *, mode: str, seconds: int, sound: bool, last_frame: bool) -> str | None:
        """Why the vendor takes no such order of this model; None where it does."""
        if mode not in self.units:
            return f"mode {mode} is not supported by the model"
        if seconds not in self.seconds:
            return f"duration {seconds} is not supported by the model"
        if sound and mode not in self.with_sound:
            return f"sound is not supported by the model in mode {mode}"
        if last_frame and mode not in self.last_frame:
            return f"a last frame is not supported by the model in mode {mode}"
        return None

    def price(self, *, mode: str, seconds: int, sound: bool) -> Decimal:
        """In units."""
        return Decimal((self.with_sound if sound else self.units)[mode]) * seconds


_OLD = Model({"std": "0.4", "pro": "0.7"}, last_frame=("pro",))
_MASTER = Model({"std": "2", "pro": "2"})
_TURBO = Model({"std": "0.3", "pro": "0.5"}, last_frame=("pro",))
_SOUNDING = Model({"std": "0.3", "pro": "0.5"}, {"pro": "1"}, last_frame=("pro",))
_THIRD = Model(
    {"std": "0.6", "pro": "0.8", "4k": "3"},
    {"std": "0.9", "pro": "1.2", "4k": "3"},
    _ANY,
    last_frame=("std", "pro", "4k"),
)
_OMNI = Model(_THIRD.units, {"std": "0.8", "pro": "1", "4k": "3"}, _ANY, _THIRD.last_frame)
# By `model_name`.
MODELS: Mapping[str, Model] = {
    FIRST_MODEL: _OLD,
    "kling-v1-5": _OLD,
    "kling-v1-6": _OLD,
    "kling-v2-master": _MASTER,
    "kling-v2-1": _OLD,
    "kling-v2-1-master": _MASTER,
    "kling-v2-5-turbo": _TURBO,
    "kling-v2-6": _SOUNDING,
    "kling-v3": _THIRD,
    "kling-v3-omni": _OMNI,
}
