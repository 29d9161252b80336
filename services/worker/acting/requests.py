"""Asking for the slot and leaving its queue; requests that come together go as one signal."""

import asyncio
from collections import deque

import structlog
from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from services.worker.models import WITHDRAW_REQUEST
from shared.errors import TemporalRefuses, TemporalUnavailable
from shared.semaphore.client import start_semaphore
from shared.semaphore.messages import JOB_GATE, WITHDRAW_SIGNAL, SlotRequest, semaphore_id
from shared.temporal.client import answer

log = structlog.get_logger(__name__)

# One signal of so many stays far below what the server takes.
MAX_BATCH = 100

Waiting = tuple[SlotRequest, asyncio.Future[None]]


class Requests:
    """All jobs of this process share one line to the semaphore."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._waiting: deque[Waiting] = deque()
        self._sending: asyncio.Task[None] | None = None

    async def send(self, request: SlotRequest) -> None:
        """Ask the semaphore for the slot, and start the semaphore where there is none.

        Sent at once when nothing is under way, else with all that come meanwhile; what goes wrong
        with a signal goes wrong for each request in it, and each is sent again by its own retry.
        """
        accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, accepted))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_all())
        await accepted

    async def _send_all(self) -> None:
        while self._waiting:
            taken = [self._waiting.popleft() for _ in range(min(MAX_BATCH, len(self._waiting)))]
            # Whose activity ran out of time asks again by itself.
            batch = [item for item in taken if not item[1].done()]
            if batch:
                await self._send(batch)

    async def _send(self, batch: list[Waiting]) -> None:
        error: Exception | None = None
        try:
            call = start_semaphore(self._client, requests=[request for request, _ in batch])
            await answer(call)
        except TemporalRefuses as refused:
            # The job waits until somebody has mended it.
            error = TemporalUnavailable(refused.message)
        except Exception as failure:
            error = failure
        for _, accepted in batch:
            if accepted.done():
                continue
            if error is None:
                accepted.set_result(None)
            else:
                accepted.set_exception(error)

    @activity.defn(name=WITHDRAW_REQUEST)
    async def withdraw_request(self, request: SlotRequest) -> None:
        """Leave the queue; it would be found out at the grant, this is for who looks at it."""
        handle = self._client.get_workflow_handle(semaphore_id(JOB_GATE))
        try:
            await handle.signal(WITHDRAW_SIGNAL, request.run_id)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            log.info("there is no semaphore, and so no queue to leave")
