"""A kept history, read from its file: orders, results, permits, signals and what was recorded.

It is the server's own export. The judge holds every other book against it, so nothing else reads
a history, and no summary of one is kept.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from loadtest.books.raw import parsed
from loadtest.times import instant

Row = dict[str, Any]
PERMIT, PROGRESS = "granted:job", "report_progress"
"""The slot's permit, an end by callback, and an activity's report."""
SLOT = "job"
_EXECUTION, _ACTIVITY = "EVENT_TYPE_WORKFLOW_EXECUTION_", "EVENT_TYPE_ACTIVITY_TASK_"
_TASK, _MARKER = "EVENT_TYPE_WORKFLOW_TASK_", "EVENT_TYPE_MARKER_RECORDED"
_TIMER = "EVENT_TYPE_TIMER_STARTED"
_CLOSES = ("COMPLETED", "FAILED", "TIMED_OUT", "CANCELED", "TERMINATED", "CONTINUED_AS_NEW")
_OUTCOMES = {
    "COMPLETED": "completed",
    "FAILED": "failed",
    "TIMED_OUT": "timed_out",
    "CANCELED": "cancelled",
}
_CONTINUED = "request-from-RespondWorkflowTaskCompleted"
_RESET = "WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW"
_VERSION = re.compile(r"version (\d+): (.*)", re.DOTALL)
# What a workflow's own step leaves between two activities.
_UPSERT = "EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES"
_OF_A_STEP = {
    *(f"{_TASK}{kind}" for kind in ("SCHEDULED", "STARTED", "COMPLETED")),
    _MARKER,
    _UPSERT,
    "EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED",
}
_UNREADABLE = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError),
    *(RecursionError, OverflowError, StopIteration),
)


class Signal(NamedTuple):
    """A signal as the server took it."""

    name: str
    at: float
    body: Row
    sender: str


class Written(NamedTuple):
    """A version of the record, and when it was so: as its workflow task began, or as the local
    activity before it in that task was done."""

    version: int
    note: str
    since: float
    """A slow local activity outlasts workflow tasks: the first of them has the version's time."""
    at: float


class Order(NamedTuple):
    """An attempt that the workflow ordered of a stage."""

    step: str
    attempt: int
    token: int | None
    at: float
    task: int


class Timer(NamedTuple):
    """A wait of the workflow, as it names it."""

    summary: str
    at: float
    seconds: float


@dataclass(slots=True)
class Activity:
    """An activity by the events of its life; of its tries the history keeps the last one."""

    kind: str
    body: Row
    scheduled: float
    task: int
    started: float | None = None
    ended: float | None = None
    attempt: int = 0
    pause: float = 0.0
    """The least seconds between two of its tries."""
    silence: float = 0.0
    """The seconds without a heartbeat after which the try before the last one failed, if it did."""
    repeated_for: str = ""
    """Why the try before the last one failed."""
    outcome: str = "open"
    error_class: str | None = None
    error_message: str | None = None
    result: Row = field(default_factory=dict)


@dataclass(slots=True)
class Execution:
    """One run in Temporal; `problem` where its file can't be read or lacks events."""

    job_id: str
    run_id: str = ""
    problem: str | None = None
    kind: str = ""
    body: Row = field(default_factory=dict)
    tag: str | None = None
    memo: Row = field(default_factory=dict)
    """What the semaphore was asked for."""
    status: str = "RUNNING"
    started: float | None = None
    closed: float | None = None
    asked: float | None = None
    """When its request was answered, by its worker, which is after the semaphore had it: the begin
    of the workflow task and the seconds that the local activity took, without those until it
    began."""
    heard: float | None = None
    """When the semaphore had the request, at the latest: as the server took the task's result."""
    granted: float | None = None
    granted_by: str = ""
    """The process that sent the permit, as `pid@host`."""
    token: int | None = None
    limit: float | None = None
    """The seconds that the job may take from its permit on."""
    progress: int = 0
    """The search attribute CustomProgress at the end."""
    result: Row = field(default_factory=dict)
    failure: tuple[str, str] | None = None
    signals: list[Signal] = field(default_factory=list)
    activities: list[Activity] = field(default_factory=list)
    timers: list[Timer] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    results: list[Row] = field(default_factory=list)
    versions: list[Written] = field(default_factory=list)
    tasks: dict[int, float] = field(default_factory=dict)
    """The time in each workflow task, by the number of the event that began or completed it."""
    since: dict[int, float] = field(default_factory=dict)
    """Of a workflow task that goes on with the one before it: when the first of them began."""
    events: int = 0
    workflow_tasks: int = 0
    discarded: int = 0
    """Workflow tasks whose work the server discarded: they had come too late, or failed."""
    timeouts: list[tuple[float, float]] = field(default_factory=list)
    """How long each of those lasted that had come too late, and the time that it was given."""
    bytes: int = 0
    clients: frozenset[str] = frozenset()
    """Processes that wrote to it, as `pid-start@host`; `start` differs for each start."""
    taken: tuple[tuple[str, float], ...] = ()
    """Of them, those that took a workflow task of it, and when. A gate takes activities, too."""
    sdks: frozenset[str] = frozenset()
    """The versions of the SDK that its workflow tasks name."""
    queues: tuple[tuple[str, str], ...] = ()
    """Each process that had the run in its cache, and the sticky queue of its next task."""
    hops: list[float] = field(default_factory=list)

    @property
    def workers(self) -> frozenset[str]:
        return frozenset(name for name, _ in self.taken)

    def signalled(self, name: str) -> list[Signal]:
        return [signal for signal in self.signals if signal.name == name]

    @property
    def called_back(self) -> list[Signal]:
        """The callback's signals, whatever their name in the pipeline."""
        return [signal for signal in self.signals if signal.body.get("task_status")]


