"""A kept history, read from its file: orders, results, permits, signals and what was recorded.

It is the server's own export. The judge holds every other book against it, so nothing else reads
a history, and no summary of one is kept.
"""

import base64
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf.json_format import ParseDict, ParseError
from temporalio.api.history.v1 import History, HistoryEvent

from loadtest.books.executions import (
    PERMIT,
    SLOT,
    Activity,
    Execution,
    Numbered,
    Order,
    Row,
    Signal,
    Timer,
    Written,
)
from loadtest.books.facts import mapping
from loadtest.books.raw import parsed
from loadtest.times import instant

_EXECUTION, _ACTIVITY = "EVENT_TYPE_WORKFLOW_EXECUTION_", "EVENT_TYPE_ACTIVITY_TASK_"
_TASK, _MARKER = "EVENT_TYPE_WORKFLOW_TASK_", "EVENT_TYPE_MARKER_RECORDED"
_TIMER = "EVENT_TYPE_TIMER_STARTED"
_CLOSES = ("COMPLETED", "FAILED", "TIMED_OUT", "CANCELED", "TERMINATED", "CONTINUED_AS_NEW")
_OUTCOMES = _CLOSES[:4]
"""How an activity ends."""
_AT_ONCE = (
    f"{_EXECUTION}STARTED",
    *(f"{_TASK}{how}" for how in ("COMPLETED", "FAILED", "TIMED_OUT")),
)
_CONTINUED = "request-from-RespondWorkflowTaskCompleted"
_FROZEN = "TMPRL1101"
"""How the SDK names a task that did not go on in time, as of a worker that was frozen."""
_CAUSE = "WORKFLOW_TASK_FAILED_CAUSE_"
_RESET = f"{_CAUSE}RESET_WORKFLOW"
_VERSION = re.compile(r"version (\d+): (.*)", re.DOTALL)
_RELEASE = "EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED"
_UPSERT = "EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES"
# What a workflow's own step leaves between two activities.
_OF_A_STEP = (_MARKER, _UPSERT, "EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED")
_UNREADABLE = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError),
    *(RecursionError, OverflowError, StopIteration),
)


def read_file(path: Path, job_id: str, *, weigh: bool = False) -> Execution:
    """Return the run that a file is the history of; `weigh` it, which takes as long again."""
    try:
        text = path.read_text(encoding="utf-8")
        events = parsed(text)["events"]
        run = read_events(job_id, events, size=len(text))
        if weigh and run.problem is None:
            run.off = _weighed(events)
        return run
    except _UNREADABLE as error:
        return Execution(job_id, problem=f"can't be read: {type(error).__name__}")


def read_events(job_id: str, events: Sequence[Row], *, size: int = 0) -> Execution:
    """Return the run that these events are of, as the server's JSON has them."""
    if [str(event.get("eventId")) for event in events] != [
        str(number) for number in range(1, len(events) + 1)
    ]:
        return Execution(job_id, problem="lacks events")
    began = events[0]["workflowExecutionStartedEventAttributes"]
    run = Execution(
        job_id,
        _run_id(events),
        kind=began["workflowType"]["name"],
        body=first_of(began.get("input")),
        tag=text_of(fields(began.get("searchAttributes"), "indexedFields").get("CustomTag")),
        memo=mapping(decoded(fields(began.get("memo"), "fields").get("semaphore:job"))),
        started=instant_of(events[0]),
        started_by=str(began.get("identity")),
        timeout=seconds(began.get("workflowExecutionTimeout")),
        events=len(events),
        bytes=size,
    )
    run.progress += _percent(began.get("searchAttributes"))
    reader = _Reader(run, events)
    for event in events:
        reader.read(event)
    _permit(run)
    # An activity's start is noted at its end.
    run.taken.sort(key=lambda each: each[1])
    return run


