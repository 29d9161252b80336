"""What became of each callback: the vendor's deliveries against our receiver's receipts."""

from collections import Counter
from dataclasses import dataclass, field

from loadtest.books.model import ENDS, Generation, JobFacts

FATES = ("applied", "duplicate", "late", "early", "out_of_order", "rejected", "unknown")
BY_POLL, LOST = "lost, made good by a poll", "lost"


@dataclass(slots=True)
class CallbackBook:
    """Sent = the sum of all fates; `lost` names the callbacks that nothing made good."""

    sent: int = 0
    fates: Counter[str] = field(default_factory=Counter)
    lost: list[tuple[str, str]] = field(default_factory=list)
    unsent: list[tuple[str, str]] = field(default_factory=list)

    @property
    def adds_up(self) -> bool:
        return self.sent == sum(self.fates.values())


def callback_book(jobs: list[JobFacts]) -> CallbackBook:
    """Match deliveries with receipts, task by task and status by status."""
    book = CallbackBook()
    for job in jobs:
        receipts = Counter((r.task_id, r.task_status) for r in job.receipts)
        for receipt in job.receipts:
            book.fates[receipt.fate if receipt.fate in FATES else "unknown"] += 1
        for generation in job.generations:
            _match(job, generation, receipts, book=book)
        left = sum(receipts.values())
        book.sent += left
        if left:
            book.unsent.append((job.job_id, f"{left} receipt(s) that no vendor noted as sent"))
    return book


def _match(
    job: JobFacts,
    generation: Generation,
    receipts: Counter[tuple[str | None, str | None]],
    *,
    book: CallbackBook,
) -> None:
    for status, deliveries in _by_status(generation).items():
        book.sent += len(deliveries)
        key = (generation.vendor_id, status)
        received = min(receipts[key], len(deliveries))
        receipts[key] -= received
        # What was answered well has arrived: the missing are sought among the others first.
        missing = sorted(deliveries, key=_well_answered)[: len(deliveries) - received]
        for reply in missing:
            _miss(job, f"{generation.external_id} {status}", reply, book=book)


def _miss(job: JobFacts, name: str, reply: int | None, *, book: CallbackBook) -> None:
    if reply is not None and 200 <= reply < 300:
        book.fates[LOST] += 1
        book.lost.append((job.job_id, f"{name}: answered {reply}, yet the receiver has no receipt"))
    elif reply is not None and 400 <= reply < 500:
        book.fates["rejected"] += 1
    elif job.status in ENDS:
        book.fates[BY_POLL] += 1
    else:
        book.fates[LOST] += 1
        book.lost.append((job.job_id, f"{name}: not delivered, and the job has not ended"))


def _by_status(generation: Generation) -> dict[str, list[int | None]]:
    found: dict[str, list[int | None]] = {}
    for callback in generation.callbacks:
        found.setdefault(callback.status, []).append(callback.reply)
    return found


def _well_answered(reply: int | None) -> bool:
    return reply is not None and 200 <= reply < 300
