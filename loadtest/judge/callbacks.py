"""Hold the vendors' deliveries against their fault traces, the receiver's receipts against the
deliveries, and the histories' signals against the receipts."""

from collections import Counter
from collections.abc import Iterator
from math import inf
from typing import Any, NamedTuple

from loadtest.books import raw
from loadtest.books.executions import task_of
from loadtest.books.facts import Callback, Generation, Receipt, whole
from loadtest.books.model import CALLBACK
from loadtest.judge.clocks import OWN, RECEIVER, SERVER, SLOW
from loadtest.judge.compare import Between, Finding, Number, OneOf
from loadtest.judge.ledgers import ENDS, HOPS
from loadtest.judge.reference import Model

HARMLESS = {"", "delayed", "repeated", "replayed", "held back", "after the poll"}
NOTES = {each: each for each in ("other-job", "unknown-job", "contradict", "oversize", "garbage")}
NOTES |= {"token": "{how} token", "wrong-type": "wrong type", "truncate": "truncated"}
NOTES |= {"delay": "delayed", "after-poll": "after the poll"}
"""The mock's note for each fault of a callback."""
SPOILT_BYTES = ("truncate", "garbage")
"""Faults of the written bytes, whose notes come last."""
LATER = {"delay", "after-poll", "hold"}
REFUSED = {
    *("wrong token", "missing token", "stale token"),
    *("truncated", "garbage", "wrong type", "oversize"),
}
"""The mock's notes for deliveries that the receiver refuses before it knows their task."""
PATIENCE = 9.9
"""Seconds for which a mock waits for an answer, before it reports the next change."""
TIMED_OUT = ("ConnectTimeout", "ReadTimeout", "TimeoutError", "WriteTimeout")
"""The mock's notes for such a delivery."""
AWAY = (502, 503, 504)
"""Statuses while Temporal, or the receiver behind a proxy, is away."""
FIRST = ("applied", "late", "early", "out_of_order")
"""Fates of a change that was received for the first time; a repeat of it is a duplicate."""
TAKEN = (*FIRST, "duplicate")
CONTRADICT = "contradict"
"""The mock's note for a delivery that reports failed as succeed, or another state as failed."""
MOST_FORGED = 50
"""Receipts of such deliveries of a job, at most: anybody can send them."""
NOT_AWAITED = (502, 504)
"""Replies of a proxy that got none from the receiver."""
BESIDE = 0.25
"""Callbacks that are sent within this many seconds may be decided in any order."""


def of_job(model: Model) -> Iterator[Finding]:
    """Find every callback whose delivery, receipt and signal contradict one another."""
    for made in model.job.generations:
        for number, sent in enumerate(made.callbacks):
            wanted = _delivery(model, made, sent, before=made.callbacks[:number])
            row, place = made.row["callbacks"][number], f"callbacks[{number}]."
            yield from model.differ(raw.ledger(made.step), row, wanted, place)
    if model.job.ended and "receipts" not in model.books.unread:
        if model.books.callbacks_known:
            yield from _deliveries(model)
        yield from _signals(model)
        yield from _fates(model)


def _delivery(
    model: Model, made: Generation, sent: Callback, *, before: tuple[Callback, ...]
) -> dict[str, Any]:
    """Expect a delivery after the change that it reports and after the wait of the one before, an
    answer if the receiver was always there, and notes that come from faults."""
    cause, told = cause_of(made, sent), told_of(model, made, str(sent.status))
    bent = told is None or model.job.has_fault("callback", external_id=made.external_id)
    last = "succeed" if made.good else "failed"
    expected: dict[str, Any] = {
        "status": OneOf(("submitted", "processing", last)),
        "sent_at": Between(None if cause is None else cause - OWN, None, missing=told is None),
    }
    if told is not None:
        expected["note"] = OneOf(told.notes)
        if told.lost:
            expected["sent_at"] = None
    waits = [(each.sent or 0.0) + PATIENCE for each in before]
    if not bent and cause is not None:
        since = [at for at, each in zip(waits, before, strict=True) if each.error in TIMED_OUT]
        until = max([cause, *waits]) + SLOW + HOPS * model.books.longest
        low, high = max([cause - OWN, *since]), until if model.books.calm else None
        expected["sent_at"] = Between(low, high)
    if sent.reply is None:
        if not bent and CALLBACK in model.books.steady:
            ended = float(model.books.run.get("ended_at") or 0.0)
            waits_on = sent is made.callbacks[-1] and ended < (sent.sent or 0.0) + PATIENCE
            expected["error"] = None if waits_on else OneOf(TIMED_OUT)
        return expected
    expected["error"] = None
    if is_plain(made, sent) and sent.reply < 500 and is_adopted(model, made):
        expected["reply"] = 200
    elif sent.reply >= 500:
        expected["reply"] = OneOf(AWAY)
    if notes_of(made, sent) & REFUSED:
        expected["reply"] = Number(400, None)
    return expected