def _weighed(events: Sequence[Row]) -> set[float]:
    """Return by how many bytes the server's counts are off what is there, for each event with the
    attribute CustomProgress, which the server keeps in another way than it exports it. A task that
    goes on with the one before it does not count that one's events, nor does one behind a failed
    task its own."""
    size, found, numbers, good = 0, set[float](), 0, True
    for event in events:
        body, kind = attributes(event), str(event["eventType"]).removeprefix(_TASK)
        if kind in ("COMPLETED", "FAILED", "TIMED_OUT"):
            good = kind == "COMPLETED"
        counted = int(body.get("historySizeBytes") or 0)
        if good and counted and body.get("requestId") != _CONTINUED:
            found.add((counted - size) / max(1, numbers))
        try:
            size += History(events=[ParseDict(event, HistoryEvent())]).ByteSize()
        except ParseError:
            return set()
        numbers += "CustomProgress" in fields(body.get("searchAttributes"), "indexedFields")
    return found


def _percent(attributes: Row | None) -> list[int]:
    percent = decoded(fields(attributes, "indexedFields").get("CustomProgress"))
    return [percent] if isinstance(percent, int) else []


def _run_id(events: Sequence[Row]) -> str:
    """Return the run's id; a reset copies the events of the run before it."""
    for event in reversed(events):
        failed = event.get("workflowTaskFailedEventAttributes") or {}
        if failed.get("cause") == _RESET:
            return str(failed.get("newRunId"))
    began = events[0]["workflowExecutionStartedEventAttributes"]
    return str(began.get("originalExecutionRunId"))


@dataclass(slots=True)
class _Task:
    """The time in a workflow task; of one that goes on with the one before it, when the first of
    them began."""

    at: float
    since: float | None


