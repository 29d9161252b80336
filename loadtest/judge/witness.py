"""The vendors' ledgers beside the histories: generations, deliveries, receipts, signals."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from loadtest.books import raw
from loadtest.books.facts import Callback, Generation, owner
from loadtest.books.histories import Signal, stage_of
from loadtest.judge.clocks import OWN
from loadtest.judge.compare import At, Between, Finding, OneOf, differences
from loadtest.judge.reference import Model, found, planned, task_of
from loadtest.times import instant

SHOWN = 200
"""Characters of a prompt that a mock's ledger keeps."""
ENDS = ("succeed", "failed")
TAKEN = ("applied", "duplicate", "late", "early", "out_of_order")
REFUSED = ("wrong token", "missing token", "stale token", "truncated", "garbage", "wrong type")
"""What a mock notes of a delivery that must be refused."""
# Faults behind which a generation that its vendor calls good is worth nothing.
SPOILT = {"progress.relapse", "progress.no-url", "poll.forget"}
LOST = {"start.vanish", "poll.forget"}
SLACK = 0.25
"""Seconds that clocks which nobody has read may differ by: that of the receiver, on its machine."""


def of_job(model: Model) -> Iterator[Finding]:
    """Every field of the vendors' rows and of the receipts that does not fit the histories."""
    job = model.job
    for generation in job.generations:
        yield from _generation(model, generation)
    yield from _attempts(model)
    yield from _charges(model)
    if job.ended and "receipts" not in model.books.unread:
        if model.books.telling:
            yield from _deliveries(model)
        yield from _signals(model)
        yield from _fates(model)


def _generation(model: Model, made: Generation) -> Iterator[Finding]:
    """A ledger's row: for an order of the history, inside its time, and true in itself."""
    order = next(
        (
            o
            for run in model.job.executions
            for o in run.orders
            if (o.step, o.attempt) == (made.wanted, made.attempt)
        ),
        None,
    )
    name, job, clocks, row = str(made.external_id), model.job, model.clocks, made.row
    if order is None:
        if job.ended:
            text = f"the {made.step} service made {name}, which no history ordered"
            twice = made.charged and sum(g.charged for g in job.of(made.wanted)) > 1
            yield found(model, "charged_twice" if twice else "orders", text)
        return
    vendor = next((s.vendor for s in model.books.pipeline if s.name == made.wanted), made.step)
    if vendor != made.step:
        yield found(model, "ledger", f"{name} is in the ledger of the {made.step} service")
    low = order.at - clocks.between("server", made.step)
    finished = made.finished
    expected: dict[str, Any] = {
        "attempt": made.attempt,
        "prompt": OneOf(_prompts(model, made)) if _prompts(model, made) else row.get("prompt"),
        "token": order.token,
        "accepted_at": Between(low, None),
        "started_at": Between(made.accepted, finished, missing=not made.good),
        "finished_at": Between(
            made.started or made.accepted, None, missing=made.outcome != "succeeded"
        ),
        "charged": made.good,
        "job_key": OneOf((job.generations[0].row.get("job_key"),)),
        "calls_back": any(s.called_back for s in model.books.pipeline if s.name == made.wanted)
        and model.books.called_back,
        "duplicate": sum(g.external_id == made.external_id for g in job.of(made.wanted)) > 1
        if made.duplicate
        else False,
    }
    if made.good:
        expected["error"] = None
    for part in ("accepted", "started", "finished"):
        expected[f"{part}_ts"] = At(instant(row.get(f"{part}_at")))
    if finished is not None and made.accepted is not None:
        expected["seconds"] = Between(
            finished - made.accepted - 1e-4, finished - made.accepted + 1e-4, moment=False
        )
    if made.good and job.status in ("succeeded", "degraded") and model.run.closed is not None:
        end = _brought(model, made)
        if end is not None:
            expected["finished_at"] = Between(
                made.started, end + clocks.between(made.step, "server")
            )
    kept = _kept(model, made)
    if kept is not None:
        expected["job_id"] = kept
        expected["outcome"] = OneOf(("succeeded", "succeed"))
    expected |= _source(model, made)
    file = raw.ledger(made.step)
    yield from differences(file, row, expected, job_id=job.job_id, stage=job.stage)
    for number, (sent, told) in enumerate(
        zip(made.callbacks, row.get("callbacks") or (), strict=False)
    ):
        wanted = _delivery(model, made, sent)
        yield from differences(
            file, told, wanted, job_id=job.job_id, stage=job.stage, prefix=f"callbacks[{number}]."
        )


