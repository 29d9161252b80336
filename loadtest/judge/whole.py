"""Hold the run as a whole: its files, plan, stages, totals, and jobs of others."""

from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from math import inf
from typing import Any

from loadtest.books import raw
from loadtest.books.executions import task_of
from loadtest.books.facts import Generation, mapping, whole
from loadtest.books.model import PROCESSES, RUNNERS, Books, StageBook
from loadtest.books.seal import NONE
from loadtest.judge.clocks import SLOW, Clocks, far
from loadtest.judge.compare import RUN, Between, Finding, Number, OneOf, Subject
from loadtest.judge.intervals import Interval, sweep, vendor_intervals
from loadtest.judge.threshold import DEFAULTS, parse

MOMENTS = ("begin", "end", "sample")
UNANSWERED, EXPIRED = "callbacks_unanswered", "fetched_after_expiry"
BILL = ("charged_twice", UNANSWERED, EXPIRED)
"""The complaints in a mock's own verdict."""
GROWING = ("accepted", "charged", "duplicates", "file_bytes")
"""Counters that a mock continues over several runs."""
DAY = 86_400.0
"""The least time, by a mock's own clock, for which it keeps a file."""
SILENT = 45.0
"""Seconds within which a working runner notes something: it waits for an answer, then reads its
clock."""
FULL = 30_000_000
"""Bytes of files that a mock keeps in any case."""
DRAIN_SECONDS, LEAST_DRAIN, NOMINAL = 3600.0, 15.0, {"image": 30.0, "video": 70.0}
"""Seconds for which a job waits for its vendors after a bad end, at least so many, and those of a
generation: they are divided by the mocks' speed where nobody has set them."""
MOST_FEEDS = 2
"""Connections of the live feed in a stage whose services always answered: a runner that was frozen
loses one."""


def of_run(books: Books, clocks: Clocks) -> Iterator[Finding]:
    """Find everything that contradicts the run as a whole."""
    run = Subject(RUN, max((stage.number for stage in books.stages), default=0))
    yield from (run.found("clocks", text) for text in far(books, clocks))
    yield from _folder(books, run)
    yield from _plan(books, run)
    for stage in books.stages:
        yield from _stage(stage, books)
    yield from _shared(books)
    yield from _foreign_jobs(books, run)
    # A mock that was killed has lost its counts.
    if books.done and not books.struck:
        for step in books.mocks:
            yield from _totals(books, step, run)


def forgotten(books: Books) -> Iterator[str]:
    """Return which mocks were started again in the run and lack what histories brought from them:
    their ledgers were in memory."""
    for step in books.mocks:
        own = {f"/{each.name}" for each in books.pipeline if each.vendor == step}
        brought = (result for _, run in books.runs for result in run.results)
        tasks = {task_of(r) for r in brought if str(r.get("asset_url")).endswith(tuple(own))}
        lost = tasks - {each.vendor_id for each in books.ledgers.get(step, ())}
        if lost and books.restarts(PROCESSES.get(step, "")):
            yield f"the {step} service was started again, and forgot {len(lost)} generation(s)"


def undecided(books: Books, clocks: Clocks) -> Iterator[str]:
    """Return what the run should show and does not; without it the run does not pass."""
    yield from clocks.unknown
    replay = books.replay
    if replay is None or not replay.get("replayed"):
        yield "no history was replayed with the current code"
    for step in books.mocks:
        body, (before, after) = mapping(books.vendors.get(step)), books.totals(step)
        if dropped := whole(after.get("ledger_dropped")) - whole(before.get("ledger_dropped")):
            yield f"the {step} service dropped {dropped} rows of its ledger"
        lost = whole(body.get("faults_recorded")) - whole(body.get("faults_remembered"))
        if lost > 0:
            yield f"the {step} service has forgotten {lost} of its faults"
    made = ((job.job_id, g) for job in books.jobs for g in job.generations)
    if bare := [job_id for job_id, g in made if g.good and not (g.sha256 or g.shows)]:
        yield f"{len(bare)} generation(s) have no hash, such as one of {bare[0]}"
    if books.mocked:
        limit = books.limit or 1
        certain = sweep(vendor_intervals(books, clocks.offsets), limit)
        possible = sweep(vendor_intervals(books, clocks.offsets, at_most=True), limit)
        if (left := possible.violations - certain.violations) > 0:
            pair = possible.pairs[0]
            yield (
                f"whether {pair.second} ran beside {pair.first}, and {left - 1} more pair(s): the "
                "vendors' clocks are not known well enough"
            )


