"""What a chaos run leaves behind for its judgement: books of others, and what was done to whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from loadtest.books.load import load
from loadtest.books.model import Books
from loadtest.books.raw import RunFolder
from tests.chaos.grants import grants

CHAOS = "chaos.json"


class Done(StrEnum):
    """What may be done to a job from outside."""

    CANCEL = "cancel"
    TERMINATE = "terminate"
    RESET = "reset"
    TIME_OUT = "time-out"
    DELETE = "delete"
    START_AGAIN = "start again"
    FAIL = "activity fail"
    COMPLETE = "activity complete"


NOTHING: frozenset[Done] = frozenset()


@dataclass(frozen=True)
class Evidence:
    """`slots` as `GET /slots` showed them at the end; `versions` by the workflows' own word.

    `struck`: the log of the strikes. `tail`: jobs that were submitted after the last one.
    `grants`: by run, when the semaphore granted it the slot, as its own histories tell.
    """

    books: Books
    slots: Mapping[str, Any]
    disturbed: Mapping[str, frozenset[Done]] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)
    tail: frozenset[str] = frozenset()
    struck: Sequence[Mapping[str, Any]] = ()
    grants: Mapping[str, float] = field(default_factory=dict)

    def done_to(self, job_id: str) -> frozenset[Done]:
        """What was done to a job; mostly nothing."""
        return self.disturbed.get(job_id, NOTHING)


def write(folder: RunFolder, evidence: Evidence, **more: Any) -> None:
    """Keep beside the raw books what they can't know."""
    folder.write(
        CHAOS,
        {
            **more,
            "slots": evidence.slots,
            "disturbed": {job_id: sorted(done) for job_id, done in evidence.disturbed.items()},
            "versions": evidence.versions,
            "tail": sorted(evidence.tail),
            "struck": list(evidence.struck),
        },
    )


def read(folder: RunFolder) -> Evidence:
    """All evidence of a finished run, from its folder alone."""
    known = folder.read(CHAOS)
    return Evidence(
        books=load(folder),
        slots=known["slots"],
        disturbed={
            job_id: frozenset(map(Done, done)) for job_id, done in known["disturbed"].items()
        },
        versions=known["versions"],
        tail=frozenset(known["tail"]),
        struck=known["struck"],
        grants=grants(folder),
    )
