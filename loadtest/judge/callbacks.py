"""Hold the receiver's receipts against the vendors' deliveries and the histories' signals."""

from collections import Counter
from collections.abc import Iterator
from math import inf
from typing import Any

from loadtest.books import raw
from loadtest.books.facts import Callback, Generation, mapping
from loadtest.books.histories import Activity, Signal
from loadtest.judge.compare import Between, Finding, OneOf
from loadtest.judge.ledgers import ENDS, is_adopted, is_plain
from loadtest.judge.reference import Model, task_of
from loadtest.times import instant

TAKEN = ("applied", "duplicate", "late", "early", "out_of_order")
SLACK = 0.25
"""Seconds by which clocks that nobody reads may differ: the receiver's, on its machine."""


def of_job(model: Model) -> Iterator[Finding]:
    """Find every callback whose delivery, receipt and signal contradict one another."""
    if model.job.ended and "receipts" not in model.books.unread:
        if model.books.telling:
            yield from _deliveries(model)
        yield from _signals(model)
        yield from _fates(model)


def _deliveries(model: Model) -> Iterator[Finding]:
    """Expect a receipt for each answered delivery, and no receipt without a delivery."""
    job, books = model.job, model.books
    bent = books.lacks_callbacks
    sent: Counter[tuple[str, str]] = Counter()
    answered: Counter[tuple[str, str]] = Counter()
    for made in job.generations:
        for each in made.callbacks:
            plain, key = is_plain(made, each), (made.vendor_id, each.status)
            bent |= not plain
            sent[key] += each.sent is not None
            answered[key] += each.answered and plain
        missing = books.changes - {each.status for each in made.callbacks}
        if made.calls_back and made.good and missing and not books.lacks_callbacks:
            text = f"the vendor never told {', '.join(sorted(missing))} of {made.external_id}"
            yield model.found("callbacks", text)
    received = Counter((str(r.task_id), str(r.task_status)) for r in job.receipts)
    taken = Counter((str(r.task_id), str(r.task_status)) for r in job.receipts if r.fate in TAKEN)
    for key in sorted(sent.keys() | received.keys()):
        there, out, well = received[key], sent[key], answered[key]
        if taken[key] < well or (there > out and not bent):
            text = f"{key[1]} of {key[0]}: sent {out}, answered {well}, received {there}"
            yield model.found("receipts", text, out, there)


def _signals(model: Model) -> Iterator[Finding]:
    """Expect one signal for each end that a receipt calls applied, and no other signal."""
    signals = [s for run in model.job.executions for s in run.called_back]
    ends = [r for r in model.job.receipts if r.task_status in ENDS]
    ids = {str(r.external_id) for r in model.job.receipts}
    keys = {_key(s) for s in signals} | {(str(r.task_id), str(r.task_status)) for r in ends}
    for key in sorted(keys):
        own = [r for r in ends if (r.task_id, r.task_status) == key]
        sent = [s for s in signals if _key(s) == key]
        least = sum(r.fate in ("applied", "early") for r in own)
        unsure = sum(r.fate == "unknown" for r in own)
        # Another receiver's receipt was undecided: one signal too many changes nothing.
        unsure += sum(r.fate == "duplicate" for r in own) if unsure else 0
        if not least <= len(sent) <= least + unsure:
            text = f"{key[1]} of {key[0]}: {least} applied by its receipts, {len(sent)} signals"
            yield model.found("signals", text, least, len(sent))
        first = min((r.at for r in own if r.at is not None), default=None)
        for signal in sent:
            if (name := signal.body.get("external_id")) not in ids:
                text = f"it was told of {name}, which no receipt names"
                yield model.found("signals", text)
            if first is not None and first > signal.at + SLACK:
                text = f"it was told of {key[1]} before that was received"
                yield model.found("receipts.received_at", text)
    for run in model.job.executions:
        # A result is fetched after its activity, or a poll, or a callback has told of its end.
        done = [each for each in run.activities if each.outcome == "completed"]
        known = {task_of(each.result) for each in done if each.result.get("asset")}
        known |= {task_of(_accepted(each)) for each in done}
        known |= {str(signal.body.get("task_id")) for signal in signals}
        for task in (task_of(result) for result in run.results if result.get("asset")):
            if task not in known:
                yield model.found("signals", f"it fetched {task}, and nothing told of its end")


def _key(signal: Signal) -> tuple[str, str]:
    return str(signal.body.get("task_id")), str(signal.body.get("task_status"))