def _folder(books: Books, run: Subject) -> Iterator[Finding]:
    """Expect complete records, as they were sealed, of a run that went to its end, with the
    faults of its plan."""
    for problem in books.run.get("unread") or []:
        yield run.found("run.unread", f"a book could not be read: {problem}")
    for name, count in sorted(books.torn.items()):
        yield run.found("run", f"{name}: {count} damaged line(s)")
    yield from (run.found("seal", text) for text in books.seal.broken)
    seed, faults = books.run["plan"].get("seed") or None, books.run["plan"].get("faults")
    own = sorted({each.name for each in books.rules if each.body.get("seed") == seed})
    named = f"it has none, and rules with its seed were armed: {', '.join(own)}"
    unarmed, struck = "no mock was armed with the faults of the plan", bool(books.struck)
    for bad, rule, text in (
        (not books.jobs, "run", "there are no jobs"),
        (books.seal.root == NONE, "seal", "it was never sealed: it was killed"),
        (not books.done, "run.why", f"it did not go to its end: {books.run.get('why')}"),
        (faults and not books.rules and books.mocks, "run.plan.faults", unarmed),
        (own and not faults and not struck, "run.plan.faults", named),
        (
            struck and books.processes,
            "chaos.struck",
            "a run with strikes looks at no process, and this one has",
        ),
    ):
        if bad:
            yield run.found(rule, text)
    if (replay := books.replay) is not None:
        expected = {"replayed": books.histories, "kept": books.histories, "failures": {}}
        yield from run.differ(raw.REPLAY, {"failures": {}} | replay, expected)


def _plan(books: Books, run: Subject) -> Iterator[Finding]:
    """Expect the stages, conditions, limit, mocks and readings that the plan has, and the SDK of
    the workers."""
    facts, plan, stages = books.run, books.run["plan"], books.stages
    done = [stage.planned_jobs for stage in stages]
    before = mapping(facts.get("vendors_before"))
    vendors, code = {each.vendor for each in books.pipeline}, mapping(facts.get("code"))
    metrics = {parse(text).metric for text in plan["thresholds"]}
    expected: dict[str, Any] = {
        "limit": Number(0, None),
        "plan.stages": done if books.done else done + plan["stages"][len(done) :],
        "mocks": [*(facts.get("mocks") or ()), *sorted(books.ledgers.keys() - books.mocks)],
    }
    if books.done and stages:
        expected["began_at"] = Between(None, min(stage.began for stage in stages))
        read = max((each.answered for each in books.clocks), default=inf)
        most = inf if books.struck else read + SILENT + len(books.jobs)
        expected["ended_at"] = Between(max(stage.ended for stage in stages), most)
    if sdks := sorted({version for _, each in books.runs for version in each.sdks}):
        expected["environment.sdk"] = OneOf(tuple(sdks))
    if "pipeline" in plan:
        expected["plan.pipeline"] = facts.get("pipeline")
    if plan.get("reset"):
        expected["plan.reset"] = not any(mapping(each).get("accepted") for each in before.values())
    # Chaos arms its rules later, and one may be armed still.
    if not books.struck:
        for step in (step for step, total in before.items() if mapping(total)):
            fired = sum(whole(it.body.get("fired")) for it in books.rules if it.service == step)
            least = Number(fired, None, missing=not fired)
            expected[f"vendors_before.{step}.faults_injected"] = least
    if plan.get("concurrency") and not books.struck:
        sent = (each for job in books.jobs for each in job.submissions)
        waiting = [Interval(str(each.job_id), each.sent, each.answered) for each in sent]
        expected["plan.concurrency"] = Number(sweep(waiting).most, None)
    yield from run.differ(raw.RUN, facts, expected)
    for text in (text for text in DEFAULTS if parse(text).metric not in metrics):
        yield run.found("run.plan.thresholds", f"it is not held against {text}")
    for numbers in books.faults.values():
        yield from run.differ(raw.FAULTS, {"seq": numbers}, {"seq": sorted({*numbers})})
    mocks = {name for step, name in PROCESSES.items() if step in books.mocks or step not in vendors}
    names = {RUNNERS, *mapping(code.get("services")), *mocks}
    strangers = sorted(books.processes.keys() - names) if code else []
    yield from run.differ(raw.PROCESSES, {"name": strangers}, {"name": []})
    for each in books.clocks:
        row: dict[str, Any] = {"sent_at": each.sent, "answered_at": each.answered}
        row |= {"service": each.service, "moment": each.moment}
        expected = {"service": OneOf((*books.mocks, "runner")), "moment": OneOf(MOMENTS)}
        expected["sent_at"] = Between(None, each.answered)
        expected["answered_at"] = Between(None, float(facts.get("ended_at") or inf))
        yield from run.differ(raw.CLOCKS, row, expected)


