"""Books to violations, by name; nothing here asks the system under test for its opinion."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from loadtest.books.model import ENDS, JobFacts
from loadtest.judge import judge as kinds
from loadtest.judge.clocks import clocks
from loadtest.judge.compare import Finding
from loadtest.judge.intervals import Interval, by_book, sweep
from loadtest.times import duration, timestamp
from tests.chaos.books import Done, Evidence
from tests.chaos.ends import badly_ended, inversions, spoilt_records


class Rule(StrEnum):
    """What must hold of every run; a violation carries the rule's name."""

    AT_ONCE = "no more at once than the limit"
    PERMITTED = "only a permit leads to the vendors"
    TOKENS = "tokens never fall back"
    PAID_ONCE = "nothing is paid or made twice"
    NONE_LOST = "no job is lost or doubled"
    ALL_END = "every job and every grant ends"
    NOBODY_HELD = "nobody holds or waits at the end"
    ORDER = "first come, first served"
    RECORDS = "records are whole and say what the workflow says"
    ENDS = "a job ends as what was done to it demands"
    REPLAYS = "every history replays with the current code"
    TAIL = "after the last fault all goes its normal way"
    READ = "every book can be read"


@dataclass(frozen=True)
class Violation:
    """One rule broken, by whom (a job's id, or a book), and how."""

    rule: Rule
    who: str
    text: str


def violations(evidence: Evidence) -> list[Violation]:
    """Everything in the books that breaks a rule; an empty list is the proof."""
    return [Violation(rule, who, text) for rule, check in _CHECKS for who, text in check(evidence)]


Found = Iterator[tuple[str, str]]


def _at_once(evidence: Evidence) -> Found:
    """Sweeps over the mocks' clocks, the histories and the records; they must agree."""
    books = evidence.books
    limit = max((stage.limit or 1 for stage in books.stages), default=1)
    for book, intervals in (
        by_book(books, clocks(books).offsets) | {"semaphores": list(_by_semaphores(evidence))}
    ).items():
        swept = sweep(intervals, limit)
        for pair in swept.pairs[:1]:
            yield (
                pair.second,
                f"ran beside {pair.first} for {duration(pair.end - pair.begin)} from"
                f" {timestamp(pair.begin)} by the {book}' clock; {swept.violations} in all,"
                f" most at once {swept.most}, limit {limit}",
            )


def _by_semaphores(evidence: Evidence) -> Iterator[Interval]:
    """From the semaphore's decision, which comes before its word to the job, to the run's close."""
    horizon = max((stage.ended for stage in evidence.books.stages), default=0.0)
    for job in evidence.books.jobs:
        for run in job.executions:
            if (at := evidence.grants.get(run.run_id)) is not None:
                yield Interval(job.job_id, at, max(at, run.closed or horizon))


def _permitted(evidence: Evidence) -> Found:
    """By the semaphore's own history, where a job was ended before it could hear of its permit."""
    for job in evidence.books.jobs:
        runs = {run.run_id for run in job.executions} | {job.record.run_id if job.record else None}
        granted = any(run.granted for run in job.executions) or runs & evidence.grants.keys()
        if job.generations and not granted:
            yield job.job_id, "used the vendors, and no history shows that the slot was its own"


def _tokens(evidence: Evidence) -> Found:
    """The vendors never see a smaller token after a larger one (where one runs at a time)."""
    if any((stage.limit or 1) > 1 for stage in evidence.books.stages):
        return
    rows = [g for job in evidence.books.jobs for g in job.generations if g.accepted is not None]
    highest, whose = -1, ""
    for row in sorted(rows, key=lambda row: row.accepted or 0.0):
        if row.token is None:
            yield str(row.external_id), "came without a token"
        elif row.token < highest:
            yield str(row.external_id), f"came with token {row.token} after {highest} of {whose}"
        else:
            highest, whose = row.token, str(row.external_id)


def _of_kinds(evidence: Evidence, *wanted: str) -> Found:
    for finding in evidence.findings:
        if finding.rule in wanted and not _is_by_hand(finding, evidence):
            yield finding.job_id, finding.text


