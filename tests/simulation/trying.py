"""One try of an activity: the real function, with the SDK's heartbeats and cancellation."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

from temporalio import activity as sdk
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.common import _CompositeEvent
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.testing import ActivityEnvironment

from shared.errors import GenvideoError
from shared.temporal.activities import to_application_error
from tests.simulation.history import Activity, Try, timestamp

if TYPE_CHECKING:
    from tests.simulation.worker import Worker

Done = Callable[[Payload | None, Failure | None, bool], None]
THROTTLE_SECONDS = 0.5
USUAL = ActivityEnvironment.default_info()
# No simulated worker is asked to stop.
NEVER = _CompositeEvent(thread_event=threading.Event(), async_event=None)


@dataclass(eq=False)
class Trial:
    """A task in its worker's process."""

    _worker: "Worker"
    _activity: Activity
    _trying: Try
    _done: Done
    local: bool
    _task: asyncio.Task[Any] | None = None
    _reason: str = ""
    _sent_at: float = -THROTTLE_SECONDS
    _pending: tuple[Any, ...] | None = None
    _flushing: bool = False

    def begin(self) -> None:
        self._worker.call_soon(self._begin)

    def _begin(self) -> None:
        self._task = self._worker.create_task(self._run())

    async def _run(self) -> None:
        sdk._Context.set(self._context())
        payload: Payload | None = None
        failure: Failure | None = None
        try:
            function = self._worker.functions[self._activity.type]
            table = self._worker.server.table
            await self._dawdle()
            hints = getattr(function, "__temporal_activity_definition").arg_types
            args = table.from_payloads(self._activity.args, hints)
            payload = table.to_payload(await self._bounded(function(*args)))
        except asyncio.CancelledError as error:
            if self._reason != "cancel_requested":
                failure = self._failure(error)
        except (Exception, GenvideoError) as error:
            failure = self._failure(error)
        self._done(payload, failure, payload is None and failure is None)

    async def _dawdle(self) -> None:
        """A local activity may take long: the disk is slow, or the machine is busy."""
        server = self._worker.server
        if self.local and server.world.chance.often("slow local", server.dawdles):
            await asyncio.sleep(server.world.chance.between("how slow", *server.dawdle))

    async def _bounded(self, call: Any) -> Any:
        if not self.local:
            return await call
        async with asyncio.timeout(self._activity.start_to_close):
            return await call

    def _failure(self, error: BaseException) -> Failure:
        """What the worker's interceptor and the SDK make of it."""
        if isinstance(error, GenvideoError):
            error = to_application_error(error)
        failure = Failure(message=str(error))
        info = failure.application_failure_info
        if isinstance(error, ApplicationError):
            info.type = error.type or ""
            info.non_retryable = error.non_retryable
            if error.next_retry_delay is not None:
                info.next_retry_delay.FromTimedelta(error.next_retry_delay)
        else:
            info.type = type(error).__name__
            if not self._reason and not isinstance(error, RPCError | TimeoutError):
                self._worker.unexpected(self._activity, error)
        return failure

    def cancel(self, reason: str) -> None:
        """Have it stop; it may take its time."""
        if self._task is not None and not self._reason and not self._task.done():
            self._reason = reason
            self._task.cancel()

    # Heartbeats

    def heartbeat(self, *details: Any) -> None:
        """Sent at once, or when the throttle lets it."""
        now = self._worker.world.now
        self._pending = details
        wait = self._sent_at + THROTTLE_SECONDS - now
        if wait <= 0:
            self._send()
        elif not self._flushing:
            # One that waits already carries these details then.
            self._flushing = True
            self._worker.call_later(wait, self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._task is not None and not self._task.done():
            self._send()

    def _send(self) -> None:
        details, self._pending = self._pending, None
        if details is None:
            return
        self._sent_at = self._worker.world.now
        hop = self._worker.server.hop(f"beat {self._activity.run.workflow_id}")
        self._worker.world.after(hop, self._arrive, details, hop)

    def _arrive(self, details: tuple[Any, ...], hop: float) -> None:
        reason = self._worker.server.activities.heartbeat(self._activity, self._trying, details)
        if reason is not None:
            self._worker.world.after(hop, self._worker.call_soon, self.cancel, reason)

    def _context(self) -> sdk._Context:
        activity = self._activity
        began = timestamp(self._trying.began).ToDatetime(UTC)
        scheduled = timestamp(activity.at).ToDatetime(UTC)
        is_first = self._trying.attempt == 1 and not activity.was_reset
        info = replace(
            USUAL,
            activity_id=activity.activity_id,
            activity_type=activity.type,
            attempt=self._trying.attempt,
            current_attempt_scheduled_time=scheduled if is_first else began,
            heartbeat_details=activity.details,
            heartbeat_timeout=timedelta(seconds=activity.heartbeat) if activity.heartbeat else None,
            is_local=self.local,
            scheduled_time=scheduled,
            start_to_close_timeout=timedelta(seconds=activity.start_to_close),
            started_time=began,
            task_queue=activity.queue,
            workflow_id=activity.run.workflow_id,
            workflow_run_id=activity.run.run_id,
            workflow_type=activity.run.type,
        )
        return sdk._Context(
            info=lambda: info,
            heartbeat=self.heartbeat,
            cancelled_event=None,  # type: ignore[arg-type]
            worker_shutdown_event=NEVER,
            shield_thread_cancel_exception=None,
            payload_converter_class_or_instance=self._worker.server.table,
            runtime_metric_meter=None,
            client=None,
            cancellation_details=sdk._ActivityCancellationDetailsHolder(),
        )
