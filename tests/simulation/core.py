"""One cached workflow instance with what the SDK's core does around it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from temporalio.api.common.v1 import Payload, Payloads
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_commands import ActivityCancellationType, WorkflowCommand
from temporalio.converter import PayloadConverter

from tests.simulation import jobs
from tests.simulation.commands import is_end
from tests.simulation.history import Marker, TaskRecord, timestamp
from tests.simulation.instances import new_instance
from tests.simulation.jobs import Job
from tests.simulation.runs import Run, Task
from tests.simulation.stubs import CLOCK

TRY_CANCEL = ActivityCancellationType.TRY_CANCEL


class TaskFailed(Exception):
    """The workflow's code raised something that fails the task."""


class Nondeterminism(Exception):
    """A replay did something else than the history says."""


@dataclass(slots=True)
class Answer:
    """What a workflow task comes to."""

    commands: list[WorkflowCommand] = field(default_factory=list)
    markers: list[Marker] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    flags: frozenset[int] = frozenset()
    goes_on: bool = False
    # Responses to updates that a validator has refused.
    refused: list[WorkflowCommand] = field(default_factory=list)

    def end_last(self) -> None:
        """The core moves the command that ends the run behind those that came after it."""
        places = sorted(range(len(self.commands)), key=lambda at: is_end(self.commands[at]))
        self.commands = [self.commands[at] for at in places]
        self.keys = [self.keys[at] for at in places]