def _fates(model: Model) -> Iterator[Finding]:
    """Expect of each receipt a fate that deliveries, earlier receipts and the history allow."""
    job = model.job
    known = {g.vendor_id: g for g in job.generations}
    sent = [(g, each) for g in job.generations for each in g.callbacks if each.sent is not None]
    bent = [g for g, each in sent if not is_plain(g, each)]
    rows = sorted(job.rows.get(raw.RECEIPTS, ()), key=lambda row: str(row.get("received_at")))
    for place, row in enumerate(rows):
        task, status, fate = row.get("task_id"), row.get("task_status"), row.get("fate")
        expected: dict[str, Any] = {"fate": OneOf((*TAKEN, "rejected", "unknown"))}
        made = known.get(str(task))
        certain = model.books.telling and not (bent if made is None else made in bent)
        if certain and made is not None:
            own = [each for g, each in sent if g is made and each.status == status]
            times = [each.sent or 0.0 for each in own]
            expected["external_id"] = made.external_id
            earlier, later = (
                [each for each in part if each.get("task_id") == task]
                for part in (rows[:place], rows[place + 1 :])
            )
            fates = _possible(model, row, made, own=own, earlier=earlier, later=later)
            expected["fate"] = OneOf(fates)
            if times:
                low = min(times) - model.clocks.offsets[made.step].high
                expected["received_at"] = Between(low - SLACK, None)
            cause = made.finished if status in ENDS else made.accepted
            if cause is not None and row.get("updated_at") is not None:
                latest = max(times) + 0.05 if times else None
                expected["updated_at"] = Between(cause - 0.05, latest)
        elif certain:
            text = f"a callback for {task}, which no vendor knows, was {fate}"
            yield model.found("orphaned", text)
        if "decided" in row and fate != "unknown":
            expected["decided"] = True
        yield from model.differ(raw.RECEIPTS, row, expected)


def _possible(
    model: Model,
    row: dict[str, Any],
    made: Generation,
    *,
    own: list[Callback],
    earlier: list[dict[str, Any]],
    later: list[dict[str, Any]],
) -> tuple[str, ...]:
    """Return the fates that a plain delivery can have had at this moment, `earlier` and `later`
    being the other receipts of its task."""
    run, status, at = model.run, row.get("task_status"), _received(row)
    past = sure = earlier
    if any("after the poll" in each.note for each in own):
        # What waits for a poll is sent together, and decided in any order.
        sure = [each for each in earlier if at - _received(each) > SLACK]
        past = earlier + [each for each in later if _received(each) - at <= SLACK]
    unheard = any(each.reply is None or each.reply >= 500 for each in own)
    fates = {"unknown"} if unheard or not is_adopted(model, made) else set()
    if any(each.get("task_status") == status for each in past):
        fates.add("duplicate")
    if any(each.get("task_status") == status for each in sure):
        return tuple(fates)
    ended = any(each.get("task_status") in ENDS for each in past)
    newer = any((each.get("updated_at") or 0) > (row.get("updated_at") or 0) for each in past)
    if ended or (newer and status not in ENDS):
        fates.add("out_of_order")
    moved = any(
        o.step == made.wanted and o.attempt > (made.attempt or 0) and o.at <= at + SLACK
        for o in run.orders
    )
    # The record ends a moment before the run's close.
    last = max((each.at for each in run.versions), default=run.closed)
    if moved or run.closed is None or (last or 0.0) - 2 * SLACK <= at:
        fates.add("late")
    ended = any(each.get("task_status") in ENDS for each in sure)
    closed = run.closed
    if closed is not None and status not in ENDS:
        # It goes to no workflow, so the record alone decides, whose end a drain may write.
        closed = max([closed, *(each.at for each in model.job.changes if each.at is not None)])
    if not ended and (closed is None or at <= closed + SLACK):
        # The record learns of the task from the activity that brings its acceptance back.
        noted = next((each.ended for each in run.activities if _accepts(each.result, made)), None)
        if noted is None or at >= noted - SLACK:
            fates.add("applied")
        # The version with the task is written before the job waits for its end.
        waits = (a.scheduled for a in run.activities if task_of(_accepted(a)) == made.vendor_id)
        if at <= next(waits, inf) + SLACK:
            fates.add("early")
    return tuple(sorted(fates))


def _received(row: dict[str, Any]) -> float:
    return instant(row.get("received_at")) or 0.0


def _accepted(activity: Activity) -> dict[str, Any]:
    """Return what is known of the task that an activity waits for."""
    return mapping(activity.body.get("accepted"))


def _accepts(result: dict[str, Any], made: Generation) -> bool:
    return bool(result.get("accepted_at")) and str(result.get("vendor_id")) == made.vendor_id
