"""Hold the vendors' ledgers and fault traces against the histories: each generation, each attempt,
each charge."""

from collections import Counter
from collections.abc import Iterator
from math import inf
from typing import Any

from loadtest.books import raw
from loadtest.books.executions import Order, task_of
from loadtest.books.facts import Generation, mapping, owner
from loadtest.books.model import PROCESSES, STEPS
from loadtest.judge.clocks import OWN, SERVER, SLOW
from loadtest.judge.compare import Between, Finding, Number, OneOf, exactly
from loadtest.judge.reference import Model
from loadtest.times import instant

SHOWN = 200
"""Characters of a prompt that a mock's ledger keeps."""
ENDS = ("succeed", "failed")
FREE, FILM = "0", "2"
"""Units of a generation that is not charged, and of a film of five seconds, which is what the small
contract orders; its wire does not tell the price."""
QUEUED = 0.02
"""The share of its time that a generation waits at a mock before it begins."""
HOPS = 4
"""So many of the longest hops later, beside SLOW, a mock does what it is to do: it can't be frozen
then, or the time from which they count is late as well."""
OUT_OF_TIME = ("attempt_timed_out", "given_up", "generation_lost", "record_stands", "timeout")
"""Error codes of an attempt that ended before its vendor's own end."""
AT_ONCE = 0.25
"""Seconds within which a mock decides the fate of a callback after the task has changed."""
MILD = 10
"""How much slower a generation may be that does not stand still at any percent."""
MEDIA = {"image": "image/png", "video": "video/mp4"}
"""What is stored of a stage, whatever the vendor's file was."""
SPOILT = {"progress.relapse", "progress.no-url", "poll.forget"}
"""Faults that spoil a generation that its vendor reports as good."""


def of_job(model: Model) -> Iterator[Finding]:
    """Find where the vendors' rows of the job contradict its history, or one another. Expect
    each id accepted and charged once."""
    for each in model.job.generations:
        yield from _generation(model, each)
    if model.job.ended:
        yield from _attempts(model)
        yield from _results(model)
    made = model.job.generations
    for name, count in Counter(g.external_id for g in made if g.charged).items():
        if count > 1:
            yield model.found("charged_twice", f"{name} was charged {count} times", 1, count)
    for name, count in Counter(g.external_id for g in made).items():
        if count > 1:
            yield model.found("duplicated", f"{name} was accepted {count} times", 1, count)
    yield from _faults(model)


def _generation(model: Model, made: Generation) -> Iterator[Finding]:
    """Expect a row that belongs to an order of the history, lies in its time, and is consistent."""
    orders = (o for run in model.job.executions for o in run.orders)
    order = next((o for o in orders if o.external_id == made.external_id), None)
    name, job, clocks, row = str(made.external_id), model.job, model.clocks, made.row
    of_stage = job.of(made.wanted)
    if order is None:
        if job.ended:
            text = f"the {made.step} service made {name}, which no history ordered"
            twice = made.charged and sum(g.charged for g in of_stage) > 1
            yield model.found("charged_twice" if twice else "orders", text)
        return
    stage = next((s for s in model.books.pipeline if s.name == made.wanted), None)
    if stage and stage.vendor != made.step:
        yield model.found("ledger", f"{name} is in the ledger of the {made.step} service")
    twins = sum(g.external_id == made.external_id for g in of_stage) > 1
    begun, due = _due(model, made)
    expected: dict[str, Any] = {
        "attempt": made.attempt,
        "token": order.token,
        "accepted_at": Between(_submitted(model, made, order), None),
        "started_at": Between(made.accepted, begun, missing=not made.good),
        "finished_at": Between(made.started or made.accepted, due, missing=not made.good),
        "charged": made.good,
        "calls_back": bool(stage and stage.called_back and model.books.called_back),
        "duplicate": made.duplicate and twins,
    }
    if not _may_repeat(model, made) and (prompts := _prompts(model, made.step)):
        expected["prompt"] = OneOf(prompts)
        # In a ComfyUI's workflow, and at a video service, the style is part of the prompt.
        if made.step == "image" and "style" in row and row["prompt"] == prompts[0]:
            expected["style"] = model.planned["style"]
    if made.good:
        expected["error"] = None
    elif made.outcome == "failed" and not (model.books.struck or model.books.was_killed(made.step)):
        met = {f"{each.where}.{each.do}" for each in job.faults if each.external_id == name}
        # No film can be made from a source that a fault has spoilt.
        if not met and not job.has_fault("result"):
            yield model.found(f"{made.step}_ledger.outcome", f"{name} failed, and no fault is why")
    run, brought = model.run, model.run.brought.get(made.vendor_id)
    if not made.charged:
        expected["units"] = OneOf((None, FREE))
    elif brought and model.books.is_default and not brought.get("units"):
        expected["units"] = OneOf((None, FILM))
    for part in ("accepted", "started", "finished"):
        expected[f"{part}_ts"] = exactly(instant(row.get(f"{part}_at")))
    if made.finished is not None and made.accepted is not None:
        seconds = made.finished - made.accepted
        expected["seconds"] = Number(seconds - 1e-4, seconds + 1e-4)
    if made.good and job.status in ("succeeded", "degraded") and made.vendor_id in run.brought:
        # The generation had ended when the history got its result.
        ends = {task_of(a.result): a.ended for a in run.activities[::-1] if a.result.get("asset")}
        if (end := ends.get(made.vendor_id, run.closed)) is not None:
            latest = end + clocks.between(made.step, SERVER)
            expected["finished_at"] = Between(made.started, min(latest, due or latest))
            if "reported_at" in row and not model.books.was_killed(made.step):
                expected["reported_at"] = Between(None, latest, missing=True)
    # Of a picture only the pixels are stored.
    if model.plain and job.status == "succeeded" and made.wanted == STEPS[-1]:
        own = (r for r in run.results if str(r.get("asset_url")).endswith(f"/{made.wanted}"))
        stored, [*_, kept] = job.files.get(made.wanted), ["", *map(task_of, own)]
        if stored and kept == made.vendor_id:
            expected["sha256"] = stored.sha256
    expected |= _source(model, made)
    yield from _reason(model, made)
    yield from model.differ(raw.ledger(made.step), row, expected)