def _prompts(model: Model, made: Generation) -> tuple[str, ...]:
    """The planned prompt as a ledger keeps it; on a ComfyUI's own wire its style stands behind."""
    said = planned(model)
    if not isinstance(text := said.get("prompt"), str):
        return ()
    styled = f"{text}, {said['style']}" if made.step == "image" else text
    return (text[:SHOWN], styled[:SHOWN])


def _brought(model: Model, made: Generation) -> float | None:
    """Until when the vendor must have ended it: the history has its result by then."""
    for each in model.run.activities:
        if each.result.get("asset") and task_of(each.result) == made.vendor_id:
            return each.ended
    kept = {task_of(r) for r in model.run.results if r.get("asset")}
    return model.run.closed if made.vendor_id in kept else None


def _kept(model: Model, made: Generation) -> Any:
    """The vendor's id, as the history has it of the attempt that it kept."""
    if not model.plain or model.job.status != "succeeded":
        return None
    orders = [o for o in model.run.orders if o.step == made.wanted]
    if made.attempt != max(o.attempt for o in orders) or not made.good:
        return None
    twins = [g for g in model.job.of(made.wanted) if g.attempt == made.attempt]
    if len(twins) > 1:
        return None
    kept = [r for r in model.run.results if str(r.get("asset_url")).endswith(f"/{made.wanted}")]
    return task_of(kept[-1]) if kept else None


def _source(model: Model, made: Generation) -> dict[str, Any]:
    """A later stage was made from what the job's stage before it made."""
    names = [each.name for each in model.books.pipeline]
    place = names.index(made.wanted) if made.wanted in names else 0
    if not place:
        return {"source_sha256": None, "source_shows": None}
    if not made.good or any(fault.where == "result" for fault in model.job.faults):
        return {}
    before = [g for g in model.job.of(names[place - 1]) if g.good]
    expected: dict[str, Any] = {}
    if hashes := tuple({g.sha256 for g in before if g.sha256}):
        expected["source_sha256"] = OneOf(hashes)
    if shows := tuple({g.shows for g in before if g.shows}):
        expected["source_shows"] = OneOf(shows)
    ended = [g.finished for g in before if g.finished is not None]
    if ended:
        slack = model.clocks.between(model.books.pipeline[place - 1].vendor, made.step)
        expected["accepted_at"] = Between(min(ended) - slack, None)
    return expected


def _delivery(model: Model, made: Generation, sent: Callback) -> dict[str, Any]:
    """A delivery reports a change behind it; what is noted of it is in the trace of faults."""
    cause = made.finished if sent.status in ENDS else made.accepted
    bent = [
        f for f in model.job.faults if f.where == "callback" and f.external_id == made.external_id
    ]
    states = {"submitted", "processing"} | ({"succeed"} if made.good else {"failed"})
    expected: dict[str, Any] = {
        "status": OneOf(tuple(states)),
        "sent_at": Between(None if cause is None else cause - OWN, None, missing=bool(bent)),
    }
    if not bent:
        expected["note"] = ""
    if sent.reply is not None:
        expected["error"] = None
    if (
        _is_plain(made, sent)
        and sent.reply is not None
        and sent.reply < 500
        and _is_known(model, made)
    ):
        expected["reply"] = 200
    if sent.reply is not None and any(word in sent.note for word in REFUSED):
        expected["reply"] = Between(400, None, moment=False)
    return expected


