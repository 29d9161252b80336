"""Activities on the server's side: given to a worker, heard of, retried, timed out, cancelled."""

from typing import TYPE_CHECKING, Any

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import TimeoutType
from temporalio.api.failure.v1 import Failure

from tests.simulation.history import Activity, Run, Try

if TYPE_CHECKING:
    from tests.simulation.server import Server

POLL_SECONDS = 0.2


class Activities:
    """A try that was given up may still run at its worker: what it says does not count."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._world = server.world

    def schedule(self, run: Run, wanted: Any) -> None:
        event = run.write(
            self._world.now, "activity_scheduled", type=wanted.activity_type,
            args=list(wanted.arguments), seq=wanted.seq, wanted=wanted,
        )  # fmt: skip
        self.begin(run, wanted, event.number)

    def begin(self, run: Run, wanted: Any, number: int) -> None:
        """Also for a run that a reset has made."""
        activity = Activity.of(
            run,
            wanted,
            at=self._world.now,
            scheduled=number,
            queue=wanted.task_queue or run.queue,
            heartbeat=wanted.heartbeat_timeout.ToNanoseconds() / 1e9,
        )
        run.activities[activity.seq] = activity
        self._give_out(activity)

    def _give_out(self, activity: Activity) -> None:
        hop = self._server.hop(f"activity {activity.run.workflow_id}")
        self._world.after(hop, self._dispatch, activity, activity.attempt)

    def _dispatch(self, activity: Activity, attempt: int) -> None:
        if activity.ended or activity.trying is not None or activity.attempt != attempt:
            return
        if activity.paused:
            return
        workers = self._server.polling(activity.queue)
        if not workers:
            self._world.after(POLL_SECONDS, self._dispatch, activity, attempt)
            return
        worker = self._world.chance.pick(f"worker of {activity.run.workflow_id}", workers)
        now = self._world.now
        activity.trying = trying = Try(attempt, now, now, worker)
        if activity.heartbeat:
            self._world.after(activity.heartbeat, self._check_heartbeat, activity, trying)
        kind = TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
        self._world.after(activity.start_to_close, self._timed_out, activity, trying, kind)
        hop = self._server.hop(f"activity {activity.run.workflow_id}")
        self._world.after(hop, worker.try_activity, activity, trying)

    def heartbeat(self, activity: Activity, trying: Try, details: tuple[Any, ...]) -> str | None:
        """A try is heard of; why it should stop, where it should."""
        if activity.ended or activity.trying is not trying:
            return "not_found"
        trying.heard = self._world.now
        activity.details = details
        if activity.paused or activity.resets:
            return "operator"
        return "cancel_requested" if activity.cancel_requested else None

    def _check_heartbeat(self, activity: Activity, trying: Try) -> None:
        if activity.ended or activity.trying is not trying:
            return
        due = trying.heard + activity.heartbeat
        if due > self._world.now + 1e-6:
            self._world.at(due, self._check_heartbeat, activity, trying)
        else:
            self._timed_out(activity, trying, TimeoutType.TIMEOUT_TYPE_HEARTBEAT)

    def _timed_out(self, activity: Activity, trying: Try, kind: "TimeoutType.ValueType") -> None:
        if activity.ended or activity.trying is not trying:
            return
        failure = Failure(message="activity timed out")
        failure.timeout_failure_info.timeout_type = kind
        if not self._retry(activity, None, may=True):
            self._end(activity, "activity_timed_out", failure=failure)

    def complete(self, activity: Activity, trying: Try, result: Payload) -> None:
        if not activity.ended and activity.trying is trying:
            self._end(activity, "activity_completed", result=result)

    def fail(self, activity: Activity, trying: Try, failure: Failure) -> None:
        """A try has failed; another one follows where that can help."""
        if activity.ended or activity.trying is not trying:
            return
        info = failure.application_failure_info
        delay = info.next_retry_delay.ToNanoseconds() / 1e9 or None
        if not self._retry(activity, delay, may=not info.non_retryable):
            self._end(activity, "activity_failed", failure=failure)

    def cancelled(self, activity: Activity, trying: Try) -> None:
        if not activity.ended and activity.trying is trying:
            self._end(activity, "activity_canceled")

    def request_cancel(self, run: Run, seq: int) -> None:
        """One that nobody works at is cancelled at once."""
        activity = run.activities.get(seq)
        if activity is None:
            return
        activity.cancel_requested = True
        if activity.trying is None:
            self._end(activity, "activity_canceled")

    def _retry(self, activity: Activity, delay: float | None, *, may: bool) -> bool:
        policy = activity.policy
        spent = policy.maximum_attempts and activity.attempt >= policy.maximum_attempts
        if not may or spent or activity.cancel_requested:
            return False
        if activity.resets:
            self._begin_anew(activity)
            return True
        first = policy.initial_interval.ToNanoseconds() / 1e9 or 1.0
        longest = policy.maximum_interval.ToNanoseconds() / 1e9 or 100 * first
        steps = min(activity.attempt - 1, 30)
        pause = min(first * (policy.backoff_coefficient or 2.0) ** steps, longest)
        activity.trying = None
        activity.attempt += 1
        self._world.after(pause if delay is None else delay, self._give_out, activity)
        return True

    # An operator's tools

    def reset(self, activity: Activity, *, clears: bool) -> None:
        """Count its tries from 1 again; a running try learns it by its next heartbeat.

        `clears`: what its heartbeats have told is forgotten, too.
        """
        activity.resets, activity.clears = True, clears
        if activity.trying is None:
            self._begin_anew(activity)

    def _begin_anew(self, activity: Activity) -> None:
        activity.resets, activity.was_reset = False, True
        activity.trying, activity.attempt = None, 1
        if activity.clears:
            activity.details = ()
        self._give_out(activity)

    def pause(self, activity: Activity, seconds: float) -> None:
        """Let no try begin for the given seconds; a running try learns it by its next heartbeat."""
        activity.paused = True
        self._world.after(seconds, self._unpause, activity)

    def _unpause(self, activity: Activity) -> None:
        activity.paused = False
        if activity.trying is None and not activity.ended:
            self._give_out(activity)

    def fail_by_hand(self, activity: Activity) -> None:
        """Fail it, whatever its try does; the try learns nothing."""
        failure = Failure(message="failed by hand")
        failure.application_failure_info.non_retryable = True
        self._end(activity, "activity_failed", failure=failure)

    def complete_by_hand(self, activity: Activity) -> None:
        """It is done, with a result that is none."""
        result = self._server.table.to_payload({"done": "by hand"})
        self._end(activity, "activity_completed", result=result)

    def _end(
        self,
        activity: Activity,
        kind: str,
        *,
        result: Payload | None = None,
        failure: Failure | None = None,
    ) -> None:
        activity.ended = True
        activity.run.activities.pop(activity.seq, None)
        self._server.news(
            activity.run, kind, seq=activity.seq, scheduled=activity.scheduled, result=result,
            failure=failure,
        )  # fmt: skip