def _due(model: Model, made: Generation) -> tuple[float | None, float | None]:
    """Return the latest times at which a mock can have begun and ended, if nothing else was before:
    after a share of the time that the generation takes, and after the usual time."""
    books = model.books
    others = (each for each in model.job.generations if each.step == made.step and each is not made)
    alone = books.calm and books.limit == 1 and not (books.foreign or any(others))
    if made.accepted is None or not (made.good and alone and made.step in PROCESSES):
        return made.finished, None
    late = made.accepted + SLOW + HOPS * books.longest
    begun = min(late + QUEUED * made.seconds, made.finished or inf)
    usual = books.usual.get(made.wanted)
    plain = all(each.where == "callback" for each in model.job.faults)
    return begun, late + usual if usual is not None and plain else None


def _submitted(model: Model, made: Generation, order: Order) -> float:
    """Return the earliest time at which the vendor can have accepted an order: its activity had
    begun, if that was tried once."""
    clocks, earliest = model.clocks, order.at
    own = (a for a in model.job.activities if a.external_id == made.external_id)
    tries = [each for each in own if "attempt" in each.body]
    # Chaos resets activities, which then count their tries from 1.
    if len(tries) == 1 and tries[0].attempt == 1 and not model.books.struck:
        earliest = max(earliest, tries[0].started or 0.0)
    return earliest - clocks.between(SERVER, made.step)


def _reason(model: Model, made: Generation) -> Iterator[Finding]:
    """Expect the vendor's own reason in the history of a failed generation."""
    bent = any(f.do == "absurd" for f in model.job.faults if f.external_id == made.external_id)
    if made.outcome != "failed" or not made.error or bent or model.books.struck:
        return
    for each in model.job.activities:
        own = each.external_id == made.external_id
        failed = each.outcome == "failed" and each.error_class not in OUT_OF_TIME
        said = each.error_message or ""
        if failed and own and made.error not in said:
            text = (
                f"{made.external_id} failed with {made.error} at its vendor, "
                f"and is recorded as {said}"
            )
            yield model.found("history.result", text, made.error, said)


def _prompts(model: Model, step: str) -> tuple[str, ...]:
    """Return the planned prompt as a ledger keeps it; a ComfyUI's workflow adds the style."""
    said = model.planned
    if not isinstance(text := said.get("prompt"), str):
        return ()
    styled = f"{text}, {said['style']}" if step == "image" else text
    return (text[:SHOWN], styled[:SHOWN])


def _source(model: Model, made: Generation) -> dict[str, Any]:
    """Expect that a later stage was made from what the stage before it made."""
    names = [each.name for each in model.books.pipeline]
    if made.wanted not in names[1:]:
        return {"source_sha256": None, "source_shows": None}
    if not made.good or model.job.has_fault("result"):
        return {}
    before = names[names.index(made.wanted) - 1]
    done = [each for each in model.job.of(before) if each.good]
    expected: dict[str, Any] = {}
    without = (None,) if _may_repeat(model, made) else ()
    if hashes := {g.sha256 for g in done if g.sha256}:
        # Where the vendor's address gives no file, our own copy of it is offered.
        stored = model.job.files.get(before)
        copies = {stored.sha256} if stored else set()
        expected["source_sha256"] = OneOf((*hashes, *copies, *without))
    if shows := tuple({g.shows for g in done if g.shows}):
        expected["source_shows"] = OneOf(shows + without)
    return expected