def _is_known(model: Model, made: Generation) -> bool:
    """Whether the job knows of this task: of twins it has adopted one."""
    task = model.job.record.tasks.get(str(made.external_id)) if model.job.record else None
    return task in (None, made.vendor_id)


def _attempts(model: Model) -> Iterator[Finding]:
    """A second attempt needs the vendor's own failure of the first, or a fault that spoilt it."""
    job = model.job
    if not job.ended:
        return
    for run in job.executions:
        for order in (o for o in run.orders if model.books.shows(o.step)):
            made = [g for g in job.of(order.step) if g.attempt == order.attempt]
            later = any(o.step == order.step and o.attempt > order.attempt for o in run.orders)
            name = f"{job.job_id}.{order.step}.{order.attempt}"
            faults = {f"{f.where}.{f.do}" for f in job.faults if f.external_id == name}
            spoilt = bool(faults & SPOILT) or any(f.startswith("result.") for f in faults)
            if later and made and all(g.good for g in made) and not spoilt:
                text = f"attempt {order.attempt + 1} was ordered, and {name} is good by its vendor"
                yield found(model, "attempts", text, "the vendor's failure", "succeeded")
            elif later and not made and not faults:
                yield found(
                    model, "attempts", f"{name} never reached the vendor, and another was ordered"
                )
            ended = [
                a
                for a in run.activities
                if a.body.get("attempt") == order.attempt and stage_of(a.body) == order.step
            ]
            good = any(a.outcome == "completed" for a in ended)
            if good and not made and len(job.executions) == 1:
                yield found(model, "attempts", f"{name} was brought back, and no vendor made it")
    ids = {g.vendor_id for g in job.generations}
    for result in model.run.results if model.books.mocked else ():
        if (task := task_of(result)) not in ids:
            yield found(
                model,
                "history.result",
                f"its history has {task} from a vendor, and no vendor knows it",
            )
    needed = {"succeeded": model.books.pipeline, "degraded": model.books.pipeline[:-1]}
    for stage in needed.get(str(job.status), ()):
        if model.books.shows(stage.name) and not any(g.good for g in job.of(stage.name)):
            yield found(
                model, "ledger", f"{job.status}, and no {stage.name} of it succeeded at its vendor"
            )


def _charges(model: Model) -> Iterator[Finding]:
    """One charge for each attempt that went well, and one good attempt for each stage."""
    charged = Counter(g.external_id for g in model.job.generations if g.charged)
    for external_id, count in charged.items():
        if count > 1:
            yield found(
                model, "charged_twice", f"{external_id} was charged {count} times", "1", str(count)
            )
    accepted = Counter(g.external_id for g in model.job.generations)
    for external_id, count in accepted.items():
        if count > 1:
            yield found(
                model, "duplicated", f"{external_id} was accepted {count} times", "1", str(count)
            )
    if model.job.ended and model.job.status != "cancelled" and not model.job.faults:
        for g in model.job.generations:
            if g.finished is None and g.outcome is None:
                text = f"{g.external_id} goes on at the vendor, and the job has {model.job.status}"
                yield found(model, "ledger", text)


def _deliveries(model: Model) -> Iterator[Finding]:
    """Receipts are deliveries: each that was answered has one, and none is of nothing."""
    job = model.job
    bent = model.books.lacks_callbacks
    bent |= any(not _is_plain(g, each) for g in job.generations for each in g.callbacks)
    sent: Counter[tuple[str, str]] = Counter()
    answered: Counter[tuple[str, str]] = Counter()
    for made in job.generations:
        for each in made.callbacks:
            sent[made.vendor_id, each.status] += each.sent is not None
            answered[made.vendor_id, each.status] += each.answered and _is_plain(made, each)
        complete = made.calls_back and not model.books.lacks_callbacks
        if complete and made.good and made.outcome is not None:
            told = {each.status for each in made.callbacks}
            if not model.books.changes <= told:
                missing = ", ".join(sorted(model.books.changes - told))
                yield found(
                    model, "callbacks", f"the vendor never told {missing} of {made.external_id}"
                )
    received = Counter((str(r.task_id), str(r.task_status)) for r in job.receipts)
    taken = Counter((str(r.task_id), str(r.task_status)) for r in job.receipts if r.fate in TAKEN)
    for task, status in sorted(sent.keys() | received.keys()):
        there, out = received[task, status], sent[task, status]
        if taken[task, status] < answered[task, status] or (there > out and not bent):
            well = answered[task, status]
            text = f"{status} of {task}: sent {out}, answered {well}, received {there}"
            yield found(model, "receipts", text, str(out), str(there))


