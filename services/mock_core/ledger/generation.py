"""One generation: its job, its request, its state, its cost.

Both wires read this record.
"""

import itertools
import re
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from services.mock_core.clock import fingerprint, rfc3339

_serials = itertools.count(1)


def next_serial() -> int:
    """Return the next serial number of jobs and rules, by which one can tell the older one."""
    return next(_serials)


@dataclass(slots=True, eq=False)
class Job:
    """A piece of work as the caller sees it: all its attempts and submits together.

    `key` is made of the prompt and, among equal prompts, the order of arrival, because ids differ
    between runs and prompts do not.
    """

    key: str
    number: int
    accepted: int = 0
    serial: int = field(default_factory=next_serial)
    # Events by point of life. The other two are made when a rule needs them: events that met a rule
    # that does not meet all, and whether a rule that spans the life has struck.
    events: dict[str, int] | None = None
    met: dict[tuple[int, str], int] | None = None
    struck: dict[int, bool] | None = None

    def count(self, where: str) -> int:
        """Return the number, from 1, of the event that happens now at this point."""
        self.events = self.events or {}
        number = self.events[where] = self.events.get(where, 0) + 1
        return number

    def count_met(self, serial: int, effect: str) -> int:
        """Return the same among the events that met this effect of a rule."""
        self.met = self.met or {}
        number = self.met[serial, effect] = self.met.get((serial, effect), 0) + 1
        return number


class JobIndex:
    """Finds the job of an external id; bounded, the oldest are forgotten."""

    def __init__(self, pattern: str, keep: int = 20_000) -> None:
        self._keep = keep
        self._pattern = re.compile(pattern)
        self._by_stem: OrderedDict[str, Job] = OrderedDict()
        self._same_prompt: OrderedDict[str, int] = OrderedDict()
        self._count = 0

    def find(self, external_id: str | None, prompt: str) -> tuple[Job, int]:
        """Return job and attempt: the number in the external id, else one more than accepted."""
        match = self._pattern.fullmatch(external_id) if external_id else None
        stem = match["job"] if match else external_id
        job = self._by_stem.get(stem) if stem else None
        if job is None:
            job = self._new(prompt)
            if stem:
                self._by_stem[stem] = job
                self._trim(self._by_stem)
        return job, int(match["attempt"]) if match else job.accepted + 1

    def clear(self) -> None:
        self._by_stem.clear()
        self._same_prompt.clear()
        self._count = 0

    def _new(self, prompt: str) -> Job:
        print_ = fingerprint(prompt)
        ordinal = self._same_prompt.get(print_, 0) + 1
        self._same_prompt[print_] = ordinal
        self._trim(self._same_prompt)
        self._count += 1
        return Job(key=f"{print_}#{ordinal}", number=self._count)

    def _trim(self, table: OrderedDict[str, Job] | OrderedDict[str, int]) -> None:
        if len(table) > self._keep:
            table.popitem(last=False)


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
        """True if it was taken; or, damaged on purpose, refused by a live receiver."""
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


@dataclass(slots=True, eq=False)
class Generation:
    """A request to generate. It counts, and costs, only once it has been accepted."""

    id: str
    external_id: str | None
    job: Job
    attempt: int
    prompt: str
    style: str
    tag: str
    base_url: str
    token: int | None = None
    callback_url: str | None = None
    image_source: str | bytes | None = None
    # Members of one service only: duration, graph and the like.
    detail: dict[str, Any] = field(default_factory=dict)
    state: State = State.QUEUED
    error: str | None = None
    charged: bool = False
    vanished: bool = False
    duplicate: bool = False
    accepted: float | None = None
    started: float | None = None
    finished: float | None = None
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
    # Of the file that was made, and of the picture that a video was made from.
    sha256: str | None = None
    source_sha256: str | None = None
    # The same for their content.
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
        """Return the ledger's row."""
        return {
            "job_id": self.id,
            "external_id": self.external_id,
            "job_key": self.job.key,
            "attempt": self.attempt,
            "prompt": self.prompt,
            "token": self.token,
            "accepted_at": rfc3339(self.accepted),
            "started_at": rfc3339(self.started),
            "finished_at": rfc3339(self.finished),
            "accepted_ts": self.accepted,
            "started_ts": self.started,
            "finished_ts": self.finished,
            "seconds": None
            if self.finished is None or self.accepted is None
            else round(self.finished - self.accepted, 6),
            "outcome": self.outcome,
            "error": self.error,
            "sha256": self.sha256,
            "source_sha256": self.source_sha256,
            "shows": self.shows,
            "source_shows": self.source_shows,
            "charged": self.charged,
            "duplicate": self.duplicate,
            "calls_back": self.callback_url is not None,
            "callbacks": [attempt.row() for attempt in self.delivery_attempts],
        }

    @property
    def outcome(self) -> str | None:
        if self.vanished and not self.ended:
            return "vanished"
        return str(self.state) if self.ended else None

    def shrink(self) -> None:
        """Drop what only a running generation needs; the row stays."""
        self.image_source = None
        self.prompt = self.prompt[:200]