class Told(NamedTuple):
    """What the faults make of the callback of a change: the notes that it can have, how often it is
    sent, whether a delivery may be late, and whether it is lost."""

    notes: tuple[str, ...]
    times: int = 1
    late: bool = False
    lost: bool = False


def told_of(model: Model, made: Generation, status: str) -> Told | None:
    """Return what the faults make of a change's callback; None if a mock has forgotten its faults,
    or if one met a generation that has a twin."""
    name, job = made.external_id, model.job
    twins = sum(each.external_id == name for each in job.generations) > 1
    if model.books.was_killed(made.step) or (twins and job.has_fault("callback", external_id=name)):
        return None
    of_change = "callback", name, status
    met = [each for each in job.faults if (each.where, each.external_id, each.status) == of_change]
    if lost := [each for each in met if each.do == "lose"]:
        return Told((f"lost by {lost[0].rule}",), lost=True)
    written = sorted(met, key=lambda each: each.do in SPOILT_BYTES)
    marks = [NOTES[f.do].format_map({"how": "wrong"} | f.given) for f in written if f.do in NOTES]
    if status not in ENDS and any(each.do == "hold" for each in met):
        marks.append("held back")
    again = [each.given for each in met if each.do == "repeat"]
    return Told(
        (", ".join(marks), *["repeated"][: len(again)]),
        1 + sum(whole(given.get("times", 2)) - 1 for given in again),
        any(each.do in LATER or "gap" in each.given for each in met),
    )


def cause_of(made: Generation, sent: Callback) -> float | None:
    """Return the instant of the change that a delivery reports."""
    if sent.status in ENDS:
        return made.finished
    return made.started if sent.status == "processing" else made.accepted


def is_plain(made: Generation, sent: Callback) -> bool:
    """True if a delivery is correct, even if it is late, repeated or held back."""
    return notes_of(made, sent) <= HARMLESS


def notes_of(made: Generation, sent: Callback) -> set[str]:
    """Return what a mock notes of a delivery. A repeat has the content of its first delivery, and
    is noted as a repeat only."""
    notes = (each.note for each in made.callbacks if each.delivery_id == sent.delivery_id)
    return {part.strip() for note in notes for part in note.split(",")}


def is_adopted(model: Model, made: Generation) -> bool:
    """True if the job has adopted this task; of twins it adopts one."""
    task = model.job.record.tasks.get(str(made.external_id)) if model.job.record else None
    return task in (None, made.vendor_id)


