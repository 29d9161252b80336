"""How a job may end: after how many attempts, when, as what, and what it leaves at a vendor."""

from collections.abc import Iterator

from loadtest.books.histories import stage_of
from loadtest.judge.compare import Finding
from loadtest.judge.reference import Model, found
from loadtest.times import duration, timestamp

MOST_ATTEMPTS = 4
"""One generation, and three more where the vendor fails."""
ATTEMPT_FAILED = ("attempt_timed_out", "bad_result", "generation_failed", "generation_lost")
"""Failures behind which another attempt is paid for."""
IN_TIME = 5.0
"""Seconds in which a job notices that its time is over, and a vendor that it is to stop."""
STOPPED_BY_CANCEL = ("image",)
"""Services that stop a generation when they are told to."""


def of_job(model: Model) -> Iterator[Finding]:
    """What the job's end contradicts."""
    yield from _attempts(model)
    yield from _behind_its_vendors(model)
    if model.job.ended and model.plain:
        yield from _asked_end(model)
        yield from _in_time(model)
        if model.books.mocked:
            yield from _stopped(model)


def _attempts(model: Model) -> Iterator[Finding]:
    """No stage is tried more often than allowed, and none is given up before."""
    for order in model.run.orders:
        if order.attempt > MOST_ATTEMPTS:
            text = f"{order.step} was tried {order.attempt} times"
            yield found(model, "attempts", text, f"at most {MOST_ATTEMPTS}", order.attempt)
    last, code = _last(model), _failure(model)
    if last is not None and code in ATTEMPT_FAILED and last < MOST_ATTEMPTS:
        text = f"it was given up with {code} after attempt {last}"
        yield found(model, "attempts", text, MOST_ATTEMPTS, last)


def _last(model: Model) -> int | None:
    orders = model.run.orders
    return orders[-1].attempt if orders else None


def _failure(model: Model) -> str | None:
    """Why the last attempt ended badly, where that ended the job, too."""
    status, last = model.job.status, model.run.orders[-1:]
    failed = [
        each.error_class
        for each in model.run.activities
        if each.outcome == "failed" and last and stage_of(each.body) == last[0].step
    ]
    if not model.plain or not failed or status not in ("failed", "degraded"):
        return None
    ended_by = model.run.failure[0] if model.run.failure else failed[-1]
    return failed[-1] if failed[-1] == ended_by else None


def _behind_its_vendors(model: Model) -> Iterator[Finding]:
    """A job that has succeeded ended behind the generations that it was made of."""
    end = model.job.finished if model.job.status == "succeeded" else None
    for made in model.job.generations:
        slack = model.clocks.between(made.step, "server")
        if end is None or made.finished is None or not made.good:
            continue
        if made.finished > end + slack:
            text = f"it ended {duration(made.finished - end)} before {made.external_id} did"
            least, seen = timestamp(made.finished), timestamp(end)
            yield found(model, "jobs.job.finished_at", text, least, seen)


def _asked_end(model: Model) -> Iterator[Finding]:
    """A job whose last stage fails ends as the plan asked: failed, or with what there is."""
    asked, status = model.books.run["plan"].get("on_video_failure"), model.job.status
    last = model.run.orders[-1:]
    if status == "degraded" and asked != "image":
        text = "it ended degraded, and the plan did not ask for the image alone"
        yield found(model, "jobs.job.status", text, "failed", status)
    at_last = bool(last) and last[0].step == model.books.pipeline[-1].name
    if status == "failed" and asked == "image" and at_last and _failure(model) is not None:
        text = "it failed at its last stage, and the plan asked for the image alone"
        yield found(model, "jobs.job.status", text, "degraded", status)


def _in_time(model: Model) -> Iterator[Finding]:
    """Nothing is ordered, and nothing succeeds, once the job's own time is over."""
    run, limit = model.run, model.run.limit
    if limit is None or run.granted is None:
        return
    over = run.granted + limit + IN_TIME
    late = [order.at for order in run.orders if order.at > over]
    if (
        model.job.status in ("succeeded", "degraded")
        and run.closed is not None
        and run.closed > over
    ):
        late.append(run.closed)
    if late:
        most, took = duration(limit), duration(max(late) - run.granted)
        text = f"it went on for {took}, and its time was {most}"
        yield found(model, "history.limit", text, most, took)


def _stopped(model: Model) -> Iterator[Finding]:
    """What a vendor can stop does not go on once its job clears the vendors."""
    drains = [a.started for a in model.run.activities if a.kind == "drain_job" and a.started]
    disturbed = any(fault.where in ("submit", "poll") for fault in model.job.faults)
    if not drains or disturbed:
        return
    until = min(drains) + IN_TIME
    for made in model.job.generations:
        if made.step not in STOPPED_BY_CANCEL or made.outcome == "cancelled":
            continue
        slack = model.clocks.between(made.step, "server")
        if made.finished is not None and made.finished > until + slack:
            text = f"{made.external_id} went on at the vendor, which was to be told to stop it"
            yield found(model, f"{made.step}_ledger.outcome", text, "cancelled", made.outcome)