def _is_by_hand(finding: Finding, evidence: Evidence) -> bool:
    """A second run is of a reset or of a start by hand, and a deleted history is nowhere."""
    done = evidence.done_to(finding.job_id)
    if finding.text.endswith("runs in Temporal"):
        return not done.isdisjoint({Done.RESET, Done.START_AGAIN})
    return finding.text == "no history in Temporal" and Done.DELETE in done


def _paid_once(evidence: Evidence) -> Found:
    yield from _of_kinds(evidence, kinds.CHARGED_TWICE)
    for job in evidence.books.jobs:
        seen: set[str] = set()
        for generation in job.generations:
            name = str(generation.external_id)
            if name in seen:
                yield job.job_id, f"the {generation.step} service was given {name} again"
            seen.add(name)


def _none_lost(evidence: Evidence) -> Found:
    yield from _of_kinds(evidence, kinds.LOST, kinds.DUPLICATED, kinds.ORPHANED)
    for stage in evidence.books.stages:
        for refused in stage.refused:
            yield "", f"submission {refused.index} was refused: {refused.problem}"
    if not evidence.books.jobs:
        yield "", "there are no jobs in the books"


def _all_end(evidence: Evidence) -> Found:
    yield from _of_kinds(evidence, kinds.STILL_OPEN, kinds.LEFT_OPEN)
    for job in evidence.books.jobs:
        for text in _open(job):
            yield job.job_id, text


def _open(job: JobFacts) -> Iterator[str]:
    if job.record and not job.record.problem and job.record.status not in ENDS:
        yield f"its record still says {job.record.status}"
    for run in job.executions:
        if run.closed is None:
            held = ", and it holds a permit" if run.granted else ""
            yield f"run {run.run_id} is open in Temporal{held}"


def _nobody_held(evidence: Evidence) -> Found:
    for holder in evidence.slots.get("holders") or []:
        yield str(holder.get("job_id")), f"holds the slot (draining: {holder.get('draining')})"
    if waiting := evidence.slots.get("waiting_count"):
        yield "", f"{waiting} wait in the semaphore's queue"


def _replays(evidence: Evidence) -> Found:
    found = evidence.books.replay
    if found is None:
        yield "", "no history was replayed"
        return
    for job_id, why in found["failures"].items():
        yield str(job_id), str(why)
    if found["replayed"] != found["kept"]:
        yield "", f"{found['replayed']} of {found['kept']} histories replay"


def _tail(evidence: Evidence) -> Found:
    """The last jobs had no fault around them: each succeeds, at its first attempts."""
    jobs = {job.job_id: job for job in evidence.books.jobs}
    for job_id in sorted(evidence.tail):
        job = jobs.get(job_id)
        status = job.record.status if job and job.record else None
        if job is None or status != "succeeded":
            yield job_id, f"submitted after the last fault, ended {status}"
        elif len(job.generations) != 2:
            yield job_id, f"took {len(job.generations)} generations without any fault"


def _read(evidence: Evidence) -> Found:
    for problem in evidence.books.run.get("unread") or []:
        yield "", str(problem)
    for step, vendor in evidence.books.vendors.items():
        if dropped := (vendor.get("stats") or {}).get("ledger_dropped"):
            yield step, f"its ledger has dropped {dropped} rows"


_CHECKS: tuple[tuple[Rule, Callable[[Evidence], Found]], ...] = (
    (Rule.AT_ONCE, _at_once),
    (Rule.PERMITTED, _permitted),
    (Rule.TOKENS, _tokens),
    (Rule.PAID_ONCE, _paid_once),
    (Rule.NONE_LOST, _none_lost),
    (Rule.ALL_END, _all_end),
    (Rule.NOBODY_HELD, _nobody_held),
    (Rule.ORDER, inversions),
    (Rule.RECORDS, spoilt_records),
    (Rule.ENDS, badly_ended),
    (Rule.REPLAYS, _replays),
    (Rule.TAIL, _tail),
    (Rule.READ, _read),
)
