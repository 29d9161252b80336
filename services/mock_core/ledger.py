"""The ledger: jobs, their generations, costs, and the verdict that a bill would give."""

import itertools
import re
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from services.mock_core.clock import fingerprint, rfc3339


@dataclass(slots=True, eq=False)
class Job:
    """A job as the caller sees it: all its attempts and submits together.

    `key` is made of the prompt and, among equal prompts, the order of arrival, because ids differ
    between runs and prompts do not.
    """

    key: str
    number: int
    accepted: int = 0
    # The events that each rule has counted.
    counts: dict[int, int] = field(default_factory=dict)

    def count(self, rule: int) -> int:
        """Return the number, from 1, of the present event."""
        number = self.counts[rule] = self.counts.get(rule, 0) + 1
        return number


_EXTERNAL_ID = re.compile(r"(?P<job>.+)\.(?P<attempt>\d{1,4})")


class JobIndex:
    """Finds the job of an external id, up to a limit; the oldest are forgotten."""

    def __init__(self, keep: int = 20_000) -> None:
        self._keep = keep
        self.clear()

    def clear(self) -> None:
        self._by_stem: OrderedDict[str, Job] = OrderedDict()
        self._same_prompt: OrderedDict[str, int] = OrderedDict()
        self._numbers = itertools.count(1)

    def find(self, external_id: str | None, prompt: str) -> tuple[Job, int]:
        """Return job and attempt: the number in the external id, else one more than accepted."""
        match = _EXTERNAL_ID.fullmatch(external_id) if external_id else None
        stem = match["job"] if match else external_id
        job = self._by_stem.get(stem) if stem else None
        if job is None:
            text = fingerprint(prompt)
            ordinal = self._same_prompt[text] = self._same_prompt.get(text, 0) + 1
            job = Job(key=f"{text}#{ordinal}", number=next(self._numbers))
            if stem:
                self._by_stem[stem] = job
            for table in (self._by_stem, self._same_prompt):
                if len(table) > self._keep:
                    table.popitem(last=False)
        return job, int(match["attempt"]) if match else job.accepted + 1


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})


@dataclass(slots=True, eq=False)
class DeliveryAttempt:
    """One attempt to deliver a callback, with its answer."""

    delivery_id: str
    status: str
    note: str = ""
    bent: bool = False
    sent_at: float | None = None
    reply: int | None = None
    error: str | None = None

    @property
    def good(self) -> bool:
        return self.reply is not None and 200 <= self.reply < 300

    @property
    def answered(self) -> bool:
        """True if the receiver accepted it; for one damaged on purpose, also if a live receiver
        refused it."""
        return self.good or (self.bent and self.reply is not None and self.reply < 500)

    def row(self) -> dict[str, Any]:
        return {
            "delivery_id": self.delivery_id,
            "status": self.status,
            "note": self.note,
            "sent_at": rfc3339(self.sent_at),
            "reply": self.reply,
            "error": self.error,
        }


# The members of a generation that its row has under the same name.
_SHOWN = (
    *("external_id", "attempt", "prompt", "style", "token", "error", "charged", "units"),
    *("duplicate", "sha256", "source_sha256", "shows", "source_shows"),
)


