"""One cached workflow instance with what the SDK's core does around it."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from temporalio.api.common.v1 import Payload, Payloads
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_commands import ActivityCancellationType, WorkflowCommand
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import PayloadConverter

from shared.semaphore.runner import Instance
from tests.simulation import jobs
from tests.simulation.history import Marker, Run, Task, TaskRecord, timestamp
from tests.simulation.jobs import Job, details_of
from tests.simulation.tasks import is_end
from tests.simulation.world import CLOCK, Process


@dataclass(slots=True)
class Answer:
    commands: list[WorkflowCommand] = field(default_factory=list)
    markers: list[Marker] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    flags: frozenset[int] = frozenset()
    goes_on: bool = False

    def end_last(self) -> None:
        """The core moves the command that ends the run behind those that came after it."""
        places = sorted(range(len(self.commands)), key=lambda at: is_end(self.commands[at]))
        self.commands = [self.commands[at] for at in places]
        self.keys = [self.keys[at] for at in places]


TRY_CANCEL = ActivityCancellationType.TRY_CANCEL


class TaskFailed(Exception):
    """The workflow's code raised something that fails the task."""


class Nondeterminism(Exception):
    """A replay did something else than the history says."""


class Core:
    """The instance, what it waits for, and the commands of the task that is under way."""

    def __init__(
        self, run: Run, definition: type, converter: PayloadConverter, process: Process
    ) -> None:
        self.run = run
        self._process = process
        self.seen = 0
        self._forgotten = False
        self._instance = Instance(details_of(run, definition, converter), self._forget)  # type: ignore[abstract]
        self.locals: dict[int, Any] = {}
        self.to_start: list[Any] = []
        self._activities: dict[int, Any] = {}
        self._answer = Answer()
        self._flags: set[int] = set()
        self._next: list[Job] = []
        # Ends of local activities in the history; how often the task has been activated.
        self._known: deque[Marker] = deque()
        self._activations = 0
        # Up to where the tasks have told; a query may have let it see further.
        self.told = 0
        self._at = run.began

    def _forget(self, run_id: str) -> None:
        self._forgotten = True

    # A task that the server has taken before

    def replay(self, record: TaskRecord) -> None:
        """Do it again; Nondeterminism where it comes to something else."""
        self._flags |= record.flags
        self._known.extend(record.markers)
        first = self._jobs_up_to(record.seen)
        first += [jobs.update(*update, validate=False) for update in record.updates]
        self.told = record.seen
        self._activations = 0
        self._activate_all(first, record.at, replaying=True)
        keys = self.finish().keys
        if keys != record.keys:
            raise Nondeterminism(f"{keys} instead of {record.keys}")
        if self._known:
            raise Nondeterminism(f"the local activity {self._known[0].seq} was not begun")

    def _next_known(self, *, held: bool = False) -> Marker | None:
        """The next local activity's end in the history's order, where its turn has come.

        Each arrives in the activation of its marker; those that are
        `held` back for a later one come when nothing else does.
        """
        marker = self._known[0] if self._known else None
        if marker is None or marker.seq not in self.locals:
            return None
        return marker if held or marker.activation <= self._activations else None

    # A new task

    def look_ahead(self) -> bool:
        """Take in what no task has told yet, as happens with a query that overtakes the next task.

        True: the worker is to forget the run.
        """
        found = self._jobs_up_to(len(self.run.events))
        if found and not self.closes():
            self._activate_all(found, self._at, replaying=False)
        return self._forgotten

    def begin(self, task: Task, ended: list[Marker]) -> None:
        """Take in what is new; `ended`: local activities, since the task before."""
        assert task.started is not None
        if self.closes():
            return
        first = self._jobs_up_to(task.started)
        for update in task.updates:
            first.append(jobs.update(update.update_id, update.name, update.args, validate=True))
        self.told = task.started
        self._activations = 0
        first += map(self._told_of, ended)
        if first:
            self._activate_all(first, task.began, replaying=False)

    def resolve(self, marker: Marker) -> None:
        self._activate_all([self._told_of(marker)], marker.at, replaying=False)

    def _told_of(self, marker: Marker) -> Job:
        """The end of a local activity, with its place among the task's activations."""
        del self.locals[marker.seq]
        marker.activation = self._activations
        self._answer.markers.append(marker)
        return jobs.resolve_local(marker)

    def finish(self, *, goes_on: bool = False) -> Answer:
        answer, self._answer = self._answer, Answer()
        answer.end_last()
        answer.goes_on = goes_on
        return answer

    def query(self, name: str, args: Payloads) -> Payload:
        """Ask the workflow something; that changes nothing."""
        activation = WorkflowActivation(
            run_id=self.run.run_id, timestamp=timestamp(self._at), history_length=self.seen
        )
        wanted = activation.jobs.add().query_workflow
        wanted.query_id, wanted.query_type = "query", name
        wanted.arguments.extend(args.payloads)
        completion = self._run(activation)
        if completion.HasField("failed"):
            raise TaskFailed(completion.failed.failure.message)
        [command] = completion.successful.commands
        if command.respond_to_query.HasField("failed"):
            raise TaskFailed(command.respond_to_query.failed.message)
        return command.respond_to_query.succeeded.response

    def evict(self) -> None:
        activation = WorkflowActivation(run_id=self.run.run_id)
        activation.jobs.add().remove_from_cache.SetInParent()
        self._run(activation)

    def _run(self, activation: WorkflowActivation) -> WorkflowActivationCompletion:
        """Run the workflow's own loop inside that of its process."""
        completion = self._instance.activate(activation)
        self._process.again()
        return completion

    @property
    def object(self) -> Any:
        """The workflow itself, as seen from outside."""
        return self._instance._object

    def _jobs_up_to(self, seen: int) -> list[Job]:
        found: list[Job] = []
        for event in self.run.events[self.seen : seen]:
            found += jobs.of_event(self.run, event, self._activities)
        self.seen = seen
        return found

    def _activate_all(self, first: list[Job], at: float, *, replaying: bool) -> None:
        now = first
        while True:
            marker = self._next_known(held=not now)
            while marker is not None:
                del self.locals[marker.seq]
                now.append(jobs.resolve_local(self._known.popleft()))
                at = max(at, marker.at)
                marker = self._next_known()
            if not now:
                return
            self._activate(now, at, replaying=replaying)
            now, self._next = self._next, []

    def _activate(self, found: list[Job], at: float, *, replaying: bool) -> None:
        self._at = at
        self._activations += 1
        activation = WorkflowActivation(
            run_id=self.run.run_id,
            timestamp=timestamp(at),
            is_replaying=replaying,
            history_length=self.seen,
            available_internal_flags=sorted(self._flags),
            jobs=sorted(found, key=jobs.order),
        )
        CLOCK.run_id = self.run.run_id
        completion = self._run(activation)
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

    def _take_cancel_timer(self, command: WorkflowCommand) -> None:
        if not self._take_back("start_timer", command.cancel_timer.seq):
            self._pass_on(command)

    def closes(self) -> bool:
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
