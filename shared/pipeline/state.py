"""A job's state inside of its workflow: each change is one version, and an end is final."""

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from shared.jobs.messages import (
    Attempts,
    JobError,
    Progress,
    Record,
    Transition,
    raised,
    started_at,
)
from shared.jobs.states import Status, may_follow


class JobState:
    """Holds the record and makes its next version; pure, so that it replays."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.note = ""
        self._paid: Attempts = {}

    def change(self, at: datetime, note: str, **fields: object) -> Record:
        """Return the next version with `fields` set; raise ValueError for a move that the states
        forbid.

        The next change leaves the vendor's queue. Known paid attempts stay counted.
        """
        after = Status(str(fields.get("status", self.record.status)))
        # A drain adds what is found out after an end, not the job itself.
        if self.record.status.ended or not may_follow(self.record.status, after):
            raise ValueError(f"a {self.record.status} job can't become {after}")
        version = self.record.version + 1
        counted = cast(Attempts, fields.get("attempts", self.record.attempts))
        fields["attempts"] = raised(counted, self._paid)
        if after is Status.RUNNING and self.record.started_at is None:
            fields["started_at"] = at
        if after.ended:
            fields["finished_at"] = at
        changed = self.record.model_copy(
            update={"vendor_position": None, **fields, "version": version}
        )
        self.note = note
        self.record = changed.followed(at, note)
        return self.record

    def resume(self, known: Sequence[Transition], paid: Attempts) -> bool:
        """Continue from what this run has recorded before; return whether our change must be
        recorded.

        The recorded versions stay. If our last change is among them, its time is adopted; otherwise
        our change follows them. No time goes back, and no percent of an attempt falls.
        """
        ours, last = self.record.transitions, self.record.transitions[-1]
        same = any(_are_one(each, last) for each in known)
        if same:
            known, later = [each for each in known if each.version <= last.version], []
        else:
            self._paid = raised(self._paid, paid)
            beyond = [each for each in ours if each.version > known[-1].version]
            later = [self._counted(each, each.version) for each in beyond]
            later = later or [self._counted(last, known[-1].version + 1)]
            later = [_behind(known[-1], each) for each in later]
        transitions = (*known, *later)
        self.record = self.record.model_copy(
            update={
                **_derived_fields(transitions),
                "attempts": raised(self.record.attempts, self._paid),
                "percent": transitions[-1].percent,
            }
        )
        return not same

    def _counted(self, change: Transition, version: int) -> Transition:
        attempts = raised(change.attempts, self._paid)
        return change.model_copy(update={"version": version, "attempts": attempts})

    def is_at(self, end: Record) -> bool:
        """True if this end is the present version, written before at another time."""
        return _are_one(self.record.transitions[-1], end.transitions[-1])

    def adopt(self, end: Record) -> None:
        """Take over this run's end, which it recorded before it had to repeat the step."""
        self.record = end
        self.note = end.transitions[-1].note

    def attempts_with(self, step: str, count: int) -> Attempts:
        """Return the attempts when `step` has used `count` of them, as far as this run knows."""
        return {**self.record.attempts, step: count}

    def progress(self) -> Progress:
        record = self.record
        return Progress(
            step=record.step,
            status=record.status,
            percent=record.percent,
            asset_url=record.asset_url,
            version=record.version,
            attempts=record.attempts,
            note=self.note,
        )


def _are_one(change: Transition, other: Transition) -> bool:
    """True if two changes differ at most in their times, and in stages without an attempt, because
    the pipeline may have gained a stage between them."""
    found = [
        each.model_copy(
            update={"at": other.at, "attempts": {k: v for k, v in each.attempts.items() if v}}
        )
        for each in (change, other)
    ]
    return found[0] == found[1]


def _derived_fields(transitions: tuple[Transition, ...]) -> dict[str, object]:
    last = transitions[-1]
    return {
        "version": last.version,
        "started_at": started_at(transitions),
        "finished_at": last.at if last.status.ended else None,
        "transitions": transitions,
    }


def _behind(before: Transition, change: Transition) -> Transition:
    percent = change.percent
    if (change.step, change.attempt) == (before.step, before.attempt):
        percent = max(percent, before.percent)
    return change.model_copy(update={"at": max(change.at, before.at), "percent": percent})


def job_error(code: str, message: str) -> JobError:
    """Return why a job ended badly, with a message of readable length."""
    return JobError(code=code, message=message[:1000])
