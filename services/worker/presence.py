"""Whether this try of an activity is still the one that counts; only the server's word does."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

from temporalio import activity
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import Client
from temporalio.service import RPCError

from services.worker.policies import CONFIRM_INTERVAL, CONFIRM_TRUST
from shared.errors import OutcomeUnknown

RPC_TIMEOUT = timedelta(seconds=2)
# Between two questions while a check waits for our next heartbeat to arrive.
CHECK_PAUSE_SECONDS = 0.02

# OutcomeUnknown where another try may have begun.
Check = Callable[[], Awaitable[None]]


class Presence:
    """A try whose worker was frozen or cut off may wake when another one has long begun.

    The server begins another one a heartbeat time-out after it last heard of this one. When that
    was, by our clock, is told by two descriptions: a heartbeat that the second one shows and the
    first doesn't came after the first was asked for.
    """

    def __init__(self, client: Client) -> None:
        self._info = activity.info()
        self._handle = client.get_workflow_handle(
            str(self._info.workflow_id), run_id=self._info.workflow_run_id
        )
        self._asked_at = time.monotonic()
        # A try that begins is as good as heard of; a clock that disagrees costs a question.
        age = datetime.now(UTC) - self._info.started_time
        self._heard_after = self._asked_at - abs(age.total_seconds())
        self._heartbeat: int | None = None

    async def keep(self) -> None:
        """Ask again and again, so that a check seldom has to."""
        while True:
            await asyncio.sleep(CONFIRM_INTERVAL.total_seconds())
            with suppress(RPCError, OutcomeUnknown):
                await self._ask()

    async def check(self) -> None:
        """Return when the server has heard of this try lately; OutcomeUnknown where it counts no
        more, or the server can't be asked."""
        while time.monotonic() - self._heard_after > CONFIRM_TRUST.total_seconds():
            try:
                await self._ask()
            except RPCError:
                raise OutcomeUnknown("The server can't say whether this try counts.") from None
            await asyncio.sleep(CHECK_PAUSE_SECONDS)

    async def _ask(self) -> None:
        asked_at = time.monotonic()
        description = await self._handle.describe(rpc_timeout=RPC_TIMEOUT)
        heartbeat = self._heartbeat_in(description.raw_description)
        if self._heartbeat is not None and heartbeat != self._heartbeat:
            self._heard_after = self._asked_at
        self._heartbeat, self._asked_at = heartbeat, asked_at

    def _heartbeat_in(self, description: DescribeWorkflowExecutionResponse) -> int:
        """When the server last heard of this try, by its own clock."""
        for each in description.pending_activities:
            if (each.activity_id, each.attempt) == (self._info.activity_id, self._info.attempt):
                return each.last_heartbeat_time.ToNanoseconds()
        raise OutcomeUnknown("Another try of this step has begun, or none is wanted any more.")


@asynccontextmanager
async def still_ours(client: Client) -> AsyncIterator[Check]:
    """Around a wait, however short it should be: gives the check to make before acting on it."""
    presence = Presence(client)
    task = asyncio.create_task(presence.keep())
    try:
        yield presence.check
    finally:
        task.cancel()
