"""Attempts by the list, the record, the history and the vendors are the same."""

from collections.abc import Iterator
from itertools import count

from loadtest.books.model import STEPS, Books, JobFacts
from loadtest.judge.findings import Finding
from loadtest.judge.rules.common import Texts, each, met, once

KIND = "attempts"
GIVEN_UP = ("failed", "timed_out")


def broken(books: Books) -> Iterator[Finding]:
    """Attempts that one book alone tells of."""
    yield from each(books, KIND, _record, _history)
    if books.mocked:
        yield from each(books, KIND, _vendor)


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
    for step in STEPS:
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
