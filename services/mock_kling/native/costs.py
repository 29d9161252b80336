"""The account's resource pack (documented, not captured): rarely asked, and hours behind."""

import time
from collections.abc import Iterable
from typing import Any

from services.mock_core.ledger.generation import Generation
from services.mock_core.lib.clock import Clock
from services.mock_core.lib.times import milliseconds
from services.mock_kling.tasks import units

NAME = "Mock video pack"
TOTAL = 1_000_000.0
_LAG_SECONDS = 12 * 3600
_YEAR_SECONDS = 365 * 86_400


class Costs:
    def __init__(self) -> None:
        self._asked_at = float("-inf")
        self._opened_at = time.time()

    def may_ask(self, now: float) -> bool:
        """At most one question in a nominal second."""
        if now - self._asked_at < 1:
            return False
        self._asked_at = now
        return True

    def packs(
        self, rows: Iterable[Generation], clock: Clock, *, named: str
    ) -> list[dict[str, Any]]:
        """The one pack there is, unless another name is asked for."""
        if named not in ("", NAME):
            return []
        known_until = time.time() - clock.to_real(_LAG_SECONDS)
        spent = sum(
            float(units(row))
            for row in rows
            if row.charged and row.finished is not None and row.finished <= known_until
        )
        opened = milliseconds(self._opened_at)
        return [
            {
                "resource_pack_name": NAME,
                "resource_pack_id": "mock-pack-1",
                "resource_pack_type": "decreasing_total",
                "total_quantity": TOTAL,
                "remaining_quantity": TOTAL - spent,
                "purchase_time": opened,
                "effective_time": opened,
                "invalid_time": opened + _YEAR_SECONDS * 1000,
                "status": "online",
            }
        ]
