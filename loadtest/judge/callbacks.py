"""What became of each callback: the vendor's deliveries against our receiver's receipts."""

from collections import Counter
from dataclasses import dataclass, field

from loadtest.books.model import ENDS, Callback, Generation, JobFacts

FATES = ("applied", "duplicate", "late", "early", "out_of_order", "rejected", "unknown")
AGAIN, BY_POLL, LOST = "sent again", "lost, made good by a poll", "lost"


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
        # While a job goes on, a callback may come between the reading of two books.
        if left and job.status in ENDS:
            book.unsent.append((job.job_id, f"{left} receipt(s) that no vendor noted as sent"))
    return book


def _match(
    job: JobFacts,
    generation: Generation,
    receipts: Counter[tuple[str | None, str | None]],
    *,
    book: CallbackBook,
) -> None:
    by_status: dict[str, list[Callback]] = {}
    for callback in generation.callbacks:
        by_status.setdefault(callback.status, []).append(callback)
    for status, deliveries in by_status.items():
        book.sent += len(deliveries)
        key = (generation.vendor_id, status)
        received = min(receipts[key], len(deliveries))
        receipts[key] -= received
        # What was answered well has arrived: the missing are sought among the others first.
        missing = sorted(deliveries, key=lambda each: each.answered)[: len(deliveries) - received]
        taken = {each.delivery_id for each in deliveries if each.answered and each.delivery_id}
        for callback in missing:
            again = not callback.answered and callback.delivery_id in taken
            book.fates[AGAIN if again else _miss(job, generation, callback, book=book)] += 1


def _miss(job: JobFacts, generation: Generation, callback: Callback, *, book: CallbackBook) -> str:
    """The fate of a callback without a receipt."""
    name, reply = f"{generation.external_id} {callback.status}", callback.reply
    if callback.answered:
        book.lost.append((job.job_id, f"{name}: answered {reply}, yet there is no receipt"))
        return LOST
    if reply is not None and 400 <= reply < 500:
        return "rejected"
    if job.status in ENDS:
        return BY_POLL
    book.lost.append((job.job_id, f"{name}: not delivered, and the job has not ended"))
    return LOST