HARMLESS = {"", "delayed", "repeated", "replayed", "held back", "after the poll"}


def _is_plain(made: Generation, sent: Callback) -> bool:
    """Whether a delivery says what is so: late, repeated or held back it still does.

    A repeat says what its first delivery said, and is noted as a repeat only.
    """
    notes = {each.note for each in made.callbacks if each.delivery_id == sent.delivery_id}
    return all(part.strip() in HARMLESS for note in notes for part in note.split(","))


def _signals(model: Model) -> Iterator[Finding]:
    """Each end that a receipt calls applied woke the workflow once, and nothing else did."""
    signals = [s for run in model.job.executions for s in run.called_back]
    ends = [r for r in model.job.receipts if r.task_status in ENDS]
    for key in sorted(
        {_key(s) for s in signals} | {(str(r.task_id), str(r.task_status)) for r in ends}
    ):
        own = [r for r in ends if (r.task_id, r.task_status) == key]
        woken = sum(_key(s) == key for s in signals)
        least = sum(r.fate in ("applied", "early") for r in own)
        unsure = sum(r.fate == "unknown" for r in own)
        # Another receiver's receipt was undecided: one signal too many changes nothing.
        unsure += sum(r.fate == "duplicate" for r in own) if unsure else 0
        if not least <= woken <= least + unsure:
            text = f"{key[1]} of {key[0]}: {least} applied by its receipts, {woken} signals"
            yield found(model, "signals", text, str(least), str(woken))
    ids = {str(r.external_id) for r in model.job.receipts}
    first = {
        key: min(
            (r.at for r in ends if (r.task_id, r.task_status) == key and r.at is not None),
            default=None,
        )
        for key in {_key(s) for s in signals}
    }
    for signal in signals:
        if signal.body.get("external_id") not in ids:
            yield found(
                model,
                "signals",
                f"it was told of {signal.body.get('external_id')}, which no receipt names",
            )
        received = first[_key(signal)]
        if received is not None and received > signal.at + SLACK:
            text = f"it was told of {_key(signal)[1]} before that was received"
            yield found(model, "receipts.received_at", text)


def _key(signal: Signal) -> tuple[str, str]:
    return str(signal.body.get("task_id")), str(signal.body.get("task_status"))


def _fates(model: Model) -> Iterator[Finding]:
    """A receipt's fate is the one that deliveries, earlier receipts and the history demand."""
    job = model.job
    rows = sorted(job.rows.get(raw.RECEIPTS, ()), key=lambda row: str(row.get("received_at")))
    known = {g.vendor_id: g for g in job.generations}
    sent = [(g, each) for g in job.generations for each in g.callbacks if each.sent is not None]
    spoilt = any(not _is_plain(g, each) for g, each in sent)
    before: list[dict[str, Any]] = []
    for row in rows:
        task, status, fate = row.get("task_id"), row.get("task_status"), row.get("fate")
        expected: dict[str, Any] = {"fate": OneOf((*TAKEN, "rejected", "unknown"))}
        made = known.get(str(task))
        if model.books.telling and made is not None and not spoilt:
            own = [each for g, each in sent if g is made and each.status == status]
            expected |= {"external_id": made.external_id}
            expected["fate"] = OneOf(_possible(model, row, made, own=own, before=before))
            if own:
                low = min(each.sent or 0.0 for each in own) - model.clocks.offsets[made.step].high
                expected["received_at"] = Between(low - SLACK, None)
            cause = made.finished if status in ENDS else made.accepted
            if cause is not None and row.get("updated_at") is not None:
                expected["updated_at"] = Between(
                    cause - 0.05, None if not own else max(e.sent or 0 for e in own) + 0.05
                )
        elif model.books.telling and made is None and not spoilt:
            text = f"a callback for {task}, which no vendor knows, was {fate}"
            yield found(model, "orphaned", text)
        if "decided" in row and fate not in ("unknown",):
            expected["decided"] = True
        yield from differences(raw.RECEIPTS, row, expected, job_id=job.job_id, stage=job.stage)
        before.append(row)


