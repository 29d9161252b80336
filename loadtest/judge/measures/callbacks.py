"""What became of each callback: the vendor's deliveries against our receiver's receipts."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from loadtest.books.facts import Callback, Generation, Receipt
from loadtest.books.model import ENDS, JobFacts

FATES = ("applied", "duplicate", "late", "early", "out_of_order", "rejected", "unknown")
AGAIN, BY_POLL, LOST = "sent again", "lost, made good by a poll", "lost"


Sent = tuple[Generation, Callback]


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
    """Match deliveries with receipts, job by job."""
    book = CallbackBook()
    for job in jobs:
        for receipt in job.receipts:
            book.fates[receipt.fate if receipt.fate in FATES else "unknown"] += 1
        left = _match(job, book)
        book.sent += sum(len(generation.callbacks) for generation in job.generations) + left
        # While a job goes on, a callback may come between the reading of two books.
        if left and job.status in ENDS:
            book.unsent.append((job.job_id, f"{left} receipt(s) that no vendor noted as sent"))
    return book


def _match(job: JobFacts, book: CallbackBook) -> int:
    """Settle every delivery of a job; returns how many receipts no delivery explains."""
    receipts = list(job.receipts)
    sent = [(generation, each) for generation in job.generations for each in generation.callbacks]
    # What was answered well has arrived: it has the first choice of the receipts. What a fault has
    # swallowed never went out, and has no claim to the receipt of another that tells the same.
    gone = (pair for pair in sent if pair[1].sent is not None)
    waiting = sorted(gone, key=lambda pair: not pair[1].answered)
    for fits in (_exactly, _loosely):
        waiting = _without_receipt(waiting, receipts, fits)
    taken = {callback.delivery_id for _, callback in sent if callback.answered} - {None}
    swallowed = [pair for pair in sent if pair[1].sent is None]
    for generation, callback in waiting + swallowed:
        again = not callback.answered and callback.delivery_id in taken
        book.fates[AGAIN if again else _miss(job, generation, callback, book=book)] += 1
    return len(receipts)


def _without_receipt(
    waiting: list[Sent], receipts: list[Receipt], fits: Callable[[Receipt, Sent], bool]
) -> list[Sent]:
    """Take a fitting receipt off the list for each delivery; returns those that got none."""
    left = []
    for sent in waiting:
        found = next((receipt for receipt in receipts if fits(receipt, sent)), None)
        if found is None:
            left.append(sent)
        else:
            receipts.remove(found)
    return left


def _exactly(receipt: Receipt, sent: Sent) -> bool:
    generation, callback = sent
    return receipt.task_id == generation.vendor_id and receipt.task_status == callback.status


def _loosely(receipt: Receipt, sent: Sent) -> bool:
    """A bent callback may tell another task or status, or have been refused unread."""
    generation, _ = sent
    if receipt.external_id is not None:
        return receipt.external_id == generation.external_id
    return receipt.task_id in (None, generation.vendor_id)


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
