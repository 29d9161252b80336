"""What concerns the run and no job's own books: plan, stages, slot, totals, strangers, replay."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from math import inf
from typing import Any

from loadtest.books import raw
from loadtest.books.facts import Generation, SlotSample, mapping, whole
from loadtest.books.model import PROCESSES, Books, JobFacts, StageBook
from loadtest.books.seal import NONE
from loadtest.judge import slot
from loadtest.judge.clocks import Clocks, far
from loadtest.judge.compare import RUN, Between, Finding, OneOf, differences
from loadtest.judge.intervals import sweep, vendor_intervals
from loadtest.judge.threshold import DEFAULTS, parse
from loadtest.times import timestamp

LAG = 3.0
"""The API may show a view that is seconds old where much is asked of it."""
FRESH = 2.0
"""Seconds by which a mean over samples may be late: a view of a second, and a request's way."""
SAMPLES, SHARE = 20, 0.2
RECEIVER = "callback"
MOMENTS = ("begin", "end", "sample")
BOUNDARY = 2.0
"""Seconds around both ends of a run in which others' generations may be counted or not."""


def of_run(books: Books, clocks: Clocks) -> Iterator[Finding]:
    """Everything of the run as a whole that can't be so."""
    last = max((stage.number for stage in books.stages), default=0)

    def found(rule: str, text: str, expected: object = "", seen: object = "") -> Finding:
        return Finding(rule, RUN, last, text, str(expected), str(seen))

    for text in far(books, clocks):
        yield found("clocks", text)
    yield from _folder(books, found)
    yield from _plan(books, found)
    for stage in books.stages:
        yield from _stage(stage, books)
        yield from _places(stage, books)
        yield from _slots(stage, books, clocks)
        yield from _little(stage, books)
        yield from _heard(stage, books)
    yield from _shared(books)
    yield from _permits(books)
    yield from slot.of_run(books, clocks)
    yield from _strangers(books)
    # A mock that was killed has lost its counts.
    if books.done and not books.struck:
        for step in books.mocks:
            yield from _totals(books, step, last)


def undecided(books: Books, clocks: Clocks) -> Iterator[str]:
    """What the run does not show, though it should: without it nothing passes."""
    yield from clocks.unknown
    replay = books.replay
    if replay is None or not replay.get("replayed"):
        yield "no history was replayed with the current code"
    for step in books.mocks:
        body = mapping(books.vendors.get(step))
        before = mapping(mapping(books.run.get("vendors_before")).get(step))
        stats = mapping(body.get("stats"))
        if dropped := whole(stats.get("ledger_dropped")) - whole(before.get("ledger_dropped")):
            yield f"the {step} service dropped {dropped} rows of its ledger"
        lost = whole(body.get("faults_recorded")) - whole(body.get("faults_remembered"))
        if lost > 0:
            yield f"the {step} service has forgotten {lost} of its faults"
    bare = [
        job.job_id
        for job in books.jobs
        for g in job.generations
        if g.good and not (g.sha256 or g.shows)
    ]
    if bare:
        yield f"{len(bare)} generation(s) have no hash, such as one of {bare[0]}"
    if not books.mocked:
        return
    limit = books.limit or 1
    certain = sweep(vendor_intervals(books, clocks.offsets), limit)
    possible = sweep(vendor_intervals(books, clocks.offsets, at_most=True), limit)
    if (left := possible.violations - certain.violations) > 0 and possible.pairs:
        pair = possible.pairs[0]
        yield (
            f"whether {pair.second} ran beside {pair.first}, and {left - 1} more pair(s): the "
            "vendors' clocks are not known well enough"
        )


def _folder(books: Books, found: Any) -> Iterator[Finding]:
    """The records are whole, as they were sealed, and of a run that went to its end."""
    if not books.jobs:
        yield found("run", "there are no jobs")
    for problem in books.run.get("unread") or []:
        yield found("run.unread", f"a book could not be read: {problem}")
    for name, count in sorted(books.torn.items()):
        yield found("run", f"{name}: {count} damaged line(s)")
    if books.seal.root == NONE:
        yield found("seal", "it was never sealed: it was killed")
    for text in books.seal.broken:
        yield found("seal", text)
    if not books.done:
        yield found("run.why", f"it did not go to its end: {books.run.get('why')}")
    if (replay := books.replay) is not None:
        kept, failures = books.histories, mapping(replay.get("failures"))
        if (replay.get("replayed"), replay.get("kept")) != (kept, kept) or failures:
            named = "; ".join(f"{job} {why}".strip() for job, why in list(failures.items())[:5])
            text = f"{replay.get('replayed')} of {kept} histories replayed with the current code"
            yield found("replay", f"{text}, {len(failures)} failed: {named}")