@dataclass(slots=True)
class _Reader:
    """Reads a run's events in their order."""

    run: Execution
    events: Sequence[Row]
    tasks: dict[int, _Task] = field(default_factory=dict)
    """By the number of the event that began or completed it."""
    began: float = 0.0
    """When the last workflow task began that did not go on with another."""
    owner: str = ""
    """The process that completed the last workflow task."""
    sticky: bool = False
    """Whether the next one waits in that process's own queue."""
    answered: str = ""
    """The number of the event that completed it."""
    scheduled: dict[str, Activity] = field(default_factory=dict)
    completed: Row | None = None
    """That of an activity, if only the workflow's own step is behind it."""

    def read(self, event: Row) -> None:
        run, kind, body = self.run, str(event["eventType"]), attributes(event)
        at, identity = instant_of(event), str(body.get("identity"))
        if "@" in identity:
            run.clients.add(identity)
        if step := int(event.get("taskId") or 0):
            run.numbers.append(Numbered(step, at, kind.startswith(_AT_ONCE)))
        task = body.get("workflowTaskCompletedEventId")
        given_by = self.tasks.get(int(task or 0))
        if task and (given_by is None or given_by.since is None):
            command = f"{kind} {fields(body, 'activityType').get('name', '')}"
            run.commands.setdefault(str(task), []).append(sys.intern(command))
        if kind not in _OF_A_STEP and not kind.startswith((_ACTIVITY, _TASK)):
            self.completed = None
        if kind == f"{_EXECUTION}SIGNALED":
            input_ = first_of(body.get("input"))
            run.signals.append(Signal(str(body.get("signalName")), at, input_, identity))
        elif kind == _MARKER:
            self._marker(event, body, at=at)
        elif kind.startswith(_ACTIVITY):
            self._activity(event, body, at=at, kind=kind.removeprefix(_ACTIVITY))
        elif kind.startswith(_TASK):
            self._task(event, body, at=at, kind=kind.removeprefix(_TASK))
        elif kind == _TIMER:
            run.timers.append(Timer(summary(event), at, seconds(body.get("startToFireTimeout"))))
        elif kind == _RELEASE and body.get("signalName") == "release":
            run.releases.append(Signal("release", at, first_of(body.get("input")), identity))
        elif kind == _UPSERT:
            run.progress += _percent(body.get("searchAttributes"))
        elif kind == f"{_EXECUTION}CANCEL_REQUESTED":
            run.cancelled = run.cancelled or at
        elif kind.removeprefix(_EXECUTION) in _CLOSES:
            run.status, run.closed = kind.removeprefix(_EXECUTION), at
            run.result = first_of(body.get("result"))
            if (failure := body.get("failure")) is not None:
                named = fields(failure, "applicationFailureInfo").get("type") or ""
                run.failure = (named, str(failure.get("message") or ""))
        elif not kind.startswith("EVENT_TYPE_"):
            raise ValueError(kind)

    def _task(self, event: Row, body: Row, *, at: float, kind: str) -> None:
        run, number, identity = self.run, int(event["eventId"]), str(body.get("identity"))
        if kind == "SCHEDULED":
            queue = fields(body, "taskQueue")
            self.sticky = queue.get("kind") == "TASK_QUEUE_KIND_STICKY"
            if self.sticky:
                run.queues.append((self.owner, str(queue.get("name"))))
                after = self.events[number] if number < len(self.events) else event
                if after is not event and attributes(after).get("requestId") != _CONTINUED:
                    room = int(after.get("taskId") or 0) - int(event.get("taskId") or 0)
                    run.room = min(room, run.room or room)
        elif kind == "STARTED":
            if "@" in identity:
                run.taken.append((identity, at))
                if self.sticky and identity != self.owner:
                    run.strayed.append((self.owner, at))
            goes_on = body.get("requestId") == _CONTINUED
            if goes_on:
                # The commands of one step of the workflow are divided between both tasks.
                run.commands.pop(self.answered, None)
            self.tasks[number] = _Task(at, self.began if goes_on else None)
            self.began = self.began if goes_on else at
        elif kind == "COMPLETED":
            run.workflow_tasks += 1
            self.owner, self.answered = identity, str(number)
            self.tasks[number] = self.tasks[int(body["startedEventId"])]
            if version := fields(body, "sdkMetadata").get("sdkVersion"):
                run.sdks.add(str(version))
        else:
            task, start = body.get("scheduledEventId"), body.get("startedEventId")
            self.completed = None
            # A task that no worker has taken in time discards nothing.
            run.discarded += bool(start)
            if kind == "FAILED" and _FROZEN not in str(fields(body, "failure").get("message")):
                run.causes.append(str(body.get("cause")).removeprefix(_CAUSE))
            elif kind == "TIMED_OUT" and not start:
                run.untaken.append(at)
            if kind == "TIMED_OUT" and task and start:
                limit = attributes(self.events[int(task) - 1]).get("startToCloseTimeout")
                lasted = at - instant_of(self.events[int(start) - 1])
                run.timeouts.append((lasted, seconds(limit)))

    def _marker(self, event: Row, body: Row, *, at: float) -> None:
        """Note what a local activity brought back, and the version that it has written."""
        run, task = self.run, self.tasks[int(body["workflowTaskCompletedEventId"])]
        data, result = (first_of(fields(body, "details").get(name)) for name in ("data", "result"))
        if result.get("vendor_id"):
            run.results.append(result)
        done = data.get("complete_time") or {}
        ended = float(done.get("seconds") or 0) + float(done.get("nanos") or 0) / 1e9
        now, task.at = task.at, max(task.at, ended)
        if said := _VERSION.fullmatch(summary(event)):
            number, note = int(said[1]), said[2]
            present = fields(result, "present")
            if present.get("finished_at") and (changes := present.get("transitions")):
                # A task that the server discarded had written the end; it stands.
                number, note = int(changes[-1]["version"]), str(changes[-1]["note"])
            self._written(number, note, task=task, at=now)
            if run.heard is None and data.get("activity_type") == "enter_queue":
                run.heard = at
                run.limits = fields(result, "limits")

    def _activity(self, event: Row, body: Row, *, at: float, kind: str) -> None:
        run = self.run
        if kind == "SCHEDULED":
            input_ = first_of(body.get("input"))
            task = int(body.get("workflowTaskCompletedEventId") or 0)
            activity = Activity(run.job_id, body["activityType"]["name"], input_, at, task)
            activity.pause = seconds(fields(body, "retryPolicy").get("initialInterval"))
            activity.most = int(fields(body, "retryPolicy").get("maximumAttempts") or 0)
            activity.heartbeat = activity.silence = seconds(body.get("heartbeatTimeout"))
            self.scheduled[str(event["eventId"])] = activity
            run.activities.append(activity)
            if isinstance(number := input_.get("attempt"), int) and "stage" in input_:
                order = activity.external_id, activity.stage, number, input_.get("token"), at, task
                run.orders.append(Order(*order))
                # An activity writes a version before it submits.
                record = input_.get("record")
                changes = record.get("transitions") if isinstance(record, dict) else None
                if changes:
                    now, last = self.tasks[task], changes[-1]
                    self._written(int(last["version"]), str(last["note"]), task=now, at=now.at)
            return
        known = self.scheduled.get(str(body.get("scheduledEventId")))
        activity = known or Activity(run.job_id, "", {}, at, 0)
        before, self.completed = self.completed, event if kind == "COMPLETED" else None
        if kind == "STARTED":
            if "stage" in activity.order:
                run.taken.append((str(body.get("identity")), at))
            activity.started, activity.attempt = at, int(body.get("attempt") or 0)
            _fail(activity, body.get("lastFailure"))
            last = fields(body.get("lastFailure"), "timeoutFailureInfo")
            activity.silence *= last.get("timeoutType") == "TIMEOUT_TYPE_HEARTBEAT"
            activity.repeated_for = activity.error_message or ""
            step = before if activity.attempt == 1 else None
            if step and int(step["eventId"]) < int(body["scheduledEventId"]):
                run.hops.append(round(at - instant_of(step), 6))
        elif kind in _OUTCOMES:
            activity.ended, activity.outcome = at, kind.lower()
            activity.result = first_of(body.get("result"))
            if activity.result.get("vendor_id"):
                run.results.append(activity.result)
            _fail(activity, body.get("failure"))

    def _written(self, number: int, note: str, *, task: _Task, at: float) -> None:
        """Note a version, which counts from the task that made it, though it may be written
        again."""
        if all(number != each.version for each in self.run.versions):
            since = at if task.since is None else task.since
            self.run.versions.append(Written(number, note, since, at))


