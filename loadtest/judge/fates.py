"""What became of every callback, every injected fault and every failed generation."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from loadtest.books.facts import Callback, Generation, Injected, Receipt, step_of
from loadtest.books.model import ENDS, JobFacts

FATES = ("applied", "duplicate", "late", "early", "out_of_order", "rejected", "unknown")
AGAIN, MADE_GOOD, GONE = "sent again", "lost, made good by a poll", "lost"


Sent = tuple[Generation, Callback]


@dataclass(slots=True)
class CallbackBook:
    """Sent = the sum of all fates; `lost` names the callbacks that nothing made good."""

    sent: int = 0
    fates: Counter[str] = field(default_factory=Counter)
    lost: list[tuple[str, str]] = field(default_factory=list)
    unsent: list[tuple[str, str]] = field(default_factory=list)


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
        return GONE
    if reply is not None and 400 <= reply < 500:
        return "rejected"
    if job.status in ENDS:
        return MADE_GOOD
    book.lost.append((job.job_id, f"{name}: not delivered, and the job has not ended"))
    return GONE


BY_RETRY, BY_POLL, ABSORBED = "recovered by retry", "recovered by poll", "absorbed"
DEGRADED, SURFACED, UNACCOUNTED = "degraded", "surfaced as a failure", "unaccounted"
OUTCOMES = (BY_RETRY, BY_POLL, ABSORBED, DEGRADED, SURFACED, UNACCOUNTED)
# Nothing is lost by these: who bears them has nothing to recover.
_HARMLESS = {
    *("slow", "delay", "drip", "repeat", "resend", "hold", "envelope", "after-poll"),
    *("reply-after-callback", "backwards", "freeze", "absurd"),
}


@dataclass(slots=True)
class FaultBook:
    """Faults by service, place, kind and outcome."""

    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    unaccounted: list[tuple[str, str]] = field(default_factory=list)


def fault_book(jobs: list[JobFacts]) -> FaultBook:
    """Reconcile the faults of a stage's jobs."""
    book = FaultBook()
    for job in jobs:
        for fault in job.faults:
            outcome = _outcome(job, fault)
            book.outcomes[(fault.service, f"{fault.where}.{fault.do}", outcome)] += 1
            if outcome == UNACCOUNTED:
                text = f"{fault.where}.{fault.do} on {fault.external_id}; the job is {job.status}"
                book.unaccounted.append((job.job_id, text))
    return book


def _outcome(job: JobFacts, fault: Injected) -> str:
    if job.status not in ENDS:
        return UNACCOUNTED
    if job.status == "cancelled":
        return SURFACED
    step = _step(fault)
    if job.status == "failed" and not (step == "image" and _good(job, "image")):
        return SURFACED
    if not _good(job, step):
        return DEGRADED if job.status == "degraded" else UNACCOUNTED
    return _recovery(job, fault)


def _recovery(job: JobFacts, fault: Injected) -> str:
    """The stage came to a good end: by what means?"""
    if fault.do in _HARMLESS:
        return ABSORBED
    if fault.where == "callback":
        told = any(r.fate == "applied" and r.task_status == "succeed" for r in job.receipts)
        return ABSORBED if told else BY_POLL
    if fault.where == "result":
        stored = job.files.get(_step(fault))
        return BY_RETRY if stored and not stored.problem else UNACCOUNTED
    return BY_RETRY


def _good(job: JobFacts, step: str) -> bool:
    return any(generation.good for generation in job.of(step))


def _step(fault: Injected) -> str:
    return step_of(fault.external_id) or fault.service


@dataclass(slots=True)
class RetryBook:
    """Attempts per stage, errors by class, and the fate of each failed generation."""

    attempts: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    fates: Counter[str] = field(default_factory=Counter)
    unaccounted: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    retries: int = 0


def retry_book(jobs: list[JobFacts]) -> RetryBook:
    """Read ledgers for failed generations and histories for calls that had to be repeated."""
    book = RetryBook()
    for job in jobs:
        for step in dict.fromkeys(each.wanted for each in job.generations):
            made = job.of(step)
            if made:
                book.attempts[step][len(made)] += 1
                book.retries += len(made) - 1
            for place, generation in enumerate(made):
                if not generation.good and (generation.finished or generation.outcome):
                    _failed(job, generation, made[place + 1 :], book=book)
        _calls(job, book)
    return book


def _failed(job: JobFacts, failed: Generation, later: list[Generation], *, book: RetryBook) -> None:
    book.seconds += failed.seconds
    book.errors[(failed.step, failed.error or failed.outcome or "unknown")] += 1
    if any(generation.good for generation in later):
        book.fates[BY_RETRY] += 1
    elif job.status == "degraded":
        book.fates[DEGRADED] += 1
    elif job.status in ("failed", "cancelled") or later:
        book.fates[SURFACED] += 1
    else:
        book.fates[UNACCOUNTED] += 1
        what = failed.outcome or "has not ended"
        book.unaccounted.append(
            (job.job_id, f"{failed.external_id} {what}; the job is {job.status}")
        )


def _calls(job: JobFacts, book: RetryBook) -> None:
    for activity in job.execution.activities if job.execution else ():
        if activity.error_class is not None:
            given_up = activity.outcome in ("failed", "timed_out")
            how = f"{activity.kind}, {'given up' if given_up else 'repeated'}"
            book.calls[(how, activity.error_class)] += max(1, activity.attempt - 1)
