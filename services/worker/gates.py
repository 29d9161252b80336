"""A job's side of a stage's gate: it asks when the stage begins, and gives back when it has passed.

What it tells the keeper are signals of the workflow, so that they stand in its history: a keeper
that comes back reads there who asked and who has passed, whether the last one heard it or not.
"""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from shared.slots import (
        RELEASE_SIGNAL,
        REQUEST_SIGNAL,
        WITHDRAW_SIGNAL,
        Gate,
        Permit,
        Release,
        SlotRequest,
        keeper_id,
    )


class StageGate:
    """This run's permit of one gate, or the wait for it."""

    def __init__(self, gate: Gate, request: SlotRequest) -> None:
        self.gate = gate
        self.permit: Permit | None = None
        self._request = request
        self._wanted = False
        self._seen = -1
        # What we say is heard in the order in which we say it.
        self._line = asyncio.Lock()

    async def offer(self, permit: Permit) -> None:
        """A permit from the keeper; one that isn't wanted is given back at once."""
        if not self._wanted:
            await self._give_back(permit)
        elif permit.token > self._seen:
            self._seen = permit.token
            self.permit = permit

    async def take(self) -> None:
        """Return when this run may pass."""
        self._wanted = True
        try:
            await self._tell(REQUEST_SIGNAL, [self._request])
            await workflow.wait_condition(lambda: self.permit is not None)
        except asyncio.CancelledError:
            if self.permit is None:
                self._wanted = False
                await self._tell(WITHDRAW_SIGNAL, self._request.run_id)
            raise

    async def give_back(self) -> None:
        """Let the next one pass. A permit that is another run's, after a reset, is void anyway."""
        self._wanted = False
        permit, self.permit = self.permit, None
        if permit is not None:
            await self._give_back(permit)

    async def _give_back(self, permit: Permit) -> None:
        release = Release(run_id=self._request.run_id, token=permit.token)
        await self._tell(RELEASE_SIGNAL, release)

    async def _tell(self, signal: str, argument: object) -> None:
        keeper = workflow.get_external_workflow_handle(keeper_id(self.gate))
        async with self._line:
            try:
                await keeper.signal(signal, argument)
            except ApplicationError:
                workflow.logger.info("there is no keeper now; the next one reads our history")
