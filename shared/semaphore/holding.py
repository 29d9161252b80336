"""Use a semaphore in a workflow: `async with Semaphore("gpu-pool", limit=4):`."""

import asyncio
from datetime import datetime, timedelta
from typing import Any, Self

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from .messages import (
        ASK_ACTIVITY,
        DEFAULT_PRIORITY,
        MEMO,
        RELEASE_SIGNAL,
        RESET,
        RESET_MESSAGE,
        SEMAPHORE_QUEUE,
        WITHDRAW_SIGNAL,
        Ask,
        CleanUp,
        Permit,
        SlotRequest,
        granted_signal,
        memo_of,
        semaphore_id,
    )

ASK_SECONDS = timedelta(seconds=10)
ASK_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=100), maximum_interval=timedelta(seconds=5)
)
HAS_PLACE = "This run has or awaits a place of this semaphore, and can have only one."


class Semaphore:
    """The permit of this run, or the wait for it. It ends with the block, or with the run.

    `limit` counts for a semaphore that does not exist yet. `priority`: 1 is served first, 5 last.
    If the run was closed from outside, or closed while one of its activities ran, its place is kept
    until `clean_up` has returned, or for `grace`. The default is the time that the time-outs of its
    activities allow them to run on. Messages are plain JSON, so any payload converter works.
    """

    def __init__(
        self,
        name: str,
        *,
        limit: int | None = None,
        priority: int = DEFAULT_PRIORITY,
        grace: timedelta | None = None,
        clean_up: CleanUp | None = None,
        requested_at: datetime | None = None,
        task_queue: str = SEMAPHORE_QUEUE,
    ) -> None:
        info = workflow.info()
        self.name = name
        self.permit: Permit | None = None
        self.request = SlotRequest(
            job_id=info.workflow_id,
            # A run that was reset replays the history of the earlier run under that run's id.
            run_id=info.original_execution_run_id,
            priority=priority,
            requested_at=requested_at or workflow.now(),
            clean_up=clean_up,
            grace=grace.total_seconds() if grace is not None else None,
        )
        self._limit = limit
        self._task_queue = task_queue
        self._holder: asyncio.Task[Any] | None = None
        self._is_reset = False
        self._has_given_up = False
        self._last_token = -1
        self._listen()

    async def __aenter__(self) -> Self:
        if not self._listen():
            raise ApplicationError(HAS_PLACE, type="has_place", non_retryable=True)
        workflow.register_random_seed_callback(self._reset)
        self._holder, self._has_given_up = asyncio.current_task(), False
        try:
            await self.ask()
            await workflow.wait_condition(lambda: self.permit is not None)
        except (asyncio.CancelledError, ActivityError) as error:
            self._holder = None
            # The semaphore sees by itself that the run before a reset has closed.
            self._check_not_reset()
            await self.withdraw()
            if is_cancelled_exception(error):
                # A cancelled activity raises another error, which ends no `asyncio.timeout`.
                raise asyncio.CancelledError from None
            raise
        self._check_not_reset()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is GeneratorExit:
            # The run's code is thrown away, perhaps in the middle of another run's task, which must
            # not signal for it.
            return
        self._holder = None
        self._check_not_reset()
        self.release()

    async def ask(self) -> None:
        """Mark this run as a requester, and return when the semaphore has its request."""
        self.mark()
        await workflow.execute_activity(
            ASK_ACTIVITY,
            Ask(name=self.name, request=self.request, limit=self._limit).model_dump(mode="json"),
            task_queue=self._task_queue,
            summary=f"ask for a place of {self.name}"[:80],
            start_to_close_timeout=ASK_SECONDS,
            retry_policy=ASK_RETRY,
        )

    def mark(self) -> None:
        """Upsert the memo by which a semaphore without state finds this run; only once."""
        if f"{MEMO}{self.name}" not in workflow.info().raw_memo:
            workflow.upsert_memo(memo_of(self.name, self.request))

    def release(self) -> None:
        """Give the permit back; a run that closes need not do that."""
        permit, self.permit = self.permit, None
        if permit is not None:
            # Not awaited: if the run closes before the signal arrives, the close gives the permit
            # back.
            asyncio.create_task(self._signal(RELEASE_SIGNAL, permit.model_dump(mode="json")))  # noqa: RUF006 (the workflow's loop keeps it)

    async def withdraw(self) -> None:
        """Leave the queue, or give back the permit that has come meanwhile, or still comes."""
        self._has_given_up = True
        if self.permit is not None:
            self.release()
        else:
            # The server drops the signals of a run that closes in the same moment.
            await self._signal(WITHDRAW_SIGNAL, self.request.run_id)

    async def _signal(self, signal: str, argument: object) -> None:
        semaphore = workflow.get_external_workflow_handle(semaphore_id(self.name))
        try:
            await semaphore.signal(signal, argument)
        except ApplicationError:
            workflow.logger.info("no semaphore is running; the next one reads this history")

    def _listen(self) -> bool:
        """Get this name's permits from now on, unless another block of the run is open; the permit
        of an earlier one may be signalled again."""
        signal = granted_signal(self.name)
        before = getattr(workflow.get_signal_handler(signal), "__self__", None)
        if isinstance(before, Semaphore):
            if before._holder is not None:
                return False
            self._last_token = max(self._last_token, before._last_token)
        workflow.set_signal_handler(signal, self._granted)
        return True

    def _granted(self, value: dict[str, Any]) -> None:
        """Take the permit of this run; ignore a repeat and another run's permit."""
        try:
            permit = Permit.model_validate(value)
        except ValidationError:
            return
        is_new = permit.token > self._last_token and self.permit is None
        if permit.run_id == self.request.run_id and is_new:
            self.permit, self._last_token = permit, permit.token
            if self._has_given_up:
                self.release()

    def _reset(self, _seed: int) -> None:
        """Note that this run was reset, because the server gave it another seed.

        Its permit belongs to another run by now, so nothing inside of the block continues.
        """
        self._is_reset = True
        if self._holder is not None:
            self._holder.cancel()

    def _check_not_reset(self) -> None:
        if self._is_reset:
            raise ApplicationError(RESET_MESSAGE, type=RESET, non_retryable=True)
