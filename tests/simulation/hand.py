"""A workflow task in a worker's hands: it waits for the local activities that it has begun."""

from typing import TYPE_CHECKING, Any

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure

from tests.simulation.core import Core, TaskFailed
from tests.simulation.history import Marker
from tests.simulation.runs import Activity, Run, Task, Try
from tests.simulation.trying import Trial

if TYPE_CHECKING:
    from tests.simulation.worker import Worker

# A task that waits for a local activity tells the server in time, and is given a new one.
TASK_SHARE = 0.8
LOCAL_RETRY = 0.05


class Hand:
    """The run's task, from its arrival to the answer; also between two of them that go on."""

    def __init__(self, worker: "Worker", run: Run, core: Core) -> None:
        self._worker = worker
        self._run = run
        self._task: Task | None = None
        self._core = core
        self._trials: dict[int, Trial] = {}
        self._ended: list[Marker] = []

    def hold(self, task: Task) -> None:
        """A task has come, and the core has taken in what is new."""
        self._task = task
        share = task.began + TASK_SHARE * self._run.task_timeout
        self._worker.world.at(share, self._goes_on, task)
        self._proceed()

    def ended(self) -> list[Marker]:
        """What has ended since the last task: the next one tells of it."""
        ended, self._ended = self._ended, []
        return ended

    def drop(self) -> None:
        """The run is forgotten; its local activities are given up."""
        for trial in self._trials.values():
            trial.cancel("evicted")

    def _proceed(self) -> None:
        """Run the local activities that are wanted; answer when none is open."""
        core = self._core
        for seq in core.to_stop:
            trial = self._trials.pop(seq, None)
            if trial is not None:
                trial.cancel("cancel_requested")
        core.to_stop.clear()
        wanted, core.to_start = core.to_start, []
        for each in wanted:
            if each.seq in core.locals:
                self._start_local(each, 1)
        if not core.locals or core.closes():
            self._answer(goes_on=False)
            return
        for seq, each in core.locals.items():
            if seq not in self._trials:
                # Left over from a task that was not taken, or that another worker had.
                self._start_local(each, 1)

    def _start_local(self, wanted: Any, attempt: int) -> None:
        if not self._awaits(wanted.seq):
            return
        worker = self._worker
        now = worker.world.now
        activity = Activity(
            run=self._run,
            seq=wanted.seq,
            activity_id=wanted.activity_id,
            scheduled=0,
            type=wanted.activity_type,
            queue=worker.queue,
            args=list(wanted.arguments),
            policy=wanted.retry_policy,
            start_to_close=wanted.start_to_close_timeout.ToNanoseconds() / 1e9,
            heartbeat=0.0,
            at=now,
            attempt=attempt,
        )

        def done(payload: Payload | None, failure: Failure | None, _cancelled: bool) -> None:
            if failure is not None and self._may_retry(activity, failure):
                again = LOCAL_RETRY * 2 ** min(attempt, 6)
                worker.world.after(again, self._start_local, wanted, attempt + 1)
                return
            marker = Marker(wanted.seq, worker.world.now, payload, failure)
            self._local_done(marker)

        trial = Trial(worker, activity, Try(attempt, now, now, worker), done, local=True)
        self._trials[wanted.seq] = trial
        trial.begin()

    def _may_retry(self, activity: Activity, failure: Failure) -> bool:
        most = activity.policy.maximum_attempts
        spent = most and activity.attempt >= most
        return not spent and not failure.application_failure_info.non_retryable

    def _local_done(self, marker: Marker) -> None:
        if not self._awaits(marker.seq):
            return
        self._trials.pop(marker.seq, None)
        self._worker.call_soon(self._resolve, marker)

    def _resolve(self, marker: Marker) -> None:
        if not self._awaits(marker.seq):
            return
        if self._task is None:
            # The next task is on its way.
            self._ended.append(marker)
            return
        try:
            self._core.resolve(marker)
        except TaskFailed as failure:
            self._worker.failed(self._run, self._task, failure)
            return
        finally:
            self._worker.again()
        self._proceed()

    def _goes_on(self, task: Task) -> None:
        """The server is told that the task takes longer."""
        worker = self._worker
        if worker.alive and not worker.frozen and self._task is task:
            self._answer(goes_on=True)

    def _answer(self, *, goes_on: bool) -> None:
        task, self._task = self._task, None
        assert task is not None
        answer = self._core.finish(goes_on=goes_on)
        if not goes_on:
            del self._worker.hands[self._run.run_id]
        self._worker.answer(self._run, task, answer)

    def _awaits(self, seq: int) -> bool:
        """Whether a local activity is still of use here."""
        return self._worker.hands.get(self._run.run_id) is self and seq in self._core.locals