def read_file(path: Path, job_id: str) -> Execution:
    """Return the run that a file is the history of."""
    try:
        text = path.read_text(encoding="utf-8")
        return read_events(job_id, parsed(text)["events"], size=len(text))
    except _UNREADABLE as error:
        return Execution(job_id, problem=f"can't be read: {type(error).__name__}")


def read_events(job_id: str, events: Sequence[Row], *, size: int = 0) -> Execution:
    """Return the run that these events are of, as the server's JSON has them."""
    if [str(event.get("eventId")) for event in events] != [
        str(number) for number in range(1, len(events) + 1)
    ]:
        return Execution(job_id, problem="lacks events")
    first, last = events[0], events[-1]
    began = first["workflowExecutionStartedEventAttributes"]
    run_id, own = _own(events)
    run = Execution(
        job_id,
        run_id,
        kind=began["workflowType"]["name"],
        body=_first(began.get("input")),
        tag=_text(_fields(began.get("searchAttributes"), "indexedFields").get("CustomTag")),
        memo=_mapping(_fields(began.get("memo"), "fields").get("semaphore:job")),
        started=_at(first),
        events=len(events),
        bytes=size,
        clients=frozenset(name for name, _ in _named(events, "EventAttributes")),
        taken=tuple(_named(events, "workflowTaskStartedEventAttributes")),
        sdks=frozenset(_sdks(events)),
        queues=tuple(_queues(events)),
        hops=list(_hops(events)),
    )
    status = str(last["eventType"]).removeprefix(_EXECUTION)
    if status in _CLOSES:
        run.status, run.closed = status, _at(last)
        _close(run, _attributes(last))
    scheduled: dict[str, Activity] = {}
    since = 0.0
    for event in events:
        kind, body = str(event["eventType"]), _attributes(event)
        if kind == f"{_EXECUTION}SIGNALED":
            input_ = _first(body.get("input"))
            sender = str(body.get("identity"))
            run.signals.append(Signal(str(body.get("signalName")), _at(event), input_, sender))
        elif kind == _MARKER:
            _marker(run, event, body)
        elif kind.startswith(_ACTIVITY):
            _activity(run, event, kind.removeprefix(_ACTIVITY), known=scheduled)
        elif kind == _TIMER:
            summary = _summary(event)
            run.timers.append(Timer(summary, _at(event), _seconds(body.get("startToFireTimeout"))))
        elif kind == _UPSERT:
            fields = _fields(body.get("searchAttributes"), "indexedFields")
            if isinstance(percent := _decoded(fields.get("CustomProgress")), int):
                run.progress = percent
        elif kind == f"{_TASK}STARTED":
            run.tasks[int(event["eventId"])] = _at(event)
            if body.get("requestId") == _CONTINUED:
                run.since[int(event["eventId"])] = since
            else:
                since = _at(event)
        elif kind == f"{_TASK}COMPLETED":
            run.workflow_tasks += 1
            begun_by = int(body["startedEventId"])
            run.tasks[int(event["eventId"])] = run.tasks[begun_by]
            if begun_by in run.since:
                run.since[int(event["eventId"])] = run.since[begun_by]
        elif kind in (f"{_TASK}TIMED_OUT", f"{_TASK}FAILED"):
            run.discarded += 1
            task, start = body.get("scheduledEventId"), body.get("startedEventId")
            if kind == f"{_TASK}TIMED_OUT" and task and start:
                limit = _attributes(events[int(task) - 1]).get("startToCloseTimeout")
                run.timeouts.append((_at(event) - _at(events[int(start) - 1]), _seconds(limit)))
        elif not kind.startswith("EVENT_TYPE_"):
            raise ValueError(kind)
    _permit(run, {int(event["eventId"]) for event in own})
    return run


