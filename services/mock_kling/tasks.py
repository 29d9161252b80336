"""Models, the vendor's form of a task, and the account that pays (documented, not captured)."""

import secrets
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from services.mock_core.callbacks import Wording
from services.mock_core.calls import View
from services.mock_core.clock import Clock, milliseconds
from services.mock_core.ledger import Generation, State
from services.mock_kling.settings import Pack, Rate

FIRST_MODEL = "kling-v1"
FILES = "/video/files/"


@dataclass(frozen=True, slots=True)
class Model:
    """A model. `units` of a second by mode, and with sound; `last_frame` has the modes that take
    one."""

    units: Mapping[str, str]
    with_sound: Mapping[str, str] = field(default_factory=dict)
    seconds: frozenset[int] = frozenset({5, 10})
    last_frame: tuple[str, ...] = ()

    def refusal(self, *, mode: str, seconds: int, sound: bool, last_frame: bool) -> str | None:
        """Return why the vendor refuses such an order of this model, or None."""
        if mode not in self.units:
            return f"mode {mode} is not supported by the model"
        if seconds not in self.seconds:
            return f"duration {seconds} is not supported by the model"
        if sound and mode not in self.with_sound:
            return f"sound is not supported by the model in mode {mode}"
        if last_frame and mode not in self.last_frame:
            return f"a last frame is not supported by the model in mode {mode}"
        return None


_OLD = Model({"std": "0.4", "pro": "0.7"}, last_frame=("pro",))
_MASTER = Model({"std": "2", "pro": "2"})
_ANY = frozenset(range(3, 16))
_THIRD = Model(
    {"std": "0.6", "pro": "0.8", "4k": "3"},
    {"std": "0.9", "pro": "1.2", "4k": "3"},
    _ANY,
    last_frame=("std", "pro", "4k"),
)
# By `model_name`.
MODELS: Mapping[str, Model] = {
    FIRST_MODEL: _OLD,
    "kling-v1-5": _OLD,
    "kling-v1-6": _OLD,
    "kling-v2-master": _MASTER,
    "kling-v2-1": _OLD,
    "kling-v2-1-master": _MASTER,
    "kling-v2-5-turbo": Model({"std": "0.3", "pro": "0.5"}, last_frame=("pro",)),
    "kling-v2-6": Model({"std": "0.3", "pro": "0.5"}, {"pro": "1"}, last_frame=("pro",)),
    "kling-v3": _THIRD,
    "kling-v3-omni": Model(
        _THIRD.units, {"std": "0.8", "pro": "1", "4k": "3"}, _ANY, _THIRD.last_frame
    ),
}
WORDS = {
    State.QUEUED: "submitted",
    State.RUNNING: "processing",
    State.SUCCEEDED: "succeed",
    State.FAILED: "failed",
    State.CANCELLED: "failed",
}


def new_task_id() -> str:
    """Return eighteen digits, as in the vendor's ids."""
    return str(800_000_000_000_000_000 + secrets.randbelow(100_000_000_000_000_000))


def units(generation: Generation) -> str:
    """The cost of the task by model, mode, duration and sound; a failed one costs nothing."""
    if not generation.charged:
        return "0"
    ordered = generation.detail
    model = MODELS[ordered.get("model", FIRST_MODEL)]
    prices = model.with_sound if ordered.get("sound") == "on" else model.units
    price = Decimal(prices[ordered.get("mode", "std")]) * int(ordered.get("duration", "5"))
    return format(price.normalize(), "f")


def truth(generation: Generation) -> View:
    """Return the true state of a task, whatever faults change in status calls."""
    return View(generation.state, None, generation.error, generation.file_name)


def created(generation: Generation, view: View | None = None) -> dict[str, Any]:
    """Return the members that every answer about a task has."""
    view = view or truth(generation)
    return {
        "task_id": generation.id,
        "task_status": view.word or WORDS[view.state],
        "task_info": {"external_task_id": generation.external_id},
        "created_at": milliseconds(generation.accepted or generation.updated),
        "updated_at": milliseconds(generation.updated),
    }


