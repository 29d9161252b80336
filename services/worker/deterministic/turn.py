"""A job's side of one gate, the slot's or a stage's: it asks, is told to be next, and holds."""

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from services.worker.deterministic import stages
    from services.worker.deterministic.cancellation import Cancellation, StageFailed, to_its_end
    from services.worker.models import REQUEST_SLOT, WITHDRAW_REQUEST
    from services.worker.policies import (
        ASK_AGAIN,
        LOCAL_RETRY_POLICY,
        LOCAL_TIMEOUT,
        REQUEST_RETRY_POLICY,
    )
    from shared.errors import QueueFull
    from shared.slot.messages import (
        JOB_GATE,
        RELEASE_SIGNAL,
        REQUEST_SIGNAL,
        Gate,
        Permit,
        Release,
        SlotRequest,
        semaphore_id,
    )

# A patch: a reset run that is refused the permit of the run before it asks by itself.
ASKS_ANEW = "asks_anew_after_a_reset"


class Turn:
    """The permit of this run at one gate, or the wait to be next; being next gives no right."""

    def __init__(self, gate: Gate, request: SlotRequest, cancellation: Cancellation) -> None:
        self.gate = gate
        self.permit: Permit | None = None
        self._request = request
        self._cancellation = cancellation
        self._is_next = False
        self._room: int | None = None
        self._seen = -1

    def tell(self) -> None:
        """The semaphore says that this run is next."""
        self._is_next = True

    def refuse(self, room: int) -> None:
        """As many wait as the semaphore has room for."""
        self._room = room

    def offer(self, permit: Permit) -> bool:
        """Take a permit; False for one that was seen before, is older, or is another run's."""
        if permit.token <= self._seen or self._passes_over(permit):
            return False
        self._seen = permit.token
        self.permit = permit
        return True

    def _passes_over(self, permit: Permit) -> bool:
        """Whether it is that of a run before a reset; the server tells this one of it as well.

        As far as it replays the run before, it takes that permit as that one did. So each one that
        is passed over has a mark of its own in the history, which speaks for no other.
        """
        others = permit.run_id != self._request.run_id
        return others and workflow.patched(f"permit_of_another_run-{permit.gate}-{permit.token}")

    def lose(self) -> None:
        """The semaphore says that this run holds nothing: it waits again."""
        self.permit = None

    async def come(self) -> None:
        """Return when the run is next, or holds already. StageFailed where there is no room."""
        while self.permit is None and not self._is_next:
            if self._room is not None:
                raise StageFailed(QueueFull.code, f"{self._room} jobs wait already.")
            await self._cancellation.until(
                lambda: self.permit is not None or self._is_next or self._room is not None
            )
        self._is_next = False


class SlotTurn(Turn):
    """The slot's: asked for by a local activity, which also starts the semaphore where need be.

    It goes back with the run itself.
    """

    def __init__(self, request: SlotRequest, cancellation: Cancellation) -> None:
        super().__init__(JOB_GATE, request, cancellation)
        self._refusals = 0

    def asks_anew(self) -> bool:
        """Whether the run, which was refused, has to ask: ended first and reset then, it is in no
        queue, and its record says that it has ended.

        As far as it replays the run before, it asked no more than that one did. So each refusal
        has a mark of its own in the history, which speaks for no other.
        """
        self._refusals += 1
        return stages.is_repeated() and workflow.patched(f"{ASKS_ANEW}-{self._refusals}")

    async def ask(self) -> None:
        """Have the semaphore know that this run waits."""
        await to_its_end(
            workflow.start_local_activity(
                REQUEST_SLOT,
                self._request,
                summary="ask the semaphore for the slot",
                start_to_close_timeout=LOCAL_TIMEOUT,
                retry_policy=REQUEST_RETRY_POLICY,
            )
        )

    async def withdraw(self) -> None:
        """Leave the queue; a semaphore that can't be told finds out when it tells us."""
        try:
            await to_its_end(
                workflow.start_local_activity(
                    WITHDRAW_REQUEST,
                    self._request,
                    summary="leave the semaphore's queue",
                    start_to_close_timeout=LOCAL_TIMEOUT,
                    retry_policy=LOCAL_RETRY_POLICY,
                )
            )
        except ActivityError:
            workflow.logger.warning("the semaphore could not be told that we don't wait any more")


class StageTurn(Turn):
    """A stage's: asked for when the stage begins, given back when it has passed.

    What it tells the semaphore are signals of the workflow, so that they stand in its history: a
    semaphore that comes back reads there who asked and who has passed.
    """

    async def come(self) -> None:
        """As Turn.come; asks until it is heard."""
        while self.permit is None and not self._is_next:
            await self._tell(REQUEST_SIGNAL, [self._request])
            await self._cancellation.until(
                lambda: self.permit is not None or self._is_next,
                ASK_AGAIN,
                f"until the {self.gate} gate is asked again",
            )
        self._is_next = False

    async def give_back(self) -> None:
        """Let the next one pass. A permit that is another run's, after a reset, is void anyway."""
        permit, self.permit = self.permit, None
        if permit is not None:
            release = Release(run_id=self._request.run_id, token=permit.token)
            await self._tell(RELEASE_SIGNAL, release)

    async def _tell(self, signal: str, argument: object) -> None:
        semaphore = workflow.get_external_workflow_handle(semaphore_id(self.gate))
        try:
            await semaphore.signal(signal, argument)
        except ApplicationError:
            workflow.logger.info("there is no semaphore now; the next one reads our history")