@dataclass(slots=True, eq=False)
class Generation:
    """A generation, which all wires read. It counts, and costs, only after it was accepted."""

    id: str
    external_id: str | None
    job: Job
    attempt: int
    prompt: str
    style: str
    base_url: str
    token: int | None = None
    callback_url: str | None = None
    image_source: str | bytes | None = None
    # Members of one service only: duration, graph and the like.
    detail: dict[str, Any] = field(default_factory=dict)
    state: State = State.QUEUED
    error: str | None = None
    charged: bool = False
    # What it cost, in the vendor's own units.
    units: str | None = None
    vanished: bool = False
    duplicate: bool = False
    accepted: float | None = None
    started: float | None = None
    finished: float | None = None
    # When a status call reported the end for the first time.
    reported: float | None = None
    updated: float = field(default_factory=time.time)
    # Nominal instants, for the percentage.
    run_from: float = 0.0
    run_for: float = 0.0
    stick_at: int | None = None
    last_percent: int = 0
    # How the fault plan changes status calls, and how many steps back it has reported.
    progress_hits: tuple[Any, ...] = ()
    regressed: int = 0
    file_name: str | None = None
    # Digests of the made file, of the picture that a video was made from, and of what they show.
    sha256: str | None = None
    source_sha256: str | None = None
    shows: str | None = None
    source_shows: str | None = None
    delivery_attempts: list[DeliveryAttempt] = field(default_factory=list)
    # The rules that match this generation, by point of life, for one version of the plan.
    rules_version: int = -1
    rules: dict[str, Any] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def open(self) -> bool:
        """Accepted, and neither ended nor lost."""
        return not (self.ended or self.vanished)

    def percent(self, now: float) -> int:
        """0 while queued, rising to 99 while running, 100 after success; never falling."""
        if self.state is State.SUCCEEDED:
            return 100
        if self.state is State.RUNNING:
            share = (now - self.run_from) / self.run_for if self.run_for > 0 else 1.0
            ceiling = 99 if self.stick_at is None else self.stick_at
            self.last_percent = max(self.last_percent, min(int(share * 100), ceiling))
        return self.last_percent

    def row(self) -> dict[str, Any]:
        outcome = str(self.state) if self.ended else "vanished" if self.vanished else None
        seconds = None
        if self.finished is not None and self.accepted is not None:
            seconds = round(self.finished - self.accepted, 6)
        return {
            **{name: getattr(self, name) for name in _SHOWN},
            "job_id": self.id,
            "job_key": self.job.key,
            "accepted_at": rfc3339(self.accepted),
            "started_at": rfc3339(self.started),
            "finished_at": rfc3339(self.finished),
            "reported_at": rfc3339(self.reported),
            "accepted_ts": self.accepted,
            "started_ts": self.started,
            "finished_ts": self.finished,
            "seconds": seconds,
            "outcome": outcome,
            "calls_back": self.callback_url is not None,
            "callbacks": [attempt.row() for attempt in self.delivery_attempts],
        }

    def shrink(self) -> None:
        """Drop the data that only a running generation needs; the row stays."""
        self.image_source = None
        self.prompt = self.prompt[:200]


class Ledger:
    """The generations in order of acceptance, and the counts that outlive them."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self.price: Callable[[Generation], str | None] = lambda _: None
        self.clear()

    def clear(self) -> None:
        self._rows: deque[Generation] = deque()
        self._by_id: dict[str, Generation] = {}
        self._by_external: dict[str, Generation] = {}
        self.accepted = self.charged = self.duplicates = self.dropped = 0
        self.in_flight = self.max_in_flight = 0

    def __iter__(self) -> Iterator[Generation]:
        return iter(self._rows)

    def add(self, generation: Generation) -> None:
        external_id = generation.external_id
        generation.duplicate = external_id is not None and external_id in self._by_external
        self.duplicates += generation.duplicate
        self._rows.append(generation)
        self._by_id[generation.id] = generation
        if external_id is not None:
            self._by_external[external_id] = generation
        self.accepted += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        while len(self._rows) > self._keep and not self._rows[0].open:
            old = self._rows.popleft()
            self.dropped += 1
            for table, key in ((self._by_id, old.id), (self._by_external, old.external_id)):
                if key is not None and table.get(key) is old:
                    del table[key]

    def closed(self, generation: Generation) -> None:
        """Count an end; called once per accepted generation."""
        self.in_flight -= 1
        self.charged += generation.charged

    def find(self, any_id: str) -> Generation | None:
        """Find by the vendor's id or the caller's; the latest of several; None if forgotten."""
        found = self._by_id.get(any_id)
        return self.by_external(any_id) if found is None else _known(found)

    def by_external(self, external_id: str) -> Generation | None:
        return _known(self._by_external.get(external_id))

    def other(self, generation: Generation) -> Generation | None:
        """Return the last accepted generation of another job."""
        return next((row for row in reversed(self._rows) if row.job is not generation.job), None)


def _known(found: Generation | None) -> Generation | None:
    return None if found is None or found.vanished else found


def judge(rows: Iterable[Generation], *, fetched_late: Iterable[str]) -> dict[str, Any]:
    """Return the verdict; `ok` is false if something was charged twice, unanswered or fetched after
    expiry. A callback that was lost on purpose needs no answer."""
    rows = list(rows)
    charges = Counter(row.external_id or row.id for row in rows if row.charged)
    twice = sorted(name for name, count in charges.items() if count > 1)
    unanswered: list[dict[str, Any]] = []
    for row in rows:
        sent = [attempt for attempt in row.delivery_attempts if attempt.sent_at is not None]
        answered = {attempt.delivery_id for attempt in sent if attempt.answered}
        # One of each delivery, in order.
        deliveries = {attempt.delivery_id: attempt.status for attempt in sent}
        unanswered += [
            {"job_id": row.id, "external_id": row.external_id, "status": status}
            for delivery_id, status in deliveries.items()
            if delivery_id not in answered
        ]
    late = sorted(fetched_late)
    return {
        "ok": not (twice or unanswered or late),
        "charged_twice": twice,
        "callbacks_unanswered": unanswered,
        "fetched_after_expiry": late,
        "charged": sum(charges.values()),
        "open": sum(row.open for row in rows),
    }