def _deliveries(model: Model) -> Iterator[Finding]:
    """Expect a receipt for each answered delivery, and none that was taken without a delivery."""
    job, books, badly = model.job, model.books, 0
    sent, answered, possible = (Counter[tuple[str, str]]() for _ in range(3))
    for made in job.generations:
        for each in made.callbacks:
            notes, status = notes_of(made, each), str(each.status)
            if CONTRADICT in notes:
                status = "succeed" if status == "failed" else "failed"
            plain, refused = notes <= HARMLESS | {CONTRADICT}, bool(notes & REFUSED)
            badly += refused and 400 <= (each.reply or 0) < 500
            # A proxy may give up on a receiver that has accepted the delivery.
            refused |= not each.answered and each.reply not in (None, *NOT_AWAITED)
            sent[made.vendor_id, status] += each.sent is not None
            answered[made.vendor_id, status] += each.answered and plain
            for other in (status,) if plain else books.changes | set(ENDS):
                possible[made.vendor_id, other] += each.sent is not None and not refused
        # The delivery after one that waits for its answer comes later.
        waits = any(e.sent and e.reply is None and e.error is None for e in made.callbacks)
        due, rows = books.changes if made.calls_back and made.good else set(), Counter[str]()
        rows.update(each.status for each in made.callbacks)
        for status in sorted(due | rows.keys()):
            if (told := told_of(model, made, status)) is not None:
                times = 0 if told.late or waits or books.struck else told.times
                told_so, counts = {"sent": rows[status]}, {"sent": Number(times, told.times)}
                place = f"of[{made.external_id} {status}]."
                yield from model.differ("callbacks", told_so, counts, place)
    # A token or a body that is refused leaves a receipt without a task.
    least = min(badly, MOST_FORGED)
    if (noted := sum(each.task_id is None for each in job.receipts)) < least:
        text = f"{least} deliveries without a token or a body that fits, {noted} receipts of them"
        yield model.found("receipts", text, least, noted)
    received = Counter(each.change for each in job.receipts)
    taken = Counter(each.change for each in job.receipts if each.fate in TAKEN)
    # A mock that was killed has not noted every delivery.
    lost = any(map(books.was_killed, books.mocks))
    for key in sorted(sent.keys() | received.keys()):
        out, well, there = sent[key], answered[key], received[key]
        if taken[key] < well or (taken[key] > possible[key] and not lost):
            text = f"{key[1]} of {key[0]}: sent {out}, answered {well}, received {there}"
            yield model.found("receipts", text, out, there)


def _signals(model: Model) -> Iterator[Finding]:
    """Expect one signal for each end that a receipt calls applied, and no other signal; and that a
    result is fetched after its activity, a poll or a callback has reported its end."""
    signals, receipts = model.job.called_back, model.job.receipts
    ids = tuple({r.external_id for r in receipts})
    ends = {r.change for r in receipts if r.task_status in ENDS}
    for key in sorted({s.change for s in signals} | ends):
        own = [r for r in receipts if r.change == key and key in ends]
        sent = [s for s in signals if s.change == key]
        fates = Counter(r.fate for r in own)
        least = fates["applied"] + fates["early"]
        # Another receiver's receipt was undecided: one signal too many changes nothing.
        unsure = fates["unknown"] and fates["unknown"] + fates["duplicate"]
        if not least <= len(sent) <= least + unsure:
            text = f"{key[1]} of {key[0]}: {least} applied by its receipts, {len(sent)} signals"
            yield model.found("signals", text, least, len(sent))
        first = min((r.at for r in own if r.at is not None), default=-inf)
        for signal in sent:
            expected: dict[str, Any] = {"external_id": OneOf(ids)}
            if told := tuple({r.updated_at for r in receipts if r.change == key}):
                expected["updated_at"] = OneOf(told)
            yield from model.differ("signals", signal.body, expected)
            if first > signal.at + model.clocks.between(RECEIVER, SERVER):
                text = f"{key[1]} was signalled before it was received"
                yield model.found("receipts.received_at", text)
    for run in model.job.executions:
        done = [each for each in run.activities if each.outcome == "completed"]
        known = {task_of(each.result) for each in done if each.result.get("asset")}
        known |= {each.awaited for each in done} | {signal.change[0] for signal in signals}
        early = [task for task in run.brought if task not in known]
        for each in (each for each in run.activities if each.body.get("hinted")):
            heard = [s.at for s in run.called_back if s.body.get("external_id") == each.external_id]
            heard += [a.ended or 0.0 for a in done if a.awaited == each.awaited]
            early += [each.external_id] * (min(heard, default=inf) > each.scheduled)
        for name in early:
            yield model.found("signals", f"it fetched {name}, and nothing reported its end")


