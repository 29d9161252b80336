"""What a run has tried, and which claims of the README it has shown, by the books only."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from statistics import median
from typing import NamedTuple
from urllib.parse import urlsplit

from loadtest.books.facts import mapping
from loadtest.books.model import Books
from loadtest.judge import conserved
from loadtest.judge.clocks import API
from loadtest.judge.fates import AGAIN, GONE, MADE_GOOD
from loadtest.judge.intervals import IN_WORDS, VENDORS, Interval, sweep
from loadtest.judge.judge import Judgement
from loadtest.judge.processes import TIMEOUT, at_work, left, written

# An early one is no harm: a vendor may be quicker than its answer.
HARMS = (MADE_GOOD, "late", "duplicate", "out_of_order", "rejected", "unknown", AGAIN, GONE)
# Faults after which a result is not whole; a redirected or late one is.
DAMAGE = ("reset", "truncate", "empty", "corrupt")
REAL = 5.0
"""Seconds that the median generation of a real vendor takes at least."""
SILENT = "services that do not answer"
UNSENT = "without mocks it is not known what was sent"


@dataclass(frozen=True, slots=True)
class Tried:
    """One thing that could be tried; `tried` is None if there is nothing to try."""

    name: str
    tried: bool | None
    text: str
    by: str


class Fired(NamedTuple):
    """A fault rule of the run, and how often it met a job by the mocks' trace."""

    service: str
    name: str
    effects: str
    armed: bool
    fired: int


def tried(judgement: Judgement) -> list[Tried]:
    """Return everything that a run can try, and what this one did."""
    return [*_setting(judgement), *_harm_to_services(judgement), *_harm_by_vendors(judgement)]


def rules(judgement: Judgement) -> list[Fired]:
    """Return the rules that were armed as the run began, and any other that the trace names."""
    met = Counter(
        (fault.service, fault.rule) for job in judgement.books.jobs for fault in job.faults
    )
    known = {(each.service, each.name): each for each in judgement.books.rules if each.applies}
    found = [Fired(*key, each.place, True, met[key]) for key, each in known.items()]
    later = (item for item in sorted(met.items()) if item[0] not in known)
    return found + [Fired(*key, "–", False, fired) for key, fired in later]


def unmet(judgement: Judgement) -> str | None:
    """Return what is said of a run whose armed rules met no job, and so show nothing."""
    armed = [rule for rule in rules(judgement) if rule.armed]
    if not armed or any(rule.fired for rule in armed):
        return None
    names = ", ".join(sorted({rule.name for rule in armed}))
    return f"armed, and met no job: {names}; the mocks count jobs on until they are reset (RESET=1)"


def kills(judgement: Judgement) -> int:
    """Return how many workers were replaced, by the histories and by their own metrics.

    By the histories, one began only after another one's last task, or one left a job to another one
    and took no further task; by the metrics, a worker restarted or did not answer. A stage with
    strikes shows no metrics.
    """
    books = judgement.books
    if books.processes and books.steady.issuperset(books.workers):
        return 0
    times = at_work(books)
    replaced = len(times) - sweep(times).most
    return max(replaced, len({name for _, name, _ in left(books)}))


def fates(judgement: Judgement) -> Counter[str]:
    """Count the callbacks of all stages by their fates."""
    return sum((stage.callbacks.fates for stage in judgement.stages), Counter[str]())


def _setting(judgement: Judgement) -> Iterator[Tried]:
    """Return how many processes and machines there were, how fast vendors, how much demand."""
    books, stages = judgement.books, judgement.books.stages
    shown = sum(bool(books.processes[name]) for name in books.workers)
    worked = len(at_work(books))
    text = f"{worked} process(es) took tasks; {shown} showed metrics to the runner"
    yield Tried("several workers", min(shown, worked) > 1, text, "runner, Temporal")
    hosts = books.hosts
    text = f"services by {len(hosts)} host names: containers, or several machines"
    if len(hosts) < 2:
        one = "all services by one host name: processes of one machine"
        text = one if hosts else "no history tells"
    yield Tried("mode", None, text, "Temporal")
    stats = [mapping(mapping(books.vendors.get(step)).get("stats")) for step in books.mocks]
    text = f"mocks of: {', '.join(books.mocks)}" if stats else "no mocks were on"
    seconds = [made.seconds for job in books.jobs for made in job.generations if made.good]
    # Without a ledger, a generation took at most its share of the job's hold.
    seconds = seconds or [
        (run.closed - run.granted) / len(books.pipeline)
        for _, run in books.granted()
        if run.closed is not None and run.granted is not None
    ]
    quick = bool(seconds) and median(seconds) < REAL
    results = (result for _, run in books.runs for result in run.results)
    hosts = {urlsplit(str(each.get("source_url") or "")).netloc for each in results}
    if origins := sorted(filter(None, hosts)):
        text = f"{text}; results came from {', '.join(origins)}"
    if seconds:
        text = f"{text}; a generation took {median(seconds):.2g} s (median)"
    real = not quick and all(each.get("speed") == 1 for each in stats)
    by = "ledgers" if stats else "runner"
    yield Tried("vendors at their real speed", real, text, by)
    waiting = max((s.waiting or 0 for stage in stages for s in stage.samples), default=0)
    limits = ", ".join(sorted({str(stage.limit) for stage in stages}))
    text = f"at most {waiting} waited in a sample, with a limit of {limits}"
    wanted = any(_most_open(books, stage.number) > (stage.limit or 0) for stage in stages)
    yield Tried("more jobs than places", wanted, text, "slot, runner")


