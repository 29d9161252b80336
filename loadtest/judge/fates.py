"""What became of every callback, every injected fault and every failed generation."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from loadtest.books.facts import Callback, Generation, Injected, Receipt, owner
from loadtest.books.model import JobFacts

FATES = ("applied", "duplicate", "late", "early", "out_of_order", "rejected", "unknown")
AGAIN, MADE_GOOD, GONE = "sent again", "lost, made good by a poll", "lost"


Sent = tuple[Generation, Callback]


@dataclass(slots=True)
class CallbackBook:
    """Count callbacks by fate: `sent` is the sum; `lost` names those that nothing made good."""

    sent: int = 0
    fates: Counter[str] = field(default_factory=Counter)
    lost: list[tuple[str, str]] = field(default_factory=list)


def callback_book(jobs: list[JobFacts]) -> CallbackBook:
    """Match deliveries with receipts, job by job."""
    book = CallbackBook()
    for job in jobs:
        fates = (each.fate for each in job.receipts)
        book.fates.update(fate if fate in FATES else "unknown" for fate in fates)
        sent = [(made, each) for made in job.generations for each in made.callbacks]
        taken = {each.delivery_id for _, each in sent if each.answered} - {None}
        for made, each in _without_receipt(sent, job.receipts):
            again = not each.answered and each.delivery_id in taken
            book.fates[AGAIN if again else _miss(job, made, each, book=book)] += 1
        book.sent += max(len(sent), len(job.receipts))
    return book


def _without_receipt(sent: list[Sent], receipts: list[Receipt]) -> list[Sent]:
    """Return as many as there are receipts too few: first what never went out, then what got no
    good answer."""
    unlikely = sorted(sent, key=lambda pair: (pair[1].sent is not None, pair[1].answered))
    return unlikely[: max(0, len(sent) - len(receipts))]


def _miss(job: JobFacts, made: Generation, callback: Callback, *, book: CallbackBook) -> str:
    """Return the fate of a callback without a receipt."""
    name, reply = f"{made.external_id} {callback.status}", callback.reply
    if callback.answered:
        book.lost.append((job.job_id, f"{name}: answered {reply}, yet there is no receipt"))
        return GONE
    if reply is not None and 400 <= reply < 500:
        return "rejected"
    if job.ended:
        return MADE_GOOD
    book.lost.append((job.job_id, f"{name}: not delivered, and the job has not ended"))
    return GONE


BY_RETRY, BY_POLL, ABSORBED = "recovered by retry", "recovered by poll", "absorbed"
DEGRADED, SURFACED, UNACCOUNTED = "degraded", "surfaced as a failure", "unaccounted"
OUTCOMES = (BY_RETRY, BY_POLL, ABSORBED, DEGRADED, SURFACED, UNACCOUNTED)
# Nothing is lost by these, so there is nothing to recover.
_HARMLESS = {
    *("slow", "delay", "drip", "repeat", "hold", "envelope", "after-poll"),
    *("reply-after-callback", "backwards", "absurd"),
}


@dataclass(slots=True)
class FaultBook:
    """Count faults by service, kind and outcome."""

    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    unaccounted: list[tuple[str, str]] = field(default_factory=list)


def fault_book(jobs: list[JobFacts]) -> FaultBook:
    """Find the outcome of each fault that a job met."""
    book = FaultBook()
    for job in jobs:
        for fault in job.faults:
            kind, outcome = f"{fault.where}.{fault.do}", _outcome(job, fault)
            book.outcomes[(fault.service, kind, outcome)] += 1
            if outcome == UNACCOUNTED:
                text = f"{fault.where}.{fault.do} on {fault.external_id}; the job is {job.status}"
                book.unaccounted.append((job.job_id, text))
    return book


def _outcome(job: JobFacts, fault: Injected) -> str:
    step = owner(fault.external_id)[1] or fault.service
    good = any(generation.good for generation in job.of(step))
    if not job.ended:
        return UNACCOUNTED
    # A fault of the image has not failed a job whose image is good.
    if job.status == "cancelled" or (job.status == "failed" and not (step == "image" and good)):
        return SURFACED
    if not good:
        return DEGRADED if job.status == "degraded" else UNACCOUNTED
    if fault.do in _HARMLESS:
        return ABSORBED
    if fault.where == "callback":
        applied = any(r.fate == "applied" and r.task_status == "succeed" for r in job.receipts)
        return ABSORBED if applied else BY_POLL
    if fault.where == "result":
        stored = job.files.get(step)
        return BY_RETRY if stored and not stored.problem else UNACCOUNTED
    return BY_RETRY


@dataclass(slots=True)
class RetryBook:
    """Count attempts by stage, errors by class, and the fates of failed generations."""

    attempts: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    fates: Counter[str] = field(default_factory=Counter)
    unaccounted: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    retries: int = 0


def retry_book(jobs: list[JobFacts]) -> RetryBook:
    """Read failed generations from the ledgers, and repeated calls from the histories."""
    book = RetryBook()
    for job in jobs:
        for step in dict.fromkeys(each.wanted for each in job.generations):
            made = job.of(step)
            book.attempts[step][len(made)] += 1
            book.retries += len(made) - 1
            for place, generation in enumerate(made, 1):
                if not generation.good and (generation.finished or generation.outcome):
                    _failed(job, generation, made[place:], book=book)
        for activity in job.execution.activities if job.execution else ():
            if activity.error_class is not None:
                given_up = activity.outcome in ("failed", "timed_out")
                how = f"{activity.kind}, {'given up' if given_up else 'repeated'}"
                book.calls[(how, activity.error_class)] += max(1, activity.attempt - 1)
    return book


def _failed(job: JobFacts, failed: Generation, later: list[Generation], *, book: RetryBook) -> None:
    book.seconds += failed.seconds
    book.errors[(failed.step, failed.error or failed.outcome or "unknown")] += 1
    if any(generation.good for generation in later):
        fate = BY_RETRY
    elif job.status == "degraded":
        fate = DEGRADED
    elif job.status in ("failed", "cancelled") or later:
        fate = SURFACED
    else:
        fate = UNACCOUNTED
        what = failed.outcome or "has not ended"
        text = f"{failed.external_id} {what}; the job is {job.status}"
        book.unaccounted.append((job.job_id, text))
    book.fates[fate] += 1