def _own(events: Sequence[Row]) -> tuple[str, Sequence[Row]]:
    """Return the run's id, and what is its own: a reset copies the events of the run before it."""
    for place in range(len(events) - 1, -1, -1):
        failed = events[place].get("workflowTaskFailedEventAttributes") or {}
        if failed.get("cause") == _RESET:
            return str(failed.get("newRunId")), events[place + 1 :]
    began = events[0]["workflowExecutionStartedEventAttributes"]
    return str(began.get("originalExecutionRunId")), events


def _close(run: Execution, body: Row) -> None:
    run.result = _first(body.get("result"))
    failure = body.get("failure")
    if failure is not None:
        kind = (failure.get("applicationFailureInfo") or {}).get("type") or ""
        run.failure = (kind, str(failure.get("message") or ""))


def _marker(run: Execution, event: Row, body: Row) -> None:
    """Note what a local activity brought back, and the version that it has written."""
    details = body.get("details") or {}
    data, task = _first(details.get("data")), int(body["workflowTaskCompletedEventId"])
    result = _first(details.get("result"))
    if result.get("vendor_id"):
        run.results.append(result)
    done = data.get("complete_time") or {}
    ended = float(done.get("seconds") or 0) + float(done.get("nanos") or 0) / 1e9
    now = run.tasks[task]
    run.tasks[task] = max(now, ended)
    said = _VERSION.fullmatch(_summary(event))
    if said is not None:
        _written(run, int(said[1]), said[2], task=task, at=now)
        if run.asked is None and data.get("activity_type") == "enter_queue":
            run.asked, run.heard = ended, _at(event)
            limit = _fields(result, "limits").get("job_seconds")
            run.limit = float(limit) if isinstance(limit, int | float) else None


def _activity(run: Execution, event: Row, kind: str, *, known: dict[str, Activity]) -> None:
    body, at = _attributes(event), _at(event)
    if kind == "SCHEDULED":
        input_ = _first(body.get("input"))
        task = int(body.get("workflowTaskCompletedEventId") or 0)
        activity = Activity(body["activityType"]["name"], input_, at, task)
        activity.pause = _seconds(_fields(body, "retryPolicy").get("initialInterval"))
        activity.silence = _seconds(body.get("heartbeatTimeout"))
        known[str(event["eventId"])] = activity
        run.activities.append(activity)
        if isinstance(number := input_.get("attempt"), int) and "stage" in input_:
            run.orders.append(Order(stage_of(input_), number, input_.get("token"), at, task))
            _version(run, input_.get("record"), task)
        return
    activity = known.get(str(body.get("scheduledEventId"))) or Activity("", {}, at, 0)
    if kind == "STARTED":
        activity.started, activity.attempt = at, int(body.get("attempt") or 0)
        _fail(activity, body.get("lastFailure"))
        last = _fields(body.get("lastFailure"), "timeoutFailureInfo")
        activity.silence *= last.get("timeoutType") == "TIMEOUT_TYPE_HEARTBEAT"
        activity.repeated_for = activity.error_message or ""
    elif kind in _OUTCOMES:
        activity.ended, activity.outcome = at, _OUTCOMES[kind]
        activity.result = _first(body.get("result"))
        if activity.result.get("vendor_id"):
            run.results.append(activity.result)
        _fail(activity, body.get("failure"))


def _version(run: Execution, record: Any, task: int) -> None:
    """Return the version of the record that an activity writes before it submits."""
    changes = record.get("transitions") if isinstance(record, dict) else None
    if changes:
        number, note = int(changes[-1]["version"]), str(changes[-1]["note"])
        _written(run, number, note, task=task, at=run.tasks[task])


def _written(run: Execution, number: int, note: str, *, task: int, at: float) -> None:
    """Note a version, which counts from the task that made it, though it may be written again."""
    if all(number != each.version for each in run.versions):
        run.versions.append(Written(number, note, run.since.get(task, at), at))


