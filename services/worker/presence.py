"""Whether this try of an activity is still the one that counts; only the server's word does."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError

from services.worker.policies import CONFIRM_INTERVAL, CONFIRM_TRUST
from shared.errors import OutcomeUnknown

RPC_TIMEOUT = timedelta(seconds=2)

# OutcomeUnknown where another try may have begun.
Check = Callable[[], Awaitable[None]]


class Presence:
    """A try whose worker was frozen or cut off may wake when another one has long begun."""

    def __init__(self, client: Client) -> None:
        self._info = activity.info()
        self._handle = client.get_workflow_handle(
            str(self._info.workflow_id), run_id=self._info.workflow_run_id
        )
        # The server has just given us this very try.
        self._confirmed_at = time.monotonic()

    async def keep(self) -> None:
        """Ask again and again, so that a check seldom has to."""
        while True:
            await asyncio.sleep(CONFIRM_INTERVAL.total_seconds())
            with suppress(RPCError, OutcomeUnknown):
                await self._confirm()

    async def check(self) -> None:
        """OutcomeUnknown where another try may have begun; asks where the last answer is old."""
        if time.monotonic() - self._confirmed_at < CONFIRM_TRUST.total_seconds():
            return
        try:
            await self._confirm()
        except RPCError:
            raise OutcomeUnknown("The server can't say whether this try still counts.") from None

    async def _confirm(self) -> None:
        asked_at = time.monotonic()
        description = await self._handle.describe(rpc_timeout=RPC_TIMEOUT)
        ours = (self._info.activity_id, self._info.attempt)
        pending = description.raw_description.pending_activities
        if ours not in {(each.activity_id, each.attempt) for each in pending}:
            raise OutcomeUnknown("Another try of this step has begun, or none is wanted any more.")
        self._confirmed_at = asked_at


@asynccontextmanager
async def still_ours(client: Client) -> AsyncIterator[Check]:
    """Around a wait, however short it should be: gives the check to make before acting on it."""
    presence = Presence(client)
    task = asyncio.create_task(presence.keep())
    try:
        yield presence.check
    finally:
        task.cancel()
