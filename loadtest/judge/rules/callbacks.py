"""Receipts are deliveries, both are what the vendor counted, and an end is applied once.

A poll makes good what is lost, so that nothing else would show it where all are.
"""

from collections import Counter
from collections.abc import Iterator
from functools import partial

from loadtest.books.facts import mapping, owner
from loadtest.books.model import Books, JobFacts, StageBook
from loadtest.judge.findings import Finding
from loadtest.judge.rules.common import RUN, Texts, each, met, of_stage

CALLBACK = "callback"
ENDS = ("succeed", "failed")
RECEIVER = "callback"
TAKEN = ("applied", "duplicate", "late", "early", "out_of_order")


def callback(books: Books) -> Iterator[Finding]:
    """Callbacks that one side alone knows of, or that were refused for nothing."""
    for job_id in books.stray_receipts:
        yield Finding(CALLBACK, job_id, 0, "a callback was received for it, and no book knows it")
    if "receipts" in books.unread:
        return
    yield from each(books, CALLBACK, _applied, _signalled)
    if "video" in books.mocks:
        told = partial(_told, changes=_changes(books), asked=_asked(books))
        yield from each(books, CALLBACK, told, _counted, _whose, _refused)
        yield from _unanswered(books)
        if not books.restarts(RECEIVER):
            for stage in books.stages:
                yield from of_stage(stage, CALLBACK, _none(stage))


def _changes(books: Books) -> set[str]:
    """What a vendor tells of a good task: its end alone, or that work on it has begun, too."""
    rows = books.ledgers.get("video", [])
    begun = any(told.status == "processing" for row in rows for told in row.callbacks)
    return {"processing", "succeed"} if begun else {"succeed"}


def _asked(books: Books) -> bool:
    """Whether the vendor was told where to call back; a stack that polls alone tells it never."""
    return any(row.calls_back for job in books.jobs for row in job.of("video"))


def _told(job: JobFacts, books: Books, *, changes: set[str], asked: bool) -> Texts:
    """A vendor that was told where tells of each change, or notes that a fault has swallowed it."""
    for row in job.of("video"):
        told = {each_one.status for each_one in row.callbacks}
        if asked and not row.calls_back:
            yield f"{row.external_id} was ordered without an address to call back at, others not"
        elif asked and row.good and not changes <= told:
            yield f"the vendor told nothing of {row.external_id}, or not all"


def _counted(job: JobFacts, books: Books) -> Texts:
    """As many receipts as deliveries, by task and status; a reply may be lost, a receipt not.

    A delivery that a fault has bent may tell of another task, and is noted as such.
    """
    bent = met(job, "callback")
    sent: Counter[tuple[str, str]] = Counter()
    answered: Counter[tuple[str, str]] = Counter()
    for row in job.generations:
        for told in row.callbacks:
            sent[row.vendor_id, told.status] += told.sent is not None
            answered[row.vendor_id, told.status] += told.answered and not told.note
    received = Counter((str(r.task_id), str(r.task_status)) for r in job.receipts)
    for task, status in sent.keys() | received.keys():
        count = received[task, status]
        if count < answered[task, status] or (count > sent[task, status] and not bent):
            yield f"{task} {status}: sent {sent[task, status]}, received {count}"


def _whose(job: JobFacts, books: Books) -> Texts:
    """A receipt names the generation that its task is of."""
    ours = {row.vendor_id: row.external_id for row in job.generations}
    for receipt in job.receipts if not met(job, "callback") else ():
        named = receipt.external_id
        if named is not None and ours.get(str(receipt.task_id), named) != named:
            yield f"a callback for {receipt.task_id} was taken as one for {named}"


def _applied(job: JobFacts, books: Books) -> Texts:
    ends = Counter(r.task_id for r in job.receipts if r.fate == "applied" and r.task_status in ENDS)
    for task, count in ends.items():
        if count > 1:
            yield f"the end of {task} was applied {count} times"


def _refused(job: JobFacts, books: Books) -> Texts:
    """Without a fault every callback is good, and is taken as such.

    A receiver that is killed, or has no Temporal, leaves a receipt without a fate: the vendor had
    no answer to that delivery then, or a 5xx.
    """
    if books.armed:
        return
    replies = [told.reply for row in job.generations for told in row.callbacks]
    excused = sum(reply is None or reply >= 500 for reply in replies)
    undecided = sum(receipt.fate == "unknown" for receipt in job.receipts)
    refused = sum(receipt.fate not in (*TAKEN, "unknown") for receipt in job.receipts)
    refused += max(0, undecided - excused)
    refused += sum(reply is not None and 400 <= reply < 500 for reply in replies)
    if refused:
        yield f"{refused} callback(s) were refused, and no fault was armed"


def _signalled(job: JobFacts, books: Books) -> Texts:
    """What woke the workflow was received before."""
    woken = sum(name == "kling_done" for run in job.executions for name, _ in run.signals)
    ends = sum(receipt.task_status in ENDS for receipt in job.receipts)
    if woken and not ends and not met(job, "callback"):
        yield f"its workflow was told of an end {woken} times, and no callback told of one"


def _none(stage: StageBook) -> Iterator[tuple[str, str]]:
    """Of those that no fault has touched some arrive; else every end was learnt by a poll."""
    untouched = [job for job in stage.jobs.values() if job.ended and not met(job, "callback")]
    calls = [
        told
        for job in untouched
        for row in job.of("video")
        for told in row.callbacks
        if told.sent is not None
    ]
    arrived = any(told.answered for told in calls) or any(
        receipt.fate in TAKEN for job in untouched for receipt in job.receipts
    )
    if calls and not arrived:
        text = (
            f"none of the {len(calls)} callbacks of stage {stage.name} arrived, and no fault is why"
        )
        yield untouched[0].job_id, text


def _unanswered(books: Books) -> Iterator[Finding]:
    """What the mock's own bill calls unanswered is so by its rows."""
    jobs = {job.job_id: job for job in books.jobs}
    ours = {
        (row.external_id, told.status)
        for job in books.jobs
        for row in job.generations
        for told in row.callbacks
        if not told.answered
    }
    bill = mapping(mapping(books.vendors.get("video")).get("verdict"))
    for row in bill.get("callbacks_unanswered") or []:
        external_id = mapping(row).get("external_id")
        job_id, _ = owner(external_id)
        if job_id in jobs and (external_id, mapping(row).get("status")) not in ours:
            text = f"the vendor's bill has an unanswered callback of {external_id}"
            yield Finding(CALLBACK, job_id or RUN, jobs[str(job_id)].stage, text)