def _most_open(books: Books, stage: int) -> int:
    """Return the most jobs of a stage that were open at once, by the histories."""
    own = (run for job, run in books.runs if job.stage == stage and run.started is not None)
    return sweep(Interval("", run.started or 0.0, run.closed or inf) for run in own).most


def _harm_to_services(judgement: Judgement) -> Iterator[Tried]:
    """Return the processes that were killed, did not answer while others did, or cut the feed."""
    books = judgement.books
    restarts = {name: len(books.restarts(name)) for name in books.processes}
    said = [f"{name} restarted {count} time(s)" for name, count in restarts.items() if count]
    if killed := kills(judgement):
        said.append(f"{killed} worker(s) replaced")
    text = "; ".join(said) or "no process restarted"
    by_two = killed or any(
        len({name for _, name, _ in rows}) > 1 for rows in written(books).values()
    )
    text = text if by_two or not said else f"{text}, as only metrics say"
    yield Tried("kills and restarts", bool(by_two and said), text, "runner, Temporal")
    answered = {name: len(samples) for name, samples in books.processes.items()}
    rounds = max(answered.values(), default=0)
    missed = [
        f"{name} answered {n} of {rounds} times" for name, n in answered.items() if n < rounds
    ]
    text = ", ".join(missed) or f"all answered {rounds} times"
    yield Tried(SILENT, bool(missed), text, "runner")
    cuts = sum(max(0, stage.feeds - 1) for stage in books.stages)
    again = sum(max(0, each.tries - 1) for job in books.jobs for each in job.submissions)
    text = f"the live feed was cut {cuts} time(s), {again} submission(s) were repeated"
    away = answered.get(API, 0) < rounds or bool(books.restarts(API))
    text = text if away or not (cuts or again) else f"{text}, and the API answered throughout"
    yield Tried("an API that is away", away and bool(cuts or again), text, "runner")


def _harm_by_vendors(judgement: Judgement) -> Iterator[Tried]:
    """Return the faults, and the callbacks that went wrong."""
    books, known = judgement.books, rules(judgement)
    armed, fired = sum(rule.armed for rule in known), [rule for rule in known if rule.fired]
    times = sum(rule.fired for rule in fired)
    text = f"{armed} rule(s) armed, {len(fired)} of them met a job, {times} times in all"
    text = text if known else "none armed, none met"
    text = text if books.mocks else "only mocks can be made to misbehave"
    yield Tried("faults of vendors", bool(books.mocks and fired), text, "ledgers")
    found, called = fates(judgement), {each.name for each in books.pipeline if each.called_back}
    made = [row for job in books.jobs for row in job.generations if row.step in called]
    harms = [f"{found[fate]} {fate.replace('_', ' ')}" for fate in HARMS if found[fate]]
    text = ", ".join(harms) or f"none of {found.total()}"
    if not books.callbacks_known:
        harms, text = [], UNSENT
    elif made and not any(row.calls_back for row in made):
        harms, text = [], "the vendor had no callback address: every end was polled"
    yield Tried("callbacks that go wrong", bool(harms), text, "ledgers, receipts")


SHOWN, PARTLY = "shown by this run", "shown in part by this run"
NOT_TRIED, BROKEN = "not exercised by this run", "broken by this run"

