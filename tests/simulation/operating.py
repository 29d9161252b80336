"""An operator who changes the slot: one change after the other, each again until it is done."""

from collections import deque
from typing import Any

from temporalio.service import RPCError

from shared.slot.messages import CHANGE_UPDATE, JOB_GATE, SlotChange
from tests.simulation import product
from tests.simulation.runs import Update
from tests.simulation.server import Server
from tests.simulation.world import BEGINNING

# One whose change was not taken tries once more after this.
AGAIN_SECONDS = 0.5


class Operator:
    """Knows what is still wanted."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._world = server.world
        self._wanted: deque[SlotChange] = deque()

    def change(self, at: float, **fields: Any) -> None:
        """Have the slot's limit changed, or have it paused, so many seconds from the beginning."""
        self._world.at(BEGINNING + at, self._want, SlotChange(**fields))

    def waits(self) -> bool:
        """Whether a change is not done yet."""
        return bool(self._wanted)

    def _want(self, change: SlotChange) -> None:
        self._wanted.append(change)
        if len(self._wanted) == 1:
            self._send()

    def _send(self) -> None:
        args = self._server.table.of(self._wanted[0])
        update = Update(f"change-{self._server.number()}", CHANGE_UPDATE, args, any_run=True)
        update.waiting.append(lambda: self._sent(update))
        try:
            self._server.update(product.semaphore_of(JOB_GATE), None, update)
        except RPCError:
            self._world.after(AGAIN_SECONDS, self._send)

    def _sent(self, update: Update) -> None:
        if update.refused is None and update.outcome is not None and update.outcome[1] is None:
            self._wanted.popleft()
        if self._wanted:
            self._world.after(AGAIN_SECONDS, self._send)