def _plan(books: Books, found: Any) -> Iterator[Finding]:
    run, plan = books.run, books.run["plan"]
    expected: dict[str, Any] = {"schema": raw.SCHEMA}
    if books.done and books.stages:
        expected["began_at"] = Between(None, min(stage.began for stage in books.stages))
        expected["ended_at"] = Between(max(stage.ended for stage in books.stages), None)
    if "pipeline" in plan:
        expected["plan.pipeline"] = run.get("pipeline")
    yield from differences(raw.RUN, run, expected, job_id=RUN, stage=0)
    done = [stage.planned_jobs for stage in books.stages]
    if done != plan["stages"][: len(done)] or (books.done and len(done) != len(plan["stages"])):
        yield found("run.plan.stages", f"there are stages of {done}", plan["stages"], done)
    held = {parse(text).metric for text in plan["thresholds"]}
    for text in DEFAULTS:
        if parse(text).metric not in held:
            yield found("run.plan.thresholds", f"it is not held against {text}")
    for step in books.ledgers:
        if step not in books.mocks and books.ledgers[step]:
            text = f"it says that the {step} service was no mock, and has its ledger"
            yield found("run.mocks", text)
    if books.limit is None:
        yield found("run.limit", "the limit at its beginning is not known")
    for service, numbers in books.faults.items():
        if any(after <= before for before, after in pairwise(numbers)):
            yield found("faults.seq", f"the faults of the {service} service are not in order")
    if any(rule == "None" for _, rule in books.rules):
        yield found("run.faults", "a rule without a name was armed")
    last = float(run.get("ended_at") or inf)
    for each in books.clocks:
        name = f"a reading of {each.service} ({each.moment})"
        if each.service not in (*books.mocks, "runner") or each.moment not in MOMENTS:
            yield found("clocks", f"{name}, which there is not")
        elif not each.sent <= each.answered <= last:
            yield found("clocks", f"{name} is of no time of the run")
            return


def _stage(stage: StageBook, books: Books) -> Iterator[Finding]:
    """A stage is the plan's, and its jobs' lives lie inside it."""
    ends = [job.finished for job in stage.jobs.values() if job.finished is not None]
    tag = f"load-{books.run.get('run_id')}-{stage.number + 1}"
    sent = [each.planned for job in stage.jobs.values() for each in job.submissions]
    expected: dict[str, Any] = {
        "tag": tag,
        "jobs": (books.run["plan"]["stages"] + [None] * 99)[stage.number],
        "began_at": Between(books.run.get("began_at"), min(sent, default=None)),
    }
    if stage.why == "done":
        expected["ended_at"] = Between(
            max(ends, default=stage.began) - 0.25, books.run.get("ended_at")
        )
    for moment in ("slots_before", "slots_after"):
        if stage.row.get(moment):
            expected[f"{moment}.limit"] = books.limit
            expected[f"{moment}.paused"] = False
    yield from differences(raw.STAGES, stage.row, expected, job_id=RUN, stage=stage.number)
    noted = stage.accepted + len(stage.refused)
    if noted != stage.planned_jobs or stage.why != "done":
        text = (
            f"{noted} of {stage.planned_jobs} jobs were submitted, and the stage ended: {stage.why}"
        )
        yield Finding("stages", RUN, stage.number, text, str(stage.planned_jobs), str(noted))