Assessed = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim, what this run says of it, and by what."""

    text: str
    state: str
    why: str


def claims(judgement: Judgement) -> list[Claim]:
    """Return every claim of the README, in its order; faults that met no job have shown none."""
    why, found = unmet(judgement), []
    for text, assess in CLAIMS.items():
        state, reason = assess(judgement)
        if why is not None and state == SHOWN:
            state, reason = NOT_TRIED, why
        found.append(Claim(text, state, reason))
    return found


def _at_once(judgement: Judgement) -> Assessed:
    if any(sweep.violations for stage in judgement.stages for sweep in stage.at_once.values()):
        return BROKEN, "more at once than the limit, see the concurrency proof"
    most = {each.number: _most_open(judgement.books, each.number) for each in judgement.stages}
    wanted = [each for each in judgement.stages if most[each.number] > (each.limit or 0)]
    if not wanted:
        return NOT_TRIED, "no stage had more jobs than places"
    stage = max(wanted, key=lambda each: most[each.number])
    shown = {name: each for name, each in stage.at_once.items() if each.intervals}
    if not judgement.books.mocked:
        # One vendor's book shows what ran at once at this one.
        shown.pop(VENDORS, None)
    counts = [f"by {IN_WORDS[book]} {each.most}" for book, each in shown.items()]
    text = f"{most[stage.number]} jobs wanted {stage.limit} place(s)"
    state = SHOWN if counts else NOT_TRIED
    return state, f"{text}; most at once: {', '.join(counts) or 'unknown'}"


def _none_lost(judgement: Judgement) -> Assessed:
    if named := _found(judgement, conserved.LOST, conserved.DUPLICATED, conserved.ORPHANED):
        return BROKEN, f"{named} finding(s), see the conservation ledger"
    jobs = sum(stage.counts["submitted"] for stage in judgement.stages)
    if unread := sorted(judgement.books.unread):
        return NOT_TRIED, f"not all books could be read: {', '.join(unread)}"
    if not jobs or _found(judgement, conserved.STILL_OPEN):
        return NOT_TRIED, "jobs are missing or still open"
    return SHOWN, f"{jobs} jobs submitted, and the same {jobs} in every book"


def _paid_once(judgement: Judgement) -> Assessed:
    if named := _found(judgement, conserved.CHARGED_TWICE):
        return BROKEN, f"{named} finding(s), see the conservation ledger"
    if not judgement.books.mocked:
        return NOT_TRIED, "the vendors' own books are absent"
    jobs = judgement.books.jobs
    made = sum(len(job.generations) for job in jobs)
    faults = (fault for job in jobs for fault in job.faults)
    # Of a refused one it is certain that nothing was accepted.
    submits = sum(fault.where == "submit" and fault.do != "refuse" for fault in faults)
    again = sum(max(0, a.attempt - 1) for job in jobs for a in job.activities)
    occasions = f"{submits} submit(s) in doubt, {again} call(s) repeated"
    text = f"{made} generations, each charged once at the most; {occasions}"
    # A call that is repeated has a reason that others know of.
    return (SHOWN if submits or (again and kills(judgement)) else NOT_TRIED), text


def _callbacks_harmless(judgement: Judgement) -> Assessed:
    if named := _found(judgement, conserved.CALLBACK_LOST, conserved.ORPHANED):
        return BROKEN, f"{named} finding(s), see the callback fates"
    if not judgement.books.callbacks_known:
        return NOT_TRIED, UNSENT
    found = fates(judgement)
    counts = {"lost": found[MADE_GOOD], "late": found["late"], "doubled": found["duplicate"]}
    text = ", ".join(f"{count or 'none'} {name}" for name, count in counts.items())
    if all(counts.values()):
        return SHOWN, text
    return (PARTLY if any(counts.values()) else NOT_TRIED), text


def _taken_over(judgement: Judgement) -> Assessed:
    killed, changed = kills(judgement), {job.job_id for job, _, _ in left(judgement.books)}
    struck = [
        job
        for job in judgement.books.jobs
        if job.job_id in changed or any(a.error_class == TIMEOUT for a in job.activities)
    ]
    if not killed:
        return (
            NOT_TRIED,
            f"no worker was replaced, of {len(at_work(judgement.books))} that took tasks",
        )
    text = f"{killed} worker(s) replaced, {len(struck)} job(s) were in their hands"
    if any(not job.ended for job in struck):
        return BROKEN, f"{text}, not all of which have ended"
    return (SHOWN if struck else PARTLY), text


def _whole(judgement: Judgement) -> Assessed:
    if named := _found(judgement, "files"):
        return BROKEN, f"{named} finding(s), see the conservation ledger"
    jobs = judgement.books.jobs
    # A job that failed lacks its file; a file that should be there and is not whole is a finding.
    files = [each for job in jobs if job.ended for each in job.files.values()]
    stored = [each for each in files if each.problem is None]
    faults = [fault for job in jobs for fault in job.faults]
    harmed = sum(fault.where == "result" and fault.do in DAMAGE for fault in faults)
    text = f"{len(stored)} files read, {harmed} result(s) came damaged before"
    return (SHOWN if stored else NOT_TRIED), text


def _found(judgement: Judgement, *of: str) -> int:
    return sum(finding.rule.startswith(of) for finding in judgement.findings)


CLAIMS: dict[str, Callable[[Judgement], Assessed]] = {
    "never more jobs at once than the limit": _at_once,
    "no job lost or doubled": _none_lost,
    "no generation paid twice": _paid_once,
    "a lost, late or doubled callback changes nothing": _callbacks_harmless,
    "a killed worker's job goes on elsewhere": _taken_over,
    "stored files are whole": _whole,
}