def order_in(body: Row) -> Row:
    """Return an order, or the order that is waited for."""
    return body.get("order") or body


def stage_of(body: Row) -> str:
    return str(order_in(body).get("stage"))


def _fail(activity: Activity, failure: Row | None) -> None:
    """Note the failure's own class and message; an activity's wrapper adds nothing."""
    if failure is not None:
        kind = (failure.get("applicationFailureInfo") or {}).get("type")
        other = next((key for key in failure if key.endswith("FailureInfo")), "")
        activity.error_class = kind or other.removesuffix("FailureInfo").lower()
        activity.error_message = str(failure.get("message") or "")[:500]


def _permit(run: Execution, own: set[int]) -> None:
    """Return the first signal that is the slot's permit of this very run.

    A stage's gate has permits, too, and a run that was reset gets those of the run before it.
    """
    for signal in run.signalled(PERMIT):
        if (signal.body.get("run_id"), signal.body.get("name")) == (run.run_id, SLOT):
            run.granted, run.granted_by = signal.at, signal.sender
            token = signal.body.get("token")
            run.token = token if isinstance(token, int) else None
            # A semaphore that starts finds runs in the list, and grants before they have asked.
            run.asked = min(run.asked or signal.at, signal.at)
            run.heard = min(run.heard or signal.at, signal.at)
            return


def _hops(events: Iterable[Row]) -> Iterator[float]:
    """Return the times from an activity's completion to the next start, with no event between."""
    completed: float | None = None
    scheduled: str | None = None
    for event in events:
        kind, body = str(event["eventType"]), _attributes(event)
        if kind == f"{_ACTIVITY}COMPLETED":
            completed, scheduled = _at(event), None
        elif kind == f"{_ACTIVITY}SCHEDULED" and completed is not None:
            scheduled = str(event["eventId"])
        elif kind == f"{_ACTIVITY}STARTED":
            first = str(body.get("scheduledEventId")) == scheduled and body.get("attempt") == 1
            if completed is not None and first:
                yield round(_at(event) - completed, 6)
            completed = scheduled = None
        elif kind not in _OF_A_STEP:
            completed = scheduled = None


def _named(events: Iterable[Row], kind: str) -> Iterator[tuple[str, float]]:
    """Return the processes that wrote events of a kind, as they name themselves, and when."""
    for event in events:
        for key, body in event.items():
            if key.endswith(kind) and "@" in (name := str(body.get("identity"))):
                yield name, _at(event)


def _sdks(events: Iterable[Row]) -> Iterator[str]:
    for event in events:
        named = _fields(event.get("workflowTaskCompletedEventAttributes"), "sdkMetadata")
        if version := named.get("sdkVersion"):
            yield str(version)


def _queues(events: Iterable[Row]) -> Iterator[tuple[str, str]]:
    owner = ""
    for event in events:
        if completed := event.get("workflowTaskCompletedEventAttributes"):
            owner = str(completed.get("identity"))
        queue = _fields(event.get("workflowTaskScheduledEventAttributes"), "taskQueue")
        if queue.get("kind") == "TASK_QUEUE_KIND_STICKY":
            yield owner, str(queue.get("name"))


def _attributes(event: Row) -> Row:
    found = next((body for key, body in event.items() if key.endswith("EventAttributes")), None)
    return found if isinstance(found, dict) else {}


def _at(event: Row) -> float:
    at = instant(event.get("eventTime"))
    if at is None:
        raise ValueError("an event without an instant")
    return at


def _seconds(text: object) -> float:
    return float(str(text or "0s").removesuffix("s"))


def _summary(event: Row) -> str:
    return _text((event.get("userMetadata") or {}).get("summary")) or ""


def _fields(holder: Row | None, name: str) -> Row:
    return (holder or {}).get(name) or {}


def _first(payloads: Row | None) -> Row:
    """Return the first payload, where it is an object."""
    return _mapping(next(iter(_fields(payloads, "payloads") or ()), None))


def _mapping(payload: Any) -> Row:
    found = _decoded(payload)
    return found if isinstance(found, dict) else {}


def _text(payload: Row | None) -> str | None:
    found = _decoded(payload)
    return found if isinstance(found, str) else None


def _decoded(payload: Any) -> Any:
    """Return what a payload says, or None where that is no JSON."""
    if not isinstance(payload, dict) or "data" not in payload:
        return None
    try:
        return json.loads(base64.b64decode(payload["data"]))
    except ValueError:
        return None