class Core:
    """The instance, what it waits for, and the commands of the task that is under way."""

    def __init__(self, run: Run, definition: type, converter: PayloadConverter) -> None:
        self.run = run
        self.seen = 0
        self.instance = new_instance(run, definition, converter)
        self.locals: dict[int, Any] = {}
        self.to_start: list[Any] = []
        self.to_stop: list[int] = []
        self._activities: dict[int, Any] = {}
        self._answer = Answer()
        self._flags: set[int] = set()
        self._next: list[Job] = []
        # Up to where the tasks have told; a query may have let it see further.
        self.told = 0
        self._accepted: set[str] = set()
        self._stamp = timestamp(run.began)

    # A task that the server has taken before

    def replay(self, record: TaskRecord) -> None:
        """Do it again; Nondeterminism where it comes to something else."""
        self._flags |= record.flags
        known = {marker.seq: marker for marker in record.markers if not marker.cancelled}
        first = self._jobs_up_to(record.seen)
        first += [jobs.patch(patch_id) for patch_id in record.patches]
        first += [jobs.update(*update, validate=False) for update in record.updates]
        first += self._known(known)
        self.told = record.seen
        self._activate_all(first, record.at, known, replaying=True)
        keys = self.finish().keys
        if keys != record.keys:
            raise Nondeterminism(f"{keys} instead of {record.keys}")

    def _known(self, known: dict[int, Marker]) -> list[Job]:
        """The ends of local activities that were begun in an earlier task."""
        seqs = [seq for seq in known if seq in self.locals]
        for seq in seqs:
            del self.locals[seq]
        return [jobs.resolve_local(known.pop(seq)) for seq in seqs]

    # A new task

    def look_ahead(self) -> None:
        """Take in what no task has told yet, as happens with a query that overtakes the next task.

        What comes of it goes with the answer to that task.
        """
        found = self._jobs_up_to(len(self.run.events))
        if found and not self.closes():
            self._activate_all(found, self.run.events[-1].at, {}, replaying=False)

    def begin(self, task: Task) -> None:
        """Take in what is new."""
        assert task.started is not None
        if self.closes():
            return
        first = self._jobs_up_to(task.started)
        for update in task.updates:
            first.append(jobs.update(update.update_id, update.name, update.args, validate=True))
        self.told = task.started
        if first:
            self._activate_all(first, task.began, {}, replaying=False)

    def resolve(self, marker: Marker) -> None:
        """A local activity has ended."""
        del self.locals[marker.seq]
        self._answer.markers.append(marker)
        self._activate_all([jobs.resolve_local(marker)], marker.at, {}, replaying=False)

    def finish(self, *, goes_on: bool = False) -> Answer:
        """The answer to the task."""
        answer, self._answer = self._answer, Answer()
        answer.end_last()
        answer.goes_on = goes_on
        return answer

    def query(self, name: str, args: Payloads) -> Payload:
        """Ask the workflow something; that changes nothing."""
        activation = WorkflowActivation(
            run_id=self.run.run_id, timestamp=self._stamp, history_length=self.told
        )
        wanted = activation.jobs.add().query_workflow
        wanted.query_id, wanted.query_type = "query", name
        wanted.arguments.extend(args.payloads)
        completion = self.instance.activate(activation)
        if completion.HasField("failed"):
            raise TaskFailed(completion.failed.failure.message)
        [command] = completion.successful.commands
        if command.respond_to_query.HasField("failed"):
            raise TaskFailed(command.respond_to_query.failed.message)
        return command.respond_to_query.succeeded.response

    def evict(self) -> None:
        """Take the instance apart."""
        activation = WorkflowActivation(run_id=self.run.run_id)
        activation.jobs.add().remove_from_cache.SetInParent()
        self.instance.activate(activation)

    @property
    def object(self) -> Any:
        """The workflow itself, for whoever looks at it from outside."""
        return getattr(self.instance, "_object", None)

    def _jobs_up_to(self, seen: int) -> list[Job]:
        found: list[Job] = []
        for event in self.run.events[self.seen : seen]:
            found += jobs.of_event(self.run, event, self._activities)
        self.seen = seen
        return found

    def _activate_all(
        self, first: list[Job], at: float, known: dict[int, Marker], *, replaying: bool
    ) -> None:
        now = first
        while True:
            self._activate(now, at, replaying=replaying)
            now, self._next = self._next, []
            for seq in [seq for seq in self.locals if seq in known]:
                del self.locals[seq]
                marker = known.pop(seq)
                now.append(jobs.resolve_local(marker))
                at = max(at, marker.at)
            if not now:
                return

    def _activate(self, found: list[Job], at: float, *, replaying: bool) -> None:
        self._stamp = timestamp(at)
        activation = WorkflowActivation(
            run_id=self.run.run_id,
            timestamp=self._stamp,
            is_replaying=replaying,
            history_length=self.told,
            available_internal_flags=sorted(self._flags),
            jobs=sorted(found, key=jobs.order),
        )
        CLOCK.run_id = self.run.run_id
        completion = self.instance.activate(activation)
        if completion.HasField("failed"):
            failure = completion.failed.failure
            raise TaskFailed(f"{failure.application_failure_info.type}: {failure.message}")
        for flag in completion.successful.used_internal_flags:
            self._flags.add(flag)
        self._answer.flags = frozenset(self._flags)
        for command in completion.successful.commands:
            self._take(command)

    # Commands, as the core passes them on

    def _take(self, command: WorkflowCommand) -> None:
        kind = str(command.WhichOneof("variant"))
        handler: Callable[[WorkflowCommand], None] = getattr(self, f"_take_{kind}", self._pass_on)
        handler(command)

    def _pass_on(self, command: WorkflowCommand) -> None:
        kind = str(command.WhichOneof("variant"))
        response = command.update_response
        if response.HasField("rejected") and response.protocol_instance_id not in self._accepted:
            # The history knows nothing of it.
            self._answer.refused.append(command)
            return
        if response.HasField("accepted"):
            self._accepted.add(response.protocol_instance_id)
        self._answer.commands.append(command)
        self._answer.keys.append(_key(kind, getattr(command, kind)))

    def _take_back(self, kind: str, seq: int) -> bool:
        """Whether a command of this very task could be dropped."""
        for place, command in enumerate(self._answer.commands):
            if command.WhichOneof("variant") == kind and getattr(command, kind).seq == seq:
                del self._answer.commands[place], self._answer.keys[place]
                return True
        return False

    def _take_schedule_activity(self, command: WorkflowCommand) -> None:
        wanted = command.schedule_activity
        self._activities[wanted.seq] = _Open(
            wanted.activity_type, wanted.activity_id, int(wanted.cancellation_type)
        )
        self._pass_on(command)

    def _take_request_cancel_activity(self, command: WorkflowCommand) -> None:
        seq = command.request_cancel_activity.seq
        activity = self._activities.get(seq)
        if activity is None:
            return
        unsent = self._take_back("schedule_activity", seq)
        if not unsent:
            self._pass_on(command)
        if unsent or activity.cancellation == TRY_CANCEL:
            del self._activities[seq]
            self._next.append(jobs.resolve_cancelled(seq, activity.type, activity.activity_id))

    def _take_schedule_local_activity(self, command: WorkflowCommand) -> None:
        wanted = command.schedule_local_activity
        self.locals[wanted.seq] = wanted
        self.to_start.append(wanted)

    def _take_request_cancel_local_activity(self, command: WorkflowCommand) -> None:
        seq = command.request_cancel_local_activity.seq
        if self.locals.pop(seq, None) is None:
            return
        self.to_stop.append(seq)
        marker = Marker(seq, 0.0, None, cancelled=True)
        self._answer.markers.append(marker)
        self._next.append(jobs.resolve_local(marker))

    def _take_cancel_timer(self, command: WorkflowCommand) -> None:
        if not self._take_back("start_timer", command.cancel_timer.seq):
            self._pass_on(command)

    def _take_cancel_signal_workflow(self, command: WorkflowCommand) -> None:
        seq = command.cancel_signal_workflow.seq
        if self._take_back("signal_external_workflow_execution", seq):
            self._next.append(jobs.resolve_signal(seq, jobs.not_sent()))

    def closes(self) -> bool:
        """Whether the run ends by this task."""
        return any(map(is_end, self._answer.commands))


@dataclass(slots=True)
class _Open:
    """An activity that the workflow waits for."""

    type: str
    activity_id: str
    cancellation: int


def _key(kind: str, command: Any) -> str:
    match kind:
        case "schedule_activity":
            return f"{kind} {command.seq} {command.activity_type}"
        case "signal_external_workflow_execution":
            target = command.workflow_execution.workflow_id
            return f"{kind} {command.seq} {command.signal_name} {target}"
        case "update_response":
            return f"{kind} {command.protocol_instance_id} {command.WhichOneof('response')}"
        case "start_timer" | "cancel_timer" | "request_cancel_activity":
            return f"{kind} {command.seq}"
    return kind