def _fail(activity: Activity, failure: Row | None) -> None:
    """Note the failure's own class and message; an activity's wrapper adds nothing."""
    if failure is not None:
        kind = (failure.get("applicationFailureInfo") or {}).get("type")
        other = next((key for key in failure if key.endswith("FailureInfo")), "")
        activity.error_class = kind or other.removesuffix("FailureInfo").lower()
        activity.error_message = str(failure.get("message") or "")[:500]


def _permit(run: Execution) -> None:
    """Return the first signal that is the slot's permit of this very run.

    A stage's gate has permits, too, and a run that was reset gets those of the run before it.
    """
    for signal in run.signalled(PERMIT):
        if (signal.body.get("run_id"), signal.body.get("name")) == (run.run_id, SLOT):
            run.granted, run.granted_by = signal.at, signal.sender
            token = signal.body.get("token")
            run.token = token if isinstance(token, int) else None
            # A semaphore that starts finds runs in the list, and grants before they have asked.
            run.heard = min(run.heard or signal.at, signal.at)
            return


def attributes(event: Row) -> Row:
    """Return what an event says, whatever its kind."""
    return mapping(
        next((each for key, each in event.items() if key.endswith("EventAttributes")), None)
    )


def instant_of(event: Row) -> float:
    at = instant(event.get("eventTime"))
    if at is None:
        raise ValueError("an event without an instant")
    return at


def seconds(text: object) -> float:
    return float(str(text or "0s").removesuffix("s"))


def summary(event: Row) -> str:
    """Return its plain text: it is Markdown, with a mark before each character that would act."""
    text = text_of((event.get("userMetadata") or {}).get("summary")) or ""
    return re.sub(r"\\(.)", r"\1", text)


def fields(holder: Row | None, name: str) -> Row:
    return (holder or {}).get(name) or {}


def first_of(payloads: Row | None) -> Row:
    """Return the first payload, where it is an object."""
    return mapping(decoded(next(iter(fields(payloads, "payloads") or ()), None)))


def text_of(payload: Row | None) -> str | None:
    found = decoded(payload)
    return found if isinstance(found, str) else None


def decoded(payload: Any) -> Any:
    """Return what a payload says, or None where that is no JSON."""
    if not isinstance(payload, dict) or "data" not in payload:
        return None
    try:
        return json.loads(base64.b64decode(payload["data"]))
    except ValueError:
        return None
