"""Every row of a ledger belongs to an attempt that others know, and its totals are its rows."""

from collections import Counter
from collections.abc import Iterator
from itertools import count
from typing import Any

from loadtest.books.facts import Generation, mapping, step_of, whole
from loadtest.books.model import STEPS, Books, JobFacts
from loadtest.judge.findings import Finding
from loadtest.judge.intervals import permit_tokens
from loadtest.judge.rules.common import Texts, each, met, of_run, once

LEDGER = "ledger"
BOUNDARY = 2.0
"""Seconds around both ends of a run in which others' generations may be counted or not."""


def ledger(books: Books) -> Iterator[Finding]:
    """What no attempt explains, and what does not add up."""
    yield from _nobodys(books)
    yield from each(books, LEDGER, _place, _charge, _task, _permit, _open)
    if books.mocked:
        yield from each(books, LEDGER, _brought)
    if books.done:
        for step in books.mocks:
            yield from of_run(books, LEDGER, _totals(books, step))


def _nobodys(books: Books) -> Iterator[Finding]:
    """Rows without an id of ours, or with one of a job that the API was not asked about."""
    known = {job.job_id: job.stage for job in books.jobs}
    for row in books.foreign:
        if row.job_id is None or row.job_id not in books.foreign_jobs:
            nearest = str(row.external_id).split(".", 1)[0]
            text = f"the {row.step} service made {row.external_id} ({row.vendor_id}) for no job"
            yield Finding(LEDGER, nearest, known.get(nearest, books.stages[-1].number), text)


def _place(job: JobFacts, books: Books) -> Texts:
    """A row is in its own vendor's book, under a number that the job came to."""
    for row in job.generations:
        if step_of(row.external_id) != row.step:
            yield f"{row.external_id} is in the ledger of the {row.step} service"
        elif not 1 <= (row.attempt or 0) <= _most(job, row.step):
            yield f"{row.external_id} was made, and nobody but the {row.step} service knows of it"


def _most(job: JobFacts, step: str) -> int:
    """The highest attempt by list, record and history."""
    told = [job.api[0].attempts.get(step, 0)] if job.api else []
    told += [change.attempt for change in job.changes if change.step == step]
    told += [o.attempt for run in job.executions for o in run.orders if o.step == step]
    return max(told, default=0)


def _charge(job: JobFacts, books: Books) -> Texts:
    for row in job.generations:
        if row.charged != row.good:
            charged = "charged" if row.charged else "not charged"
            yield f"{row.external_id} was {charged}, and its outcome is {row.outcome}"


def _task(job: JobFacts, books: Books) -> Texts:
    """The vendor's own id is the one that the record and the history hold."""
    made = {result.vendor_id for run in job.executions for result in run.results}
    for row in job.generations:
        task = job.record.tasks.get(str(row.external_id)) if job.record else None
        if task is not None and task != row.vendor_id:
            yield f"{row.external_id} is {row.vendor_id} at the vendor, and {task} in the record"
        # What a fault has made beside it may be unknown, never the one that was kept.
        beside = met(job) and any(g.vendor_id in made for g in job.of(row.step) if g.good)
        if row.good and made and row.vendor_id not in made and not beside:
            yield f"{row.external_id} is {row.vendor_id}, which its history does not know"


def _brought(job: JobFacts, books: Books) -> Texts:
    """What the history has from a vendor, the vendor has made."""
    made = {row.vendor_id for row in job.generations}
    for task in sorted({r.vendor_id for run in job.executions for r in run.results} - made):
        yield f"its history has {task} from a vendor, and no vendor knows it"


def _permit(job: JobFacts, books: Books) -> Texts:
    """A generation was submitted under a permit of the job's."""
    tokens = {token for run in job.executions for token in permit_tokens(run)}
    if not tokens or not once(job):
        return
    for row in job.generations:
        if row.token is not None and row.token not in tokens:
            yield f"{row.external_id} was submitted under permit {row.token}, not {tokens}"


def _open(job: JobFacts, books: Books) -> Texts:
    """Nothing of a job goes on behind its end, unless a fault or a cancel has left it behind."""
    if job.status == "cancelled" or met(job):
        return
    for row in job.generations:
        if row.finished is None and row.outcome is None:
            yield f"{row.external_id} goes on at the vendor, and the job has {job.status}"


def _totals(books: Books, step: str) -> Texts:
    """What the mock counted while the run went on is what its rows say."""
    before = mapping(mapping(books.run.get("vendors_before")).get(step))
    after, bill = _part(books, step, "stats"), _part(books, step, "verdict")
    if "accepted" not in before or "accepted" not in after:
        yield f"the {step} service's totals are not known at both ends of the run"
        return
    rows = books.ledgers.get(step, [])
    forgotten = whole(after.get("ledger_dropped")) > whole(before.get("ledger_dropped"))
    restarted = whole(after["accepted"]) < whole(before["accepted"])
    if forgotten or restarted or _near(books, rows):
        return
    for name, counted, seen in _counts(books, rows, before=before, after=after, bill=bill):
        if counted != seen:
            yield f"the {step} service counts {counted} {name}, its rows are {seen}"