def _possible(
    model: Model, row: dict[str, Any], made: Generation, *, own: list[Callback],
    before: list[dict[str, Any]],
) -> tuple[str, ...]:  # fmt: skip
    """The fates that a plain delivery can have had at this moment."""
    task, status, at = (
        row.get("task_id"),
        row.get("task_status"),
        instant(row.get("received_at")) or 0.0,
    )
    unheard = any(each.reply is None or each.reply >= 500 for each in own)
    past = [each for each in before if each.get("task_id") == task]
    fates = {"unknown"} if unheard or not _is_known(model, made) else set()
    if any(each.get("task_status") == status for each in past):
        return tuple(fates | {"duplicate"})
    if any(each.get("task_status") in ENDS for each in past):
        fates |= {"out_of_order"}
    closed = model.run.closed
    moved = any(
        o.step == made.wanted and o.attempt > (made.attempt or 0) and o.at <= at + SLACK
        for o in model.run.orders
    )
    if moved or closed is None or (closed - 2 * SLACK - _closing(model) <= at):
        fates |= {"late"}
    if status not in ENDS and any(
        (each.get("updated_at") or 0) > (row.get("updated_at") or 0) for each in past
    ):
        fates |= {"out_of_order"}
    noted = _noted(model, made)
    open_yet = closed is None or at <= closed + SLACK
    if open_yet and all(each.get("task_status") not in ENDS for each in past):
        if noted is None or at >= noted - SLACK:
            fates |= {"applied"}
        if noted is None or at <= noted + SLACK + 1.0:
            fates |= {"early"}
    return tuple(sorted(fates))


def _closing(model: Model) -> float:
    """Seconds between the record's end and the run's close."""
    last = max((w.at for w in model.run.versions), default=None)
    return (model.run.closed or 0.0) - last if last is not None and model.run.closed else 0.0


def _noted(model: Model, made: Generation) -> float | None:
    """When the record learnt of the task: the version behind the activity that brought it."""
    for each in model.run.activities:
        if each.result.get("accepted_at") and str(each.result.get("vendor_id")) == made.vendor_id:
            return each.ended
    return None


def stray(books: Any) -> Iterator[Finding]:
    """What a book has of jobs that no other one knows."""
    for rule, job_id, text in books.strays:
        yield Finding(rule, job_id, 0, text)


def faults(model: Model) -> Iterator[Finding]:
    """Each row of the fault trace is of a rule that was armed, and of a generation of the job."""
    armed = model.books.rules
    keys = {made.row.get("job_key") for made in model.job.generations}
    for row in model.job.rows.get(raw.FAULTS, ()):
        job_id, attempt = owner(row.get("external_id"))
        place = f"{row.get('where')}.{row.get('do')}"
        effects = armed.get((str(row.get("service")), str(row.get("rule"))))
        expected: dict[str, Any] = {
            "attempt": attempt,
            "at": Between(model.books.run["began_at"] - 1, model.books.run.get("ended_at")),
        }
        if keys:
            expected["job_key"] = OneOf(tuple(keys))
        if effects is None:
            expected["rule"] = OneOf(
                tuple(sorted(name for s, name in armed if s == row.get("service")))
            )
        elif place not in effects:
            expected["do"] = OneOf(tuple(sorted(effects)))
        prompts = _prompts(model, Generation("image", "", None, job_id, attempt))
        if prompts:
            expected["prompt"] = OneOf(prompts)
        yield from differences(
            raw.FAULTS, row, expected, job_id=model.job.job_id, stage=model.job.stage
        )
