"""What is written into the book of callbacks, and when; nothing here waits for anybody."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from services.callback.books.book import Book
from services.callback.books.fates import FOR_TEMPORAL, fate_after_quarantine, fate_of
from services.callback.errors import NotKept
from services.callback.job_records import JobRecords
from services.callback.models import Entry, Event, Fate
from services.callback.settings import CallbackSettings
from shared.jobs.ids import parse_external_id
from shared.store.chosen import chosen_store

# So many rows a job may have; what then comes and changes nothing is counted and not noted.
# As many again are there for callbacks that tell an end.
MAX_NOTED = 200
# Of forged ones, which anybody can send.
MAX_REJECTED = 50
# So many may be in quarantine at a time.
MAX_QUARANTINED = 1000
TO_QUARANTINE = frozenset({Fate.EARLY, Fate.UNKNOWN})

Clock = Callable[[], datetime]


class Decision(NamedTuple):
    """A fate as far as the disk can tell; `ask`: the job is to be signalled, or looked up."""

    fate: Fate
    ask: bool
    # The job has a record.
    known: bool


def utc_now() -> datetime:
    """The time of day."""
    return datetime.now(UTC)


class Entries:
    """Each method is one piece of work on the book, for the committer to run."""

    def __init__(self, settings: CallbackSettings, now: Clock = utc_now) -> None:
        self.now = now
        self._job_records = JobRecords(chosen_store(settings))
        self._quarantine = settings.callback_quarantine_seconds
        self._keep = settings.callback_keep_rows

    def add(
        self, book: Book, event: Event, *, original: Entry | None = None
    ) -> tuple[Entry, Decision | None]:
        """Keep an event: with its fate where that is certain, to be signalled otherwise.

        Without a decision others of its job wait before it. NotKept where the job has more than
        anybody honest would send.
        """
        entry = Entry(0, event, None, replay_of=original.position if original else None)
        decision = None if book.waits(event.job_id) else self.decide(book, entry)
        if decision is not None and not decision.ask:
            entry = self._with_fate(book, entry, decision.fate)
        if book.count(event.job_id) >= MAX_NOTED * (2 if event.ended else 1):
            if entry.fate is None:
                raise NotKept("Too many callbacks of this job wait.")
            return entry._replace(held_until=None), decision
        entry = entry._replace(receipt_id=book.add(entry))
        book.prune(entry.receipt_id, keep=self._keep)
        return entry, decision

    def add_forged(self, book: Book, forged: Event) -> None:
        """Of a job that there isn't nothing is noted: a forger can make up any number of them."""
        if self._job_records.known(forged.job_id) and book.count(forged.job_id) < MAX_REJECTED:
            book.add(Entry(0, forged, Fate.REJECTED))

    def forget(self, book: Book, job_id: str, *, before: datetime) -> int:
        """Remove the old receipts of a job that ended before then, or has no record; how many.

        What an open job has heard decides what it will.
        """
        job = self._job_records.view(job_id)
        if job is None and self._job_records.known(job_id):
            return 0
        if job is not None and (job.finished_at is None or job.finished_at >= before):
            return 0
        return book.forget(job_id, before=before)

    def decide(self, book: Book, entry: Entry) -> Decision:
        """The decision on an event at its position in the book."""
        return self._decide(book, entry.event, before=entry.position or None)

    def _decide(self, book: Book, event: Event, *, before: int | None) -> Decision:
        generation = parse_external_id(event.external_id)
        if generation is None:
            return Decision(Fate.UNKNOWN, ask=False, known=False)
        if event.named is not None:
            fate = Fate.REJECTED if self._is_of_a_known_job(event.named) else Fate.UNKNOWN
            return Decision(fate, ask=False, known=False)
        job = self._job_records.view(event.job_id)
        fate = fate_of(event, generation, job=job, past=book.past(event, before=before))
        ask = fate in FOR_TEMPORAL and (event.ended or job is None)
        return Decision(fate, ask, known=job is not None)

    def _is_of_a_known_job(self, external_id: str) -> bool:
        generation = parse_external_id(external_id)
        return generation is not None and self._job_records.known(generation.job_id)

    def next_waiting(self, book: Book, job_id: str) -> tuple[Entry, Decision] | None:
        """The oldest of a job's that waits, and what becomes of it."""
        entry = book.first_waiting(job_id)
        return None if entry is None else (entry, self.decide(book, entry))

    def settle(self, book: Book, entry: Entry, fate: Fate) -> Entry:
        """Note what became of an entry that waited, unless another receiver has done so."""
        present = book.entry(entry.receipt_id)
        if present is not None and present.fate is not None:
            return present
        entry = self._with_fate(book, entry, fate)
        book.settle(entry)
        return entry

    def _with_fate(self, book: Book, entry: Entry, fate: Fate) -> Entry:
        held = (
            fate in TO_QUARANTINE
            and entry.replay_of is None
            and book.quarantined() < MAX_QUARANTINED
        )
        until = self.now().timestamp() + self._quarantine if held else None
        return entry._replace(fate=fate, held_until=entry.held_until or until if held else None)

    def review(self, book: Book, entry: Entry) -> Entry | None:
        """What became of one in quarantine; without a fate: to be signalled, None: it stays.

        By the book: `entry` may be as it was before another receiver has let it out.
        """
        entry = book.entry(entry.receipt_id) or entry
        if entry.fate is None or entry.held_until is None:
            return None
        # The same one may have come again since, and have been settled.
        before = entry.position if entry.fate is Fate.EARLY else None
        decision = self._decide(book, entry.event, before=before)
        found = decision.fate
        if entry.fate is Fate.UNKNOWN and entry.event.named is None and not decision.known:
            found = Fate.UNKNOWN
        expired = self.now().timestamp() >= entry.held_until
        became = fate_after_quarantine(entry.fate, found, expired=expired)
        if became is None:
            return None
        if entry.fate is Fate.UNKNOWN and became in FOR_TEMPORAL:
            entry = entry._replace(fate=None)
        else:
            entry = entry._replace(fate=became, held_until=None)
        book.settle(entry)
        return entry