def _counts(
    books: Books, rows: list[Generation], *, before: dict[str, Any], after: dict[str, Any],
    bill: dict[str, Any],
) -> Iterator[tuple[str, int, int]]:  # fmt: skip
    def more(name: str) -> int:
        return whole(after.get(name)) - whole(before.get(name))

    began = float(books.run.get("began_at") or 0.0)
    goes_on = sum(row.finished is None and row.outcome is None for row in rows)
    ids = Counter(row.external_id for row in rows if row.external_id)
    yield "accepted", more("accepted"), sum((row.accepted or 0.0) >= began for row in rows)
    ended = [row for row in rows if (row.finished or 0.0) >= began]
    yield "charged", more("charged"), sum(row.charged for row in ended)
    yield "in flight", whole(after.get("in_flight")), goes_on
    yield "twice", more("duplicates"), sum(count - 1 for count in ids.values())
    yield "open on its bill", whole(bill.get("open")), goes_on
    if not after.get("ledger_dropped"):
        yield "charged on its bill", whole(bill.get("charged")), whole(after.get("charged"))
    most, limit = whole(after.get("max_in_flight")), books.limit or 1
    if not books.armed and most > max(limit, whole(before.get("max_in_flight"))):
        yield "in flight at most", most, limit


def _near(books: Books, rows: list[Generation]) -> bool:
    """Whether somebody else's generation came or went while the totals were read."""
    own = {job.job_id for job in books.jobs}
    began = float(books.run.get("began_at") or 0.0)
    ended = max((stage.ended for stage in books.stages), default=began)
    moments = [
        at
        for row in rows
        if row.job_id not in own and books.foreign_jobs.get(str(row.job_id))
        for at in (row.accepted, row.finished)
        if at is not None
    ]
    return any(abs(at - began) < BOUNDARY or at > ended for at in moments)


def _part(books: Books, step: str, name: str) -> dict[str, Any]:
    return mapping(mapping(books.vendors.get(step)).get(name))


ATTEMPTS = "attempts"
GIVEN_UP = ("failed", "timed_out")


def attempts(books: Books) -> Iterator[Finding]:
    """Attempts that one book alone tells of."""
    yield from each(books, ATTEMPTS, _record, _history, _vendor)


def _record(job: JobFacts, books: Books) -> Texts:
    """The list says what the record says, and the record's changes come to that number."""
    if job.record is None or job.record.problem:
        return
    for step in STEPS:
        shown, noted = _shown(job, step), job.record.attempts.get(step, 0)
        if shown != noted:
            yield f"{shown} attempt(s) at its {step} by the list, {noted} by its record"
        most = max((c.attempt for c in job.changes if c.step == step), default=0)
        if once(job) and most not in _ordered(job, noted):
            yield f"its record has {noted} attempt(s) at its {step}, and changes of {most}"


def _history(job: JobFacts, books: Books) -> Texts:
    """The workflow ordered each attempt, and no other."""
    if not once(job) or not job.executions:
        return
    for step in STEPS:
        orders = sorted({o.attempt for o in job.executions[0].orders if o.step == step})
        whole = orders == list(range(1, len(orders) + 1))
        if not whole or len(orders) not in _ordered(job, _shown(job, step)):
            yield f"{_shown(job, step)} attempt(s) at its {step}, its history ordered {orders}"


def _vendor(job: JobFacts, books: Books) -> Texts:
    """The vendor accepted each attempt, or a fault or a failed activity says why it did not."""
    if met(job) or not once(job) or _failed(job):
        return
    for step in books.mocks:
        made = {row.attempt for row in job.of(step)}
        first = next(number for number in count(1) if number not in made)
        if first <= _shown(job, step):
            yield f"attempt {first} at its {step} never reached the vendor"


def _failed(job: JobFacts) -> bool:
    """Whether an attempt failed; one that was ordered again, being ahead of its turn, did not."""
    for run in job.executions:
        orders = [(order.step, order.attempt) for order in run.orders]
        failed = sum(activity.outcome in GIVEN_UP for activity in run.activities)
        if failed > len(orders) - len(set(orders)):
            return True
    return False


def _ordered(job: JobFacts, counted: int) -> tuple[int, ...]:
    """How many were ordered where so many count: one that the vendor refused is given back."""
    return (counted,) if job.status == "succeeded" else (counted, counted + 1)


def _shown(job: JobFacts, step: str) -> int:
    return job.api[0].attempts.get(step, 0)
