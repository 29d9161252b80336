"""One generation: what was asked, where it stands, what it cost; both wires read this record."""

import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from services.mock_core.ledger.jobs import Job
from services.mock_core.lib.times import rfc3339


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})


@dataclass(slots=True, eq=False)
class DeliveryAttempt:
    """One attempt to hand a callback over, with the answer it got."""

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
        """Taken; or, spoilt on purpose, refused by somebody who was there."""
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
    # What only one service's wires know of: duration, graph and the like.
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
    # How the fault plan bends what status calls tell, and how often it has told a step back.
    progress_hits: tuple[Any, ...] = ()
    regressed: int = 0
    file_name: str | None = None
    # Of the file that was made, and of the picture that a video was made from.
    sha256: str | None = None
    source_sha256: str | None = None
    # The same of what they show.
    shows: str | None = None
    source_shows: str | None = None
    delivery_attempts: list[DeliveryAttempt] = field(default_factory=list)
    # The rules that concern this generation, by point of life, for one version of the plan.
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
        """The ledger's row."""
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
