"""What is written into the book of callbacks, and when; nothing here waits for anybody."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from services.callback.book import Book
from services.callback.errors import NotKept
from services.callback.jobs import Jobs
from services.callback.judge import TO_TELL, judge, review
from services.callback.models import Event, Fate, Row
from services.callback.settings import CallbackSettings
from shared.ids import parse_external_id

# So many rows a job may have; what then comes and changes nothing is counted and not noted.
# As many again are there for callbacks that tell an end.
MAX_NOTED = 200
# Of forged ones, which anybody can send.
MAX_REJECTED = 50
# So many may be in quarantine at a time.
MAX_HELD = 1000
QUARANTINED = frozenset({Fate.EARLY, Fate.UNKNOWN})

Clock = Callable[[], datetime]


class Verdict(NamedTuple):
    """A fate as far as the disk can tell; `open` where Temporal is to be told or asked."""

    fate: Fate
    open: bool
    # The job has a record.
    known: bool


class Entry(NamedTuple):
    """A row that has just been entered; without a verdict others of its job wait before it."""

    row: Row
    verdict: Verdict | None


def utc_now() -> datetime:
    """The time of day."""
    return datetime.now(UTC)


class Desk:
    """Each method is one piece of work on the book, for the committer to run."""

    def __init__(self, settings: CallbackSettings, now: Clock = utc_now) -> None:
        self.now = now
        self._jobs = Jobs(settings.data_dir)
        self._quarantine = settings.callback_quarantine_seconds
        self._keep = settings.callback_keep_rows

    def enter(self, book: Book, event: Event, *, model: Row | None = None) -> Entry:
        """Keep an event: with its fate where that is certain, to be told otherwise.

        NotKept where the job has more than anybody honest would send.
        """
        row = Row(0, event, None, replay_of=model.place if model else None)
        verdict = None if book.waits(event.job_id) else self.judged(book, row)
        if verdict is not None and not verdict.open:
            row = self._with_fate(book, row, verdict.fate)
        if book.count(event.job_id) >= MAX_NOTED * (2 if event.ended else 1):
            if row.fate is None:
                raise NotKept("Too many callbacks of this job wait.")
            return Entry(row._replace(held_until=None), verdict)
        row = row._replace(receipt_id=book.add(row))
        book.prune(row.receipt_id, keep=self._keep)
        return Entry(row, verdict)

    def note_forged(self, book: Book, forged: Event) -> None:
        """Of a job that there isn't nothing is noted: a forger can make up any number of them."""
        if self._jobs.known(forged.job_id) and book.count(forged.job_id) < MAX_REJECTED:
            book.add(Row(0, forged, Fate.REJECTED))

    def judged(self, book: Book, row: Row) -> Verdict:
        """The verdict on an event in its place of the book."""
        return self._judged(book, row.event, before=row.place or None)

    def _judged(self, book: Book, event: Event, *, before: int | None) -> Verdict:
        generation = parse_external_id(event.external_id)
        if generation is None:
            return Verdict(Fate.UNKNOWN, open=False, known=False)
        if event.named is not None:
            fate = Fate.REJECTED if self._is_of_a_known_job(event.named) else Fate.UNKNOWN
            return Verdict(fate, open=False, known=False)
        job = self._jobs.view(event.job_id)
        fate = judge(event, generation, job=job, past=book.past(event, before=before))
        is_open = fate in TO_TELL and (event.ended or job is None)
        return Verdict(fate, is_open, known=job is not None)

    def _is_of_a_known_job(self, external_id: str) -> bool:
        generation = parse_external_id(external_id)
        return generation is not None and self._jobs.known(generation.job_id)

    def next_waiting(self, book: Book, job_id: str) -> tuple[Row, Verdict] | None:
        """The oldest of a job's that waits, and what becomes of it."""
        row = book.first_waiting(job_id)
        return None if row is None else (row, self.judged(book, row))

    def settle(self, book: Book, row: Row, fate: Fate) -> Row:
        """Note what became of a row that waited."""
        row = self._with_fate(book, row, fate)
        book.settle(row)
        return row

    def _with_fate(self, book: Book, row: Row, fate: Fate) -> Row:
        held = fate in QUARANTINED and row.replay_of is None and book.held_count() < MAX_HELD
        until = self.now().timestamp() + self._quarantine if held else None
        return row._replace(fate=fate, held_until=row.held_until or until if held else None)

    def review(self, book: Book, row: Row) -> Row | None:
        """What became of one in quarantine; without a fate it is to be told, None: it stays."""
        if row.fate is None or row.held_until is None:
            return None
        # The same one may have come again since, and have been settled.
        before = row.place if row.fate is Fate.EARLY else None
        verdict = self._judged(book, row.event, before=before)
        found = verdict.fate
        if row.fate is Fate.UNKNOWN and row.event.named is None and not verdict.known:
            found = Fate.UNKNOWN
        expired = self.now().timestamp() >= row.held_until
        became = review(row.fate, found, expired=expired)
        if became is None:
            return None
        to_tell = row.fate is Fate.UNKNOWN and became in TO_TELL
        row = row._replace(fate=None) if to_tell else row._replace(fate=became, held_until=None)
        book.settle(row)
        return row
