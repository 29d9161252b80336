"""The account's resource pack (documented, not captured): decides at once, is told hours later."""

import time
from collections.abc import Iterable
from typing import Any

from services.mock_core.ledger.generation import Generation, State
from services.mock_core.lib.clock import Clock
from services.mock_core.lib.times import milliseconds
from services.mock_kling.config import Pack
from services.mock_kling.tasks import units

NAME = "Mock video pack"
_LAG_SECONDS = 12 * 3600
_DAY_SECONDS = 86_400


class Account:
    """`rows` are the tasks that it had before."""

    def __init__(self, rows: Iterable[Generation]) -> None:
        self._asked_at = float("-inf")
        self._opened_at = time.time()
        self._spent = _cost(rows)

    def note(self, generation: Generation) -> None:
        """Deduct a task that has just ended well."""
        if generation.state is State.SUCCEEDED and not generation.vanished:
            self._spent += _cost([generation])

    def clear(self) -> None:
        """As if nothing had been ordered."""
        self._spent = 0.0

    def may_order(self, pack: Pack) -> bool:
        """Whether the pack has something left, and time."""
        return pack.units is not None and self._status(pack, self._spent) == "online"

    def may_ask(self, now: float) -> bool:
        """At most one question in a nominal second."""
        if now - self._asked_at < 1:
            return False
        self._asked_at = now
        return True

    def packs(
        self, rows: Iterable[Generation], clock: Clock, *, pack: Pack, named: str
    ) -> dict[str, Any]:
        """The list with the one pack, empty where another is named; no list where there is none."""
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
                    "invalid_time": milliseconds(self._ends_at(pack)),
                    "status": self._status(pack, spent),
                }
            ]
        }

    def _ends_at(self, pack: Pack) -> float:
        return self._opened_at + pack.days * _DAY_SECONDS

    def _status(self, pack: Pack, spent: float) -> str:
        if time.time() >= self._ends_at(pack):
            return "expired"
        return "runOut" if spent >= (pack.units or 0.0) else "online"


def _cost(rows: Iterable[Generation]) -> float:
    return sum(float(units(row)) for row in rows if row.charged)