def _places(stage: StageBook, books: Books) -> Iterator[Finding]:
    """One submission for each place of the plan, at its instant, under its own key."""
    sent = [each for job in stage.jobs.values() for each in job.submissions]
    places = Counter(each.index for each in [*sent, *stage.refused])
    rate = books.run["plan"].get("rate")
    begins = sorted(each.planned - (each.index / rate if rate else 0) for each in sent)
    usual = begins[len(begins) // 2] if begins else 0.0
    for job in stage.jobs.values():
        for each, row in zip(job.submissions, job.rows.get(raw.SUBMITS, ()), strict=True):
            due = usual + (each.index / rate if rate else 0)
            expected: dict[str, Any] = {
                "stage": stage.number,
                "key": f"{books.run.get('run_id')}-{stage.number}-{each.index}",
            }
            if not books.struck:
                expected["planned_at"] = Between(max(due - 1e-4, stage.began), due + 1e-4)
                expected["sent_at"] = Between(due - 0.01, each.answered)
            if places[each.index] > 1 or not 0 <= each.index < stage.planned_jobs:
                free = set(range(stage.planned_jobs)) - set(places)
                expected["index"] = OneOf(tuple(sorted(free)))
            yield from differences(
                raw.SUBMITS, row, expected, job_id=job.job_id, stage=stage.number
            )
        for row in job.rows.get(raw.JOBS, ()):
            yield from differences(
                raw.JOBS, row, {"stage": stage.number}, job_id=job.job_id, stage=stage.number
            )


def _slots(stage: StageBook, books: Books, clocks: Clocks) -> Iterator[Finding]:
    """A sample shows the limit, and holders that held by their histories at about that time."""
    known = {job.job_id: job for job in books.jobs}
    runs = [run for job in books.jobs for run in job.executions]
    starts = sorted(run.started or 0.0 for run in runs)
    closes = sorted(run.closed for run in runs if run.closed is not None)
    freed = partial(_freed, closes, books.limit or 1)
    moments = [sample.at for sample in stage.samples]
    for sample in stage.samples:
        expected: dict[str, Any] = {
            "at": Between(stage.began, stage.ended),
            "limit": books.limit,
            "paused": False,
            "draining": Between(0, len(sample.holders), moment=False),
            # Those that can wait or hold then; nobody knows of others' jobs.
            "waiting": Between(
                0,
                None
                if books.foreign_jobs
                else bisect_right(starts, sample.at + 1) - bisect_left(closes, sample.at - LAG),
                moment=False,
                missing=True,
            ),
        }
        holder = sample.holders[-1] if sample.holders else RUN
        yield from differences(raw.SLOTS, sample.row, expected, job_id=holder, stage=stage.number)
        if books.limit is not None and len(set(sample.holders)) > books.limit:
            names = ", ".join(sample.holders)
            text = f"{names} held the slot at {timestamp(sample.at)}, the limit being {books.limit}"
            yield Finding("slots.holders", holder, stage.number, text)
        for name in sample.holders:
            if name not in known and name not in books.foreign_jobs:
                text = f"held the slot at {timestamp(sample.at)}, and no book knows it"
                yield Finding("slots.holders", name, stage.number, text)
            elif name in known and not _held(known[name], sample, clocks, freed):
                text = f"held the slot at {timestamp(sample.at)}, which was not its time"
                yield Finding("slots.holders", name, stage.number, text)
    if moments != sorted(moments):
        yield Finding("slots.at", RUN, stage.number, "samples of the slot are not in order")
    if not stage.samples and not books.struck and stage.ended - stage.began > LAG:
        yield Finding("slots", RUN, stage.number, "nobody looked at the slot")


def _freed(closes: list[float], limit: int, granted: float) -> float:
    """When the place can have become free that a permit of this moment is for."""
    place = bisect_right(closes, granted) - limit
    return closes[place] if place >= 0 else 0.0


def _held(
    job: JobFacts, sample: SlotSample, clocks: Clocks, freed: Callable[[float], float]
) -> bool:
    """From the permit to the close; one that ended badly holds on until it is cleared up.

    The semaphore decides a moment before the permit arrives: once the run has asked, and a place is
    free.
    """
    times = [
        (max(run.asked or run.started or 0.0, freed(run.granted)), run.closed)
        for run in job.executions
        if run.granted is not None
    ]
    if not times:
        return False
    begin = min(clocks.earliest("server", at) for at, _ in times)
    closes = [clocks.latest("server", at) for _, at in times if at is not None]
    good = job.status in ("succeeded", "degraded") and len(closes) == len(times)
    return begin <= sample.at and not (good and sample.at > max(closes) + LAG)


def _little(stage: StageBook, books: Books) -> Iterator[Finding]:
    """Little's law: means over the samples are the means that the histories give.

    It is of those who hold, and of all who hold or wait. A sample stands for the time around it.
    """
    samples = [s for s in stage.samples if s.waiting is not None]
    if len(samples) < SAMPLES or samples[-1].at <= samples[0].at or not stage.jobs:
        return
    runs = [run for job in stage.jobs.values() for run in job.executions]
    first, last = samples[0].at, samples[-1].at
    seconds = last - first
    for name, times, counted in (
        (
            "holders",
            [(run.granted, run.closed) for run in runs if run.granted is not None],
            [(s.at, len(s.holders)) for s in samples],
        ),
        (
            "waiting",
            [(run.asked or run.started, run.closed) for run in runs],
            [(s.at, len(s.holders) + (s.waiting or 0)) for s in samples],
        ),
    ):
        pairs = [(then - at, n, more) for (at, n), (then, more) in pairwise(counted)]
        seen = sum(gap * (n + more) / 2 for gap, n, more in pairs) / seconds
        inside = sum(
            max(0.0, min(end if end is not None else last, last) - max(begin or first, first))
            for begin, end in times
        )
        told = inside / seconds
        # When in a long gap they came and went, nobody saw; a late view is late at both ends.
        unseen = sum(gap * max(1, abs(more - n)) / 2 for gap, n, more in pairs if gap > FRESH)
        ends = sum(not (first < (begin or first) and (end or last) < last) for begin, end in times)
        late = FRESH * (2 * (stage.limit or 1) if name == "holders" else len(times) + ends)
        blur = (late + unseen) / seconds
        least = 0.1 if name == "holders" else 1.0
        strangers = bool(books.foreign_jobs)
        if abs(seen - told) > max(least, SHARE * told) + blur and not strangers:
            text = f"{seen:.2f} by the samples of the slot, {told:.2f} by the histories"
            yield Finding(
                f"slots.{name}",
                RUN,
                stage.number,
                f"on average {text}",
                f"{told:.2f}",
                f"{seen:.2f}",
            )


def _heard(stage: StageBook, books: Books) -> Iterator[Finding]:
    """Of the callbacks that no fault has touched some arrive; else polls alone learn every end."""
    if books.restarts(RECEIVER) or "receipts" in books.unread:
        return
    untouched = [
        job
        for job in stage.jobs.values()
        if job.ended and not any(fault.where == "callback" for fault in job.faults)
    ]
    sent = [c for j in untouched for g in j.generations for c in g.callbacks if c.sent is not None]
    if sent and not any(c.answered for c in sent) and not any(j.receipts for j in untouched):
        text = (
            f"none of the {len(sent)} callbacks of stage {stage.name} arrived, and no fault is why"
        )
        yield Finding("callbacks", untouched[0].job_id, stage.number, text)


def _shared(books: Books) -> Iterator[Finding]:
    """No two jobs have the same file, unless a fault has swapped them."""
    first: dict[str, str] = {}
    for job in books.jobs:
        for kind, stored in job.files.items():
            other = first.setdefault(str(stored.sha256), job.job_id)
            swapped = any(fault.where == "result" for fault in job.faults)
            if stored.sha256 and other != job.job_id and not swapped:
                yield Finding(
                    "files.sha256", job.job_id, job.stage, f"its {kind} is that of {other}"
                )


def _permits(books: Books) -> Iterator[Finding]:
    """A permit that is granted behind the close of another run has a higher number."""
    runs = [
        (job, run.granted, run.closed, run.token)
        for job in books.jobs
        for run in job.executions
        if run.granted is not None and isinstance(run.token, int)
    ]
    closes = sorted((closed, token) for _, _, closed, token in runs if closed is not None)
    highest, place = -1, 0
    for job, granted, _, token in sorted(runs, key=lambda one: one[1]):
        while place < len(closes) and closes[place][0] < granted:
            highest = max(highest, closes[place][1])
            place += 1
        if token <= highest:
            text = f"its permit {token} is not above {highest}, which had been given back"
            yield Finding("permit", job.job_id, job.stage, text, f"above {highest}", str(token))


def _strangers(books: Books) -> Iterator[Finding]:
    """Generations of no job of the run: others' by the API's word, and none of our prompts."""
    stage = books.stages[-1].number if books.stages else 0
    ours = {(job.submission.prompt, job.stage): job.job_id for job in books.jobs if job.submission}
    prompts = {prompt: job_id for (prompt, _), job_id in ours.items()}
    known = {job.job_id: job.stage for job in books.jobs}
    for row in books.foreign:
        nearest = str(row.external_id).split(".", 1)[0]
        theirs = books.foreign_jobs.get(row.job_id or "", {})
        if not theirs.get("known"):
            text = f"the {row.step} service made {row.external_id} ({row.vendor_id}) for no job"
            yield Finding("orphaned", nearest, known.get(nearest, stage), text)
        elif row.prompt in prompts and not str(theirs.get("tag")).startswith("load-"):
            text = f"the {row.step} service made its prompt again, as {row.external_id}"
            yield Finding("duplicated", prompts[str(row.prompt)], stage, text)


def _totals(books: Books, step: str, stage: int) -> Iterator[Finding]:
    """What the mock counted while the run went on is what its rows say."""
    before = mapping(mapping(books.run.get("vendors_before")).get(step))
    body = mapping(books.vendors.get(step))
    after, bill = mapping(body.get("stats")), mapping(body.get("verdict"))
    if "accepted" not in before or "accepted" not in after:
        text = f"the {step} service's totals are not known at both ends of the run"
        yield Finding("vendors.stats", RUN, stage, text)
        return
    own = {job.job_id: job for job in books.jobs}
    made = [g for job in books.jobs for g in job.generations]
    # Others' double charges and callbacks stand on the bill, too.
    charged = Counter(str(g.external_id) for g in made if g.charged and g.step == step)
    billed = bill.get("charged_twice")
    if isinstance(billed, list):
        billed = sorted(str(i) for i in billed if str(i).split(".")[0] in own)
    unanswered = {(g.external_id, c.status) for g in made for c in g.callbacks if not c.answered}
    for each in map(mapping, bill.get("callbacks_unanswered") or []):
        job_id = str(each.get("external_id")).split(".")[0]
        if job_id in own and (each.get("external_id"), each.get("status")) not in unanswered:
            text = f"the bill has an unanswered callback of {each.get('external_id')}"
            rule = f"vendors.{step}.verdict.callbacks_unanswered"
            yield Finding(rule, job_id, stage, text)
    seen: dict[str, Any] = {**body, "verdict": {"charged_twice": billed}, "stats": {}}
    expected: dict[str, Any] = {
        "verdict.charged_twice": sorted(i for i, n in charged.items() if n > 1),
        "faults_remembered": Between(0, whole(body.get("faults_recorded")), False, True),
    }
    if "faults_recorded" in body:
        expected["faults_recorded"] = whole(after.get("faults_injected"))
    anew = whole(after["accepted"]) < whole(before["accepted"])
    forgotten = whole(after.get("ledger_dropped")) > whole(before.get("ledger_dropped"))
    rows = books.ledgers.get(step, [])
    if anew and not books.restarts(PROCESSES.get(step, "")):
        seen["stats"]["accepted"] = after["accepted"]
        expected["stats.accepted"] = Between(whole(before["accepted"]), None, moment=False)
    elif not (forgotten or anew or _near(books, rows)):
        counts = _counts(books, rows, before=before, after=after, bill=bill)
        for name, (counted, told) in counts.items():
            part, _, key = name.partition(".")
            seen[part][key] = counted
            expected[name] = told
    wanted = {f"{step}.{name}": value for name, value in expected.items()}
    yield from differences(raw.VENDORS, {step: seen}, wanted, job_id=RUN, stage=stage)


def _counts(
    books: Books, rows: list[Generation], *, before: dict[str, Any], after: dict[str, Any],
    bill: dict[str, Any],
) -> dict[str, tuple[int, Any]]:  # fmt: skip
    """What a mock counted, and what it should have."""

    def more(name: str) -> int:
        return whole(after.get(name)) - whole(before.get(name))

    began = float(books.run.get("began_at") or 0.0)
    goes_on = sum(row.finished is None and row.outcome is None for row in rows)
    ids = Counter(row.external_id for row in rows if row.external_id)
    ended = [row for row in rows if (row.finished or 0.0) >= began]
    found: dict[str, tuple[int, Any]] = {
        "stats.accepted": (more("accepted"), sum((row.accepted or 0.0) >= began for row in rows)),
        "stats.charged": (more("charged"), sum(row.charged for row in ended)),
        "stats.in_flight": (whole(after.get("in_flight")), goes_on),
        "stats.duplicates": (more("duplicates"), sum(count - 1 for count in ids.values())),
        "verdict.open": (whole(bill.get("open")), goes_on),
    }
    if not after.get("ledger_dropped"):
        found["verdict.charged"] = (whole(bill.get("charged")), whole(after.get("charged")))
    if not books.armed:
        most = max(books.limit or 1, whole(before.get("max_in_flight")))
        seen = whole(after.get("max_in_flight"))
        found["stats.max_in_flight"] = (seen, Between(0, most, moment=False))
    return found


def _near(books: Books, rows: list[Generation]) -> bool:
    """Whether somebody else's generation came or went while the totals were read."""
    own = {job.job_id for job in books.jobs}
    began = float(books.run.get("began_at") or 0.0)
    ended = max((stage.ended for stage in books.stages), default=began)
    moments = [
        at
        for row in rows
        if row.job_id not in own and books.foreign_jobs.get(str(row.job_id), {}).get("known")
        for at in (row.accepted, row.finished)
        if at is not None
    ]
    return any(abs(at - began) < BOUNDARY or at > ended for at in moments)