def task_body(generation: Generation, view: View, base: str) -> dict[str, Any]:
    """Return every documented member; `base` is the base of the files' addresses."""
    video = {
        "id": f"{generation.id}-1",
        "url": f"{base}{FILES}{view.file_name}",
        "duration": generation.detail.get("duration", "5"),
    }
    return {
        **created(generation, view),
        "task_status_msg": view.error or "",
        "final_unit_deduction": units(generation),
        "task_result": {"videos": [] if view.file_name is None else [video]},
    }


# The flat form of a callback.
WORDING = Wording(
    describe=lambda it: task_body(it, truth(it), it.base_url),
    rename=lambda body, task_id, ours: {
        **body,
        "task_id": task_id,
        "task_info": {"external_task_id": ours},
    },
    contradict=lambda body: {
        **body,
        "task_status": "succeed" if body["task_status"] == "failed" else "failed",
    },
)
NAME = "Mock video pack"
_LAG_SECONDS = 12 * 3600
_DAY_SECONDS = 86_400


class Account:
    """The account; `rows` are its earlier tasks."""

    def __init__(self, rows: Iterable[Generation]) -> None:
        self._asked_at = float("-inf")
        self._submits: deque[float] = deque()
        self._opened_at = time.time()
        self._spent = _cost(rows)

    def note(self, generation: Generation) -> None:
        """Deduct a task that has just succeeded."""
        if generation.state is State.SUCCEEDED and not generation.vanished:
            self._spent += _cost([generation])

    def clear(self) -> None:
        """Forget all orders."""
        self._spent = 0.0
        self._submits.clear()

    def may_order(self, pack: Pack) -> bool:
        """True if the pack has units and time left."""
        return pack.units is not None and self._status(pack, self._spent) == "online"

    def may_submit(self, rate: Rate, now: float) -> bool:
        """True if this submit is within the rate; then it counts."""
        while self._submits and now - self._submits[0] >= rate.seconds:
            self._submits.popleft()
        may = not rate.tasks or len(self._submits) < rate.tasks
        if rate.tasks and may:
            self._submits.append(now)
        return may

    def may_ask(self, now: float) -> bool:
        """True at most once in a nominal second."""
        if now - self._asked_at < 1:
            return False
        self._asked_at = now
        return True

    def packs(
        self, rows: Iterable[Generation], clock: Clock, *, pack: Pack, named: str
    ) -> dict[str, Any]:
        """Return the list with the one pack; empty if the query names another one; None if there is
        no pack."""
        if pack.units is None:
            return {}
        infos = "resource_pack_subscribe_infos"
        if named not in ("", NAME):
            return {infos: []}
        known_until = time.time() - clock.to_real(_LAG_SECONDS)
        spent = _cost(row for row in rows if (row.finished or known_until) <= known_until)
        opened = milliseconds(self._opened_at)
        return {
            infos: [
                {
                    "resource_pack_name": NAME,
                    "resource_pack_id": "mock-pack-1",
                    "resource_pack_type": "decreasing_total",
                    "total_quantity": pack.units,
                    "remaining_quantity": max(pack.units - spent, 0.0),
                    "purchase_time": opened,
                    "effective_time": opened,
                    "invalid_time": milliseconds(self._opened_at + pack.days * _DAY_SECONDS),
                    "status": self._status(pack, spent),
                }
            ]
        }

    def _status(self, pack: Pack, spent: float) -> str:
        if time.time() >= self._opened_at + pack.days * _DAY_SECONDS:
            return "expired"
        return "runOut" if spent >= (pack.units or 0.0) else "online"


def _cost(rows: Iterable[Generation]) -> float:
    return sum(float(units(row)) for row in rows)
