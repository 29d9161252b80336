"""Hold a job's end against the plan and the ledgers: its attempts, its time, what it leaves."""

from collections.abc import Iterator

from loadtest.books.histories import stage_of
from loadtest.judge.clocks import SERVER
from loadtest.judge.compare import Finding
from loadtest.judge.reference import Model
from loadtest.times import duration, timestamp

MOST_ATTEMPTS = 4
"""One generation, and three more if the vendor fails."""
ATTEMPT_FAILED = ("attempt_timed_out", "bad_result", "generation_failed", "generation_lost")
"""Failures after which another attempt is paid for."""
IN_TIME = 5.0
"""Seconds in which a job notices that its time is over, and a vendor that it is to stop."""
STOPPED_BY_CANCEL = ("image",)
"""Services that stop a generation when they are told to."""


def of_job(model: Model) -> Iterator[Finding]:
    """Find what the job's end contradicts."""
    yield from _attempts(model)
    yield from _after_its_vendors(model)
    if model.job.ended and model.plain:
        yield from _asked_end(model)
        yield from _in_time(model)
        if model.books.mocked:
            yield from _stopped(model)


def _attempts(model: Model) -> Iterator[Finding]:
    """Expect no more attempts than allowed, and that none is given up before."""
    for order in model.run.orders:
        if order.attempt > MOST_ATTEMPTS:
            text = f"{order.step} was tried {order.attempt} times"
            yield model.found("attempts", text, f"at most {MOST_ATTEMPTS}", order.attempt)
    code = _failure(model)
    if code in ATTEMPT_FAILED and (last := model.run.orders[-1].attempt) < MOST_ATTEMPTS:
        text = f"it was given up with {code} after attempt {last}"
        yield model.found("attempts", text, MOST_ATTEMPTS, last)


def _failure(model: Model) -> str | None:
    """Return why the last attempt ended badly, if that ended the job, too."""
    if not model.plain or model.job.status not in ("failed", "degraded"):
        return None
    last = [
        each.error_class
        for order in model.run.orders[-1:]
        for each in model.run.activities
        if each.outcome == "failed" and stage_of(each.body) == order.step
    ][-1:]
    ended_by = [model.run.failure[0]] if model.run.failure else last
    return last[0] if last and last == ended_by else None


def _after_its_vendors(model: Model) -> Iterator[Finding]:
    """Expect that a job that has succeeded ended after the generations that it was made of."""
    end = model.job.finished if model.job.status == "succeeded" else None
    for made in model.job.generations:
        if end is None or made.finished is None or not made.good:
            continue
        if made.finished > end + model.clocks.between(made.step, SERVER):
            text = f"it ended {duration(made.finished - end)} before {made.external_id} did"
            least, seen = timestamp(made.finished), timestamp(end)
            yield model.found("jobs.job.finished_at", text, least, seen)


def _asked_end(model: Model) -> Iterator[Finding]:
    """Expect that a job whose last stage fails ends as asked: failed, or with what there is."""
    asked, status = model.books.run["plan"].get("on_video_failure"), model.job.status
    if status == "degraded" and asked != "image":
        text = "it ended degraded, and the plan did not ask for the image alone"
        yield model.found("jobs.job.status", text, "failed", status)
    at_last = [order.step for order in model.run.orders[-1:]] == [model.books.pipeline[-1].name]
    if status == "failed" and asked == "image" and at_last and _failure(model) is not None:
        text = "it failed at its last stage, and the plan asked for the image alone"
        yield model.found("jobs.job.status", text, "degraded", status)


def _in_time(model: Model) -> Iterator[Finding]:
    """Expect that nothing is ordered, and nothing succeeds, once the job's own time is over."""
    run, limit = model.run, model.run.limit
    # A worker that was frozen notices it late.
    if limit is None or run.granted is None or model.books.struck:
        return
    moments = [order.at for order in run.orders]
    if run.closed is not None and model.job.status in ("succeeded", "degraded"):
        moments.append(run.closed)
    took = max(moments, default=0.0) - run.granted
    if took > limit + IN_TIME:
        text = f"it went on for {duration(took)}, and its time was {duration(limit)}"
        yield model.found("history.limit", text, duration(limit), duration(took))


def _stopped(model: Model) -> Iterator[Finding]:
    """Expect that what a vendor can stop ends once its job clears the vendors."""
    drains = [a.started for a in model.run.activities if a.kind == "drain_job" and a.started]
    # A mock that was frozen hears of it late.
    disturbed = model.job.has_fault("submit", "poll") or model.books.struck
    for made in model.job.generations if drains and not disturbed else ():
        until = min(drains) + IN_TIME + model.clocks.between(made.step, SERVER)
        goes_on = made.step in STOPPED_BY_CANCEL and made.outcome != "cancelled"
        if goes_on and made.finished is not None and made.finished > until:
            text = f"{made.external_id} went on at the vendor, which was to be told to stop it"
            yield model.found(f"{made.step}_ledger.outcome", text, "cancelled", made.outcome)
