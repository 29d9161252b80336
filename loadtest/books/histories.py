"""A kept history read again from its file; by nothing that the summary of it was made with."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from loadtest.books.facts import Row, mapping
from loadtest.books.raw import parsed
from loadtest.times import instant

_CLOSED = "EVENT_TYPE_WORKFLOW_EXECUTION_"
_CLOSES = ("COMPLETED", "FAILED", "TIMED_OUT", "CANCELED", "TERMINATED", "CONTINUED_AS_NEW")
_ACTIVITY = "EVENT_TYPE_ACTIVITY_TASK_"
_THROWN = {f"EVENT_TYPE_WORKFLOW_TASK_{how}" for how in ("TIMED_OUT", "FAILED")}
_OUTCOMES = {
    "COMPLETED": "completed",
    "FAILED": "failed",
    "TIMED_OUT": "timed_out",
    "CANCELED": "cancelled",
}


_UNREADABLE = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError),
    *(RecursionError, OverflowError, StopIteration),
)


class ToldActivity(NamedTuple):
    """An activity by the events of its life."""

    kind: str
    attempt: int
    outcome: str
    moments: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """What one file says; `problem` where it can't be read or lacks events."""

    name: str
    problem: str | None = None
    status: str = "RUNNING"
    started: float | None = None
    closed: float | None = None
    events: int = 0
    thrown: int = 0
    """Workflow tasks whose work the server threw away: they had come too late, or failed."""
    signals: tuple[tuple[str, float], ...] = ()
    activities: tuple["ToldActivity", ...] = ()
    clients: frozenset[str] = frozenset()
    """Processes that wrote to it, as `pid@host`."""
    workers: frozenset[str] = frozenset()
    """Of them, those that took a task of it."""


def read_again(path: Path) -> Told:
    """The history of one run, as its file tells it."""
    try:
        events = parsed(path.read_text(encoding="utf-8"))["events"]
        return _told(path.name, [mapping(event) for event in events])
    except _UNREADABLE as error:
        return Told(path.name, problem=f"can't be read: {type(error).__name__}")


def _told(name: str, events: list[Row]) -> Told:
    if [str(event.get("eventId")) for event in events] != [
        str(number) for number in range(1, len(events) + 1)
    ]:
        return Told(name, problem="lacks events")
    last = str(events[-1].get("eventType"))
    status = last.removeprefix(_CLOSED) if last.startswith(_CLOSED) else "RUNNING"
    closed = status in _CLOSES
    return Told(
        name,
        status=status if closed else "RUNNING",
        started=instant(events[0].get("eventTime")),
        closed=instant(events[-1].get("eventTime")) if closed else None,
        events=len(events),
        thrown=sum(event.get("eventType") in _THROWN for event in events),
        signals=tuple(_signals(events)),
        activities=_activities(events),
        clients=frozenset(_named(events, "EventAttributes")),
        workers=frozenset(_named(events, "TaskStartedEventAttributes")),
    )


def _named(events: Iterable[Row], kind: str) -> Iterator[str]:
    """Who has made events of a kind by its own word; the server's parts are no process."""
    for event in events:
        for key, body in event.items():
            if key.endswith(kind) and "@" in (name := str(mapping(body).get("identity"))):
                yield name


def _signals(events: Iterable[Row]) -> Iterator[tuple[str, float]]:
    for event in events:
        found = event.get("workflowExecutionSignaledEventAttributes")
        if found is not None:
            yield str(found.get("signalName")), instant(event.get("eventTime")) or 0.0


def _activities(events: Iterable[Row]) -> tuple[ToldActivity, ...]:
    """Each activity by the order of its scheduling: its type, deliveries, and how it ended."""
    found: dict[str, list[Any]] = {}
    for event in events:
        kind = str(event.get("eventType")).removeprefix(_ACTIVITY)
        at = instant(event.get("eventTime"))
        scheduled = event.get("activityTaskScheduledEventAttributes")
        if scheduled is not None:
            found[str(event["eventId"])] = [
                scheduled["activityType"]["name"],
                0,
                "open",
                at,
                None,
                None,
            ]
        elif (started := event.get("activityTaskStartedEventAttributes")) is not None:
            row = found[str(started["scheduledEventId"])]
            row[1], row[4] = int(started.get("attempt") or 0), at
        elif kind in _OUTCOMES and str(event.get("eventType")).startswith(_ACTIVITY):
            ended = next(value for key, value in event.items() if key.endswith("Attributes"))
            row = found[str(ended["scheduledEventId"])]
            row[2], row[5] = _OUTCOMES[kind], at
    return tuple(ToldActivity(a, b, c, tuple(moments)) for a, b, c, *moments in found.values())