def _fates(model: Model) -> Iterator[Finding]:
    """Expect of each receipt a fate that deliveries, other receipts and the history allow.

    A receiver that was frozen decides much later, and several at once: of a run under strikes no
    fate is known.
    """
    job, books = model.job, model.books
    known = {g.vendor_id: g for g in job.generations}
    sent = [(g, each) for g in job.generations for each in g.callbacks if each.sent is not None]
    bent = [g for g, each in sent if not is_plain(g, each)]
    for receipt in job.receipts:
        status = receipt.task_status
        fates = (*TAKEN, "rejected", "unknown") if receipt.task_id else ("rejected", "unknown")
        expected: dict[str, Any] = {"fate": OneOf(fates)}
        made = known.get(str(receipt.task_id))
        if made is not None and books.callbacks_known and made not in bent:
            times = [e.sent or 0.0 for g, e in sent if g is made and e.status == status]
            expected["external_id"] = made.external_id
            if not books.struck:
                expected["fate"] = OneOf(tuple(sorted(_possible(model, receipt, made))))
            if times:
                low = min(times) - model.clocks.between(made.step, RECEIVER)
                expected["received_at"] = Between(low, None)
            cause = made.finished if status in ENDS else made.accepted
            if cause is not None and receipt.updated_at is not None:
                latest = max(times) + 0.05 if times else None
                expected["updated_at"] = Between(cause - 0.05, latest)
        if "decided" in receipt.row and receipt.fate != "unknown":
            expected["decided"] = True
        yield from model.differ(raw.RECEIPTS, receipt.row, expected)


def _possible(model: Model, receipt: Receipt, made: Generation) -> set[str]:
    """Return the fates that a plain delivery can have had, by the other receipts of its task.

    A vendor waits for an answer before it reports the next change. What it delays or holds back
    comes beside that, and is decided in any order.
    """
    run, status, at = model.run, receipt.task_status, receipt.at or 0.0
    own = [each for each in made.callbacks if each.sent is not None and each.status == status]
    slack = BESIDE if any(each.note not in ("", "repeated") for each in own) else 0.0
    same_task = (each for each in model.job.receipts if each.task_id == receipt.task_id)
    others = [each for each in same_task if each is not receipt]
    past = [each for each in others if (each.at or 0.0) <= at + slack]
    order = [each.status for each in sorted(made.callbacks, key=lambda each: each.sent or 0.0)]
    plain = all(not each.note and each.reply is not None for each in made.callbacks)
    if plain and len(set(order)) == len(order):
        before = order[: order.index(status)] if status in order else order
        past = [each for each in others if each.task_status in before]
    clocks = model.clocks.between(RECEIVER, SERVER)
    unheard = any(each.reply is None or each.reply >= 500 for each in own)
    fates = {"unknown"} if unheard or not is_adopted(model, made) else set()
    if same := [each.fate for each in past if each.task_status == status]:
        fates.add("duplicate")
    if any(fate in FIRST for fate in same):
        return fates
    newer = any((each.updated_at or 0) > (receipt.updated_at or 0) for each in past)
    if any(each.task_status in ENDS for each in past) or (newer and status not in ENDS):
        fates.add("out_of_order")
    moved = any(
        o.step == made.wanted and o.attempt > (made.attempt or 0) and o.at <= at + SLOW
        for o in run.orders
    )
    # The record ends a moment before the run's close.
    last = max((each.at for each in run.versions), default=run.closed)
    if moved or run.closed is None or (last or 0.0) <= at + SLOW:
        fates.add("late")
    ended = any(each.task_status in ENDS and (each.at or 0.0) <= at - slack for each in past)
    if not ended and (run.closed is None or at <= run.closed + clocks):
        # The record learns of the task from the activity that brings its acceptance back.
        told = (a for a in run.activities if a.result.get("accepted_at"))
        noted = next((a.ended for a in told if a.result.get("vendor_id") == made.vendor_id), None)
        if noted is None or at + SLOW >= noted:
            fates.add("applied")
        # The version with the task is written before the job waits for its end.
        waits = (a.scheduled for a in run.activities if a.awaited == made.vendor_id)
        if at <= next(waits, inf) + clocks:
            fates.add("early")
    return fates