def _may_repeat(model: Model, made: Generation) -> bool:
    """True if an earlier stage of the job has the same vendor.

    To its ledger this generation is then other work, with words of its own and perhaps no source.
    """
    stages = [each.name for each in model.books.pipeline if each.vendor == made.step]
    return made.wanted in stages[1:]


def _attempts(model: Model) -> Iterator[Finding]:
    """Expect the vendor's own failure of an attempt before the next one, or a fault that spoilt
    it."""
    job, asked = model.job, _prompts(model, STEPS[-1])
    for run, order in ((each, o) for each in job.executions for o in each.orders):
        name = order.external_id
        made = [g for g in job.generations if g.external_id == name]
        met = [f for f in job.faults if f.external_id == name]
        faults = {f"{f.where}.{f.do}" for f in met}
        # A mock makes progress all the time, unless a fault holds it up.
        held = any("extra" in f.given or (f.given.get("factor") or 0) > MILD for f in met)
        held |= bool(faults - {"start.slow"}) or bool(model.books.struck)
        plain = [g for g in made if g.outcome == "cancelled" and g.prompt in asked]
        spoilt = bool(faults & SPOILT) or any(f.startswith("result.") for f in faults)
        again = any(o.step == order.step and o.attempt > order.attempt for o in run.orders)
        if not model.books.shows(order.step):
            continue
        if again and made and all(g.good for g in made) and not spoilt:
            text = f"attempt {order.attempt + 1} was ordered, and {name} is good by its vendor"
        elif again and not (made or faults or model.books.struck):
            text = f"{name} never reached the vendor, and another was ordered"
        elif again and plain and not held:
            text = f"{name} was stopped while it made progress, and another was ordered"
        else:
            continue
        yield model.found("attempts", text)


def _results(model: Model) -> Iterator[Finding]:
    """Expect that vendors made the results in the history well, as the job's own files."""
    job, pipeline = model.job, model.books.pipeline
    own = tuple(f"{job.job_id}/{stage.name}" for stage in pipeline)
    prices = {(str(g.external_id), g.units) for g in job.generations if "units" in g.row}
    for result in model.run.results:
        url = result.get("asset_url")
        units, file = mapping(result.get("units")), str(url).rpartition("/jobs/")[2]
        expected: dict[str, Any] = {"file": OneOf(own)} if url else {}
        step = file.rpartition("/")[2]
        if model.books.mocked or model.books.shows(step):
            made = (g for g in job.generations if g.good or not result.get("asset"))
            ids = sorted(g.vendor_id for g in made if not url or step == g.wanted)
            expected["vendor_id"] = OneOf(tuple(ids))
        # A vendor may have a price, and a wire that does not tell it.
        if prices and not units.items() <= prices:
            expected["units"] = dict(prices)
        row = {"vendor_id": task_of(result), "file": file, "units": units}
        if (asset := result.get("asset")) and url and step in STEPS:
            row["media_type"] = asset.get("media_type")
            expected["media_type"] = MEDIA[step]
        yield from model.differ("history", row, expected, "result.")


def _faults(model: Model) -> Iterator[Finding]:
    """Expect each row of the fault trace of an armed rule, and of a generation of the job."""
    run = model.books.run
    for row in model.job.rows.get(raw.FAULTS, ()):
        service, place = str(row.get("service")), f"{row.get('where')}.{row.get('do')}"
        armed = {each.name: each for each in model.books.rules if each.service == service}
        rule = armed.get(str(row.get("rule")))
        named = [g for g in model.job.generations if g.external_id == row.get("external_id")]
        over = row.get("where") == "result" or row.get("status") in ENDS
        called, begin = row.get("where") == "callback", row.get("where") != "submit"
        moments = [g.finished if over else (called and g.started) or g.accepted for g in named]
        causes = [at for at in moments if at is not None and begin]
        late = called and causes and len(causes) == len(named)
        expected: dict[str, Any] = {
            "attempt": owner(row.get("external_id"))[2],
            "at": Between(
                max(run["began_at"] - 1, min(causes, default=0.0) - OWN),
                max(causes) + AT_ONCE if late else run.get("ended_at"),
            ),
        }
        if service in model.books.replanned:
            pass
        elif rule is None:
            expected["rule"] = OneOf(tuple(sorted(armed)))
        elif place != rule.place:
            expected["do"] = OneOf((rule.place,))
        else:
            # A length of time is a text, and may be drawn.
            for name, fixed in mapping(rule.body.get("with")).items():
                drawn = mapping(row.get("with")).get(name)
                if isinstance(drawn, int | float) and isinstance(fixed, int | float):
                    expected[f"with.{name}"] = fixed
        if prompts := _prompts(model, "image"):
            expected["prompt"] = OneOf(prompts)
        if place == "start.fail" and not named and not model.books.was_killed(service):
            text = f"a fault failed {row.get('external_id')}, which is not in the vendor's ledger"
            yield model.found("ledger", text)
        yield from model.differ(raw.FAULTS, row, expected)