def _stage(stage: StageBook, books: Books) -> Iterator[Finding]:
    """Expect the plan's stage, with its jobs' lives inside it; one submission for each place of the
    plan, at its instant, under its own key, from which the id of its job follows."""
    run, plan = Subject(RUN, stage.number), books.run["plan"]["stages"]
    ends = [job.finished for job in stage.jobs.values() if job.finished is not None]
    sent = [each for job in stage.jobs.values() for each in job.submissions]
    first = min((each.planned for each in sent), default=None)
    expected: dict[str, Any] = {
        "tag": f"load-{books.run.get('run_id')}-{stage.number + 1}",
        "jobs": plan[stage.number] if stage.number < len(plan) else None,
        "began_at": Between(books.run.get("began_at"), first),
    }
    if books.calm:
        expected["feed_connections"] = Number(None, MOST_FEEDS, missing=True)
    if stage.why == "done":
        least = max(ends, default=stage.began) - 0.25
        expected["ended_at"] = Between(least, books.run.get("ended_at"))
    yield from run.differ(raw.STAGES, stage.row, expected)
    noted, planned = stage.accepted + len(stage.refused), stage.planned_jobs
    if noted != planned or stage.why != "done":
        text = f"{noted} of {planned} jobs were submitted, and the stage ended: {stage.why}"
        yield run.found("stages", text, planned, noted)
    missing = {*range(planned)} - {each.index for each in [*sent, *stage.refused]}
    for place in sorted(missing) if noted >= planned else ():
        yield run.found("submits", f"no submission has the key {_key(books, stage, place)}")
    rate = books.run["plan"].get("rate")
    begins = sorted(each.planned - (each.index / rate if rate else 0) for each in sent)
    for job in stage.jobs.values():
        named = Subject(job.job_id, job.stage)
        for each, row in zip(job.submissions, job.rows.get(raw.SUBMITS, ()), strict=True):
            due = begins[len(begins) // 2] + (each.index / rate if rate else 0)
            expected = {
                "stage": stage.number,
                "key": _key(books, stage, each.index),
                "job_id": _job_id(str(row["key"])),
            }
            if not books.struck:
                expected["planned_at"] = Between(max(due - 1e-4, stage.began), due + 1e-4)
                expected["sent_at"] = Between(due - 0.01, each.answered)
            yield from named.differ(raw.SUBMITS, row, expected)


def _key(books: Books, stage: StageBook, place: int | None) -> str:
    """Return the Idempotency-Key of a place of the plan."""
    return f"{books.run.get('run_id')}-{stage.number}-{place}"


def _job_id(key: str) -> str:
    """Return the id of the job that an Idempotency-Key starts."""
    return f"job-{sha256(key.encode()).hexdigest()[:24]}"


def _shared(books: Books) -> Iterator[Finding]:
    """Expect that no two jobs have the same file, or one from the same address, unless a fault has
    swapped them."""
    first: dict[str, str] = {}
    for job in books.jobs:
        found = [("files.sha256", kind, each.sha256) for kind, each in job.files.items()]
        results = (result for run in job.executions for result in run.results)
        found += [("history.result", "source", each.get("source_url")) for each in results]
        for rule, kind, name in found if not job.has_fault("result") else ():
            if name and (other := first.setdefault(str(name), job.job_id)) != job.job_id:
                yield Subject(job.job_id, job.stage).found(rule, f"its {kind} is that of {other}")


def _foreign_jobs(books: Books, run: Subject) -> Iterator[Finding]:
    """Expect that each generation without a job of the run is of a foreign job, and of another
    prompt."""
    prompts = {job.submission.prompt: job.job_id for job in books.jobs if job.submission}
    known = {job.job_id: job.stage for job in books.jobs}
    made = {str(row.job_id) for rows in books.ledgers.values() for row in rows}
    # A place behind the plan's last one is the run's as well.
    for stage in books.stages if books.foreign_jobs else ():
        for place in range(stage.planned_jobs + len(books.foreign_jobs)):
            key = _key(books, stage, place)
            if (name := _job_id(key)) in books.foreign_jobs:
                text = f"it is listed as of another run, and has the key {key} of this run"
                yield Subject(name, stage.number).found("foreign.job_id", text)
    for name in sorted(books.foreign_jobs.keys() - made.union(*(s.holders for s in books.stages))):
        text = "the API was asked for it, and neither a vendor's ledger nor the slot shows it"
        yield Subject(name, run.stage).found("foreign.job_id", text)
    for row in books.foreign:
        nearest = str(row.external_id).split(".", 1)[0]
        theirs = books.foreign_jobs.get(row.job_id or "", {})
        if not theirs.get("known"):
            text = f"the {row.step} service made {row.external_id} ({row.vendor_id}) for no job"
            yield Subject(nearest, known.get(nearest, run.stage)).found("orphaned", text)
        elif row.prompt in prompts and not str(theirs.get("tag")).startswith("load-"):
            text = f"the {row.step} service made its prompt again, as {row.external_id}"
            yield Subject(prompts[str(row.prompt)], run.stage).found("duplicated", text)


def _totals(books: Books, step: str, run: Subject) -> Iterator[Finding]:
    """Expect that a mock's counts of the run agree with its rows."""
    body, (before, after) = mapping(books.vendors.get(step)), books.totals(step)
    bill = mapping(body.get("verdict"))
    if "accepted" not in before or "accepted" not in after:
        text = f"the {step} service's totals are not known at both ends of the run"
        yield run.found("vendors.stats", text)
        return
    yield from _bill(books, step, bill, float(after.get("speed") or 1.0))
    own = {job.job_id for job in books.jobs}
    made = [g for job in books.jobs for g in job.generations]
    charged = Counter(str(g.external_id) for g in made if g.charged and g.step == step)
    twice = bill.get("charged_twice")
    if isinstance(twice, list):
        # The mock's verdict has the double charges of other jobs, too.
        twice = sorted(str(i) for i in twice if str(i).split(".")[0] in own)
    grown = {name: whole(after.get(name)) - whole(before.get(name)) for name in GROWING}
    seen = {**body, "stats": after | grown, "verdict": bill | {"charged_twice": twice}}
    expected: dict[str, Any] = {
        "verdict.charged_twice": sorted(i for i, n in charged.items() if n > 1),
        "verdict.ok": not any(bill.get(name) for name in BILL),
        "faults_remembered": Number(0, whole(body.get("faults_recorded")), missing=True),
    }
    if "faults_recorded" in body:
        expected["faults_recorded"] = whole(after.get("faults_injected"))
    forgotten = whole(after.get("ledger_dropped")) > whole(before.get("ledger_dropped"))
    killed = books.was_killed(step)
    if grown["accepted"] < 0 and not killed:
        expected["stats.accepted"] = Number(0, None)
    elif not (forgotten or killed or _others_near(books, books.ledgers.get(step, []))):
        expected |= _counts(books, step)
    if (speed := _speed(books)) is not None:
        expected["stats.speed"] = speed
    yield from run.differ(raw.VENDORS, seen, expected, f"{step}.")


def _bill(books: Books, step: str, bill: dict[str, Any], speed: float) -> Iterator[Finding]:
    """Expect in the mock's verdict no callback that the ledger has as answered, and no file that
    was fetched after its time, unless a fault has cleared it or it is old."""
    ended = float(books.run.get("ended_at") or 0.0)
    rows = ((job, g) for job in books.jobs for g in job.generations if g.step == step)
    for job, made in rows:
        met = [f"{f.where}.{f.do}" for f in job.faults if f.external_id == made.external_id]
        old = made.finished is not None and (ended - made.finished) * speed > DAY
        # A delayed callback may arrive between the reading of the rows and of the verdict.
        late = any(each.startswith("callback.") for each in met)
        excused = {UNANSWERED: late, EXPIRED: old or "result.expire" in met}
        unanswered = {each.status for each in made.callbacks if not each.answered}
        for name in (name for name in excused if not excused[name]):
            for entry in bill.get(name) or []:
                key = str(mapping(entry).get("job_id", entry))
                named = made.vendor_id in key or made.external_id == key
                if named and mapping(entry).get("status") not in unanswered:
                    text = f"the bill has {entry}, and the ledger and its faults do not"
                    rule = f"vendors.{step}.verdict.{name}"
                    yield Subject(job.job_id, job.stage).found(rule, text)


def _speed(books: Books) -> Number | None:
    """Expect the speed by which the jobs got their limits, if the generations that nothing slowed
    down took their time by it, too."""
    waits = {float(run.limits.get("drain_seconds") or 0.0) for _, run in books.runs} - {0.0}
    wait = waits.pop() if len(waits) == 1 else 0.0
    if wait <= LEAST_DRAIN:
        return None
    speed = DRAIN_SECONDS / wait
    for step, nominal in NOMINAL.items():
        if not 0.98 < books.usual.get(step, 0.0) * speed / nominal < 1.05:
            return None
    return Number(0.99 * speed, 1.01 * speed)


def _counts(books: Books, step: str) -> dict[str, Any]:
    """Return what a mock should have counted."""
    (before, after), rows = books.totals(step), books.ledgers.get(step, [])
    began = float(books.run.get("began_at") or 0.0)
    goes_on = sum(row.finished is None and row.outcome is None for row in rows)
    ids = Counter(row.external_id for row in rows if row.external_id)
    accepted = sum((row.accepted or 0.0) >= began for row in rows)
    expected: dict[str, Any] = {
        "stats.accepted": accepted,
        "stats.charged": sum(row.charged for row in rows if (row.finished or 0.0) >= began),
        "stats.in_flight": goes_on,
        "stats.duplicates": sum(count - 1 for count in ids.values()),
        "verdict.open": goes_on,
    }
    kinds = {stage.name for stage in books.pipeline if stage.vendor == step}
    files = (each for job in books.jobs for each in job.rows.get(raw.FILES, ()))
    sizes = [whole(each.get("bytes")) for each in files if each.get("kind") in kinds]
    # Metadata of a file's making is not stored. A mock that is full forgets files.
    if accepted == len(sizes) and after.get("file_bytes", FULL) < FULL:
        expected["stats.file_bytes"] = Number(sum(sizes), None)
    if not after.get("ledger_dropped"):
        expected["verdict.charged"] = after.get("charged")
    if not (books.rules or books.replanned or books.run["plan"].get("faults")):
        most = max(books.limit or 1, whole(before.get("max_in_flight")))
        expected["stats.max_in_flight"] = Number(0, most)
    return expected


def _others_near(books: Books, rows: list[Generation]) -> bool:
    """True if a foreign generation came or went while the totals were read, as far as is known."""
    own = {job.job_id for job in books.jobs}
    others = (row for row in rows if row.job_id not in own)
    known = [r for r in others if books.foreign_jobs.get(str(r.job_id), {}).get("known")]
    moments = [at for row in known for at in (row.accepted, row.finished) if at is not None]
    began = float(books.run.get("began_at") or 0.0)
    ended = max((stage.ended for stage in books.stages), default=began)
    return any(abs(at - began) < SLOW or at > ended for at in moments)
