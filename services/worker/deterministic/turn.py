"""A job's side of one gate, the slot's or a stage's: it asks, and holds once it has its permit."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from services.worker.deterministic import stages
    from services.worker.deterministic.cancellation import Cancellation, StageFailed
    from services.worker.models import WITHDRAW_REQUEST
    from services.worker.policies import ASK_AGAIN, LOCAL_RETRY_POLICY
    from shared.errors import QueueFull
    from shared.semaphore.messages import (
        JOB_GATE,
        RELEASE_SIGNAL,
        REQUEST_SIGNAL,
        Gate,
        Permit,
        Release,
        SlotRequest,
        semaphore_id,
    )


class Turn:
    """The permit of this run at one gate, or the wait for it."""

    def __init__(self, gate: Gate, request: SlotRequest, cancellation: Cancellation) -> None:
        self.gate = gate
        self.permit: Permit | None = None
        self._request = request
        self._cancellation = cancellation
        # How many wait, where the queue is full.
        self._full: int | None = None

    def refuse(self, waiting: int) -> None:
        """The semaphore has no room for this run."""
        self._full = waiting

    def grant(self, permit: Permit) -> None:
        """Take the permit of this run; a repeat, or another run's, changes nothing."""
        if permit.run_id == self._request.run_id and self.permit is None:
            self.permit = permit


class SlotTurn(Turn):
    """The slot's: asked for when the job enters the queue, and given back with the run itself."""

    def __init__(self, request: SlotRequest, cancellation: Cancellation) -> None:
        super().__init__(JOB_GATE, request, cancellation)

    async def come(self) -> Permit:
        """The permit; StageFailed where the queue is full."""
        await self._cancellation.until(lambda: self.permit is not None or self._full is not None)
        if self.permit is None:
            raise StageFailed(QueueFull.code, f"{self._full} jobs wait already.", in_doubt=False)
        return self.permit

    async def withdraw(self) -> None:
        """Leave the queue; a semaphore that can't be told finds out when it grants."""
        try:
            await stages.local(
                WITHDRAW_REQUEST,
                self._request,
                type(None),
                summary="leave the semaphore's queue",
                retry=LOCAL_RETRY_POLICY,
            )
        except stages.LocalFailed as failure:
            workflow.logger.warning("the semaphore's queue could not be left: %s", failure)


class StageTurn(Turn):
    """A stage's: asked for when the stage begins, given back when it has passed.

    What it tells the semaphore are signals of the workflow, so that they stand in its history: a
    semaphore that comes back reads there who asked and who has passed.
    """

    async def come(self) -> None:
        """Return with the permit; asks until it is heard."""
        while self.permit is None:
            await self._tell(REQUEST_SIGNAL, [self._request])
            why = f"until the {self.gate} gate is asked again"
            await self._cancellation.until(lambda: self.permit is not None, ASK_AGAIN, why)

    async def give_back(self) -> None:
        """Let the next one pass."""
        permit, self.permit = self.permit, None
        if permit is not None:
            release = Release(run_id=self._request.run_id, token=permit.token)
            await self._tell(RELEASE_SIGNAL, release)

    async def _tell(self, signal: str, argument: object) -> None:
        stages.check_not_reset()
        semaphore = workflow.get_external_workflow_handle(semaphore_id(self.gate))
        try:
            await semaphore.signal(signal, argument)
        except ApplicationError:
            workflow.logger.info("there is no semaphore now; the next one reads our history")
