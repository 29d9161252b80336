"""Hold what the product waits against the run's own pace: each wait by its median over the jobs.

A wait leads from an instant of one witness to an instant of another one. Only jobs that nothing
disturbed count, and nothing is held where they are few: a slow machine slows the pace, too.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import chain, zip_longest
from math import inf
from statistics import median
from typing import NamedTuple

from loadtest.books import raw
from loadtest.books.executions import GRANTED, PROGRESS, Execution, task_of
from loadtest.books.facts import Generation, mapping
from loadtest.books.model import PROCESSES, Books, JobFacts, StageBook, Step
from loadtest.judge import processes
from loadtest.judge.callbacks import cause_of
from loadtest.judge.clocks import SERVER, Clocks
from loadtest.judge.compare import Finding, Subject
from loadtest.judge.ledgers import ENDS
from loadtest.judge.reference import BACK_OFF, BEGINS
from loadtest.judge.shown import FEW
from loadtest.judge.slot import freed
from loadtest.times import duration, instant, timestamp

LEAST = 3
"""Jobs that a median is taken of, at least."""
MANY = 9
"""Jobs of which a third may not wait for twice as long as the median may, at least."""
NAMED = 5
"""Jobs that a finding names: those that waited longest."""
HARMLESS = ("callback", "start.slow")
"""Faults that disturb no wait but that for the end, which a poll notices then."""
POLL_SHARE = 0.1
"""A generation that is only polled is asked for at the latest after this share of its time."""
FRAMES = 3
"""Submissions, one behind the other, that take as long as a frame may: the same API answers."""
ANSWERED = 0.4
"""Seconds in which a wait's first poll is answered."""
UNSEEN = 0.1
"""Seconds that a version must last at least so that the feed shows it before the next one."""
POINTS, AHEAD = 0.03, 0.02
"""Shares of its generation that a report may be off, beside the report's way, and ahead."""


SIGNALLED = 1.0
"""Seconds after which the receiver refuses a callback whose signal the server has not confirmed."""
GONE, EARLY = ALONE = ("gone", "early")
"""The waits that convict a job alone: no slow machine lengthens them."""
STEP, FILE = (0.3, 12.0), (1.0, 30.0)
"""What the product does at once, and what moves files."""
BOUNDS = {
    "permit": (*STEP, "from a free slot to its permit"),
    "order": (*STEP, "from its permit to the order"),
    "acceptance": (*STEP, "from the order to the vendor's acceptance"),
    "stage": (*FILE, "from a generation's end to the next stage's order"),
    "sent": (*STEP, "from a task's change to the callback that reports it"),
    "callback": (*STEP, "from a callback's sending to its signal, or without one to its end"),
    "heard": (*FILE, "from the signal of a failure to the pause before the next attempt"),
    "refused": (0, 12, "less than the receiver's second for a signal, which came, to its refusal"),
    "adoption": (*STEP, "from a try's start until it had what its vendor had before it"),
    "end": (*FILE, "from the last generation's end to the close of its run"),
    "close": (*STEP, "from its last version to the close of its run"),
    "poll": (0, 0, "less than the order's pause between polls for a poll to end its wait"),
    "percent": (0.1, 4, "of its generation's time between a report's percent and the true one"),
    GONE: (1, 12, "from its vendor's report of an end to its own, and a worker was gone then"),
    EARLY: (0, 0, "of its generation's time by which a report's percent is ahead of it"),
    "feed": (1, 12, "from a version to the frame that shows it"),
    "begin": (0, 0, "from a version to the frame of the one before, which begins an attempt"),
}
"""The most that a wait may have: seconds, and plain hops of the run; and the wait in words."""


class Wait(NamedTuple):
    """A wait of a job, less what it may last for other reasons; `of` tells several apart."""

    kind: str
    of: str
    job: JobFacts
    seconds: float


class Pace(NamedTuple):
    """The plain hop of the run, and the time in which the API answers a submission, in seconds."""

    hop: float
    answer: float

    def bound(self, kind: str) -> float:
        """Return the most seconds that the median of a wait may have."""
        seconds, hops, _ = BOUNDS[kind]
        return seconds + hops * self.hop + (FRAMES * self.answer if kind == "feed" else 0.0)


def of_run(books: Books, clocks: Clocks) -> Iterator[Finding]:
    """Find waits far beyond the run's pace, and jobs that the feed held back."""
    yield from _unheard(books)
    well = [job for job in books.jobs if _is_good(job)]
    good = [job for job in well if not (job.executions[0].discarded or job.executions[0].untaken)]
    restarts = sorted(chain.from_iterable(map(books.restarts, books.processes)))
    still = [job for job in good if not _during(job.executions[0], restarts)]
    calm = [job for job in still if _is_plain(job, books)]
    pace = None if books.struck else _pace(books)
    if pace is None:
        return
    waits = chain(
        *(_gone(job, books, clocks) for job in good if _is_plain(job, books)),
        _permits(books, calm),
        *(_of_job(job, books, clocks) for job in calm),
        *(_adopted(job, clocks) for job in still if not job.has_fault("poll")),
        *(_signalled(job, clocks) for job in still if not job.has_fault("callback")),
        *(_percent(job, books, clocks, calm=_is_plain(job, books)) for job in well),
        _frames(books, calm),
    )
    found = defaultdict[tuple[str, str], dict[str, list[Wait]]](lambda: defaultdict(list))
    for wait in waits:
        found[wait.kind, wait.of][wait.job.job_id].append(wait)
    for (kind, _), jobs in found.items():
        # One value of each job, so that no job counts twice.
        values = {name: median(each.seconds for each in own) for name, own in jobs.items()}
        usual, bound, share = median(values.values()), pace.bound(kind), "median"
        if kind in ALONE:
            usual, share = max(values.values()), "longest"
        elif usual <= bound and len(values) >= MANY and bound:
            usual = sorted(values.values())[-(len(values) // 3)]
            bound, share = 2 * bound, "upper third"
        if usual <= bound or (len(values) < LEAST and kind not in ALONE):
            continue
        longest = sorted(values, key=values.__getitem__, reverse=True)[:NAMED]
        for name in (name for name in longest if values[name] > bound):
            text = (
                f"it took {duration(values[name])} {BOUNDS[kind][2]}: the {share} of "
                f"{len(values)} jobs is {duration(usual)}, and at most {duration(bound)} fits a "
                f"run whose plain hop takes {duration(pace.hop)}"
            )
            subject = Subject(name, jobs[name][0].job.stage)
            yield subject.found(f"waits.{kind}", text, duration(bound), duration(values[name]))
    if len(calm) >= LEAST:
        yield from _silent(books)


def _unheard(books: Books) -> Iterator[Finding]:
    """Expect that most jobs have no call that was given up again and again for want of heartbeats
    while no process had stopped."""
    tries = [
        (sum(each.attempt - 1 for each in job.activities if each.silence and each.attempt), job)
        for job in (books.jobs if books.calm else ())
    ]
    usual = median(count for count, _ in tries) if len(tries) >= LEAST else 0
    for count, job in tries:
        if usual > 1 and count >= usual:
            text = f"{count} tries were given up for want of heartbeats, and nothing had stopped"
            yield Subject(job.job_id, job.stage).found("waits.heartbeats", text, 0, count)


def _pace(books: Books) -> Pace | None:
    """Return the run's pace; with gates no activity follows another one, and the way of an activity
    to its worker is half a hop. Where each was tried again, the API's answers tell."""
    hops = [hop for _, run in books.runs for hop in run.hops]
    tries = [each for _, run in books.runs for each in run.activities if each.attempt == 1]
    ways = [2 * (each.started - each.scheduled) for each in tries if each.started is not None]
    answers = [each.answered - each.sent for job in books.jobs for each in job.submissions]
    if not answers:
        return None
    ways = ways or answers
    return Pace(max(median(hops or ways), median(ways)), median(answers))


def _is_good(job: JobFacts) -> bool:
    """Whether the job succeeded in one run."""
    [run, *more] = job.executions or [Execution(job.job_id)]
    return (job.status, run.status) == ("succeeded", "COMPLETED") and not more


def _during(run: Execution, moments: list[float]) -> bool:
    return any((run.started or 0.0) <= at <= (run.closed or inf) for at in moments)


def _is_plain(job: JobFacts, books: Books) -> bool:
    """Whether it took one try of everything and met no fault."""
    [run] = job.executions
    once = all(each.attempt < 2 for each in run.activities)
    faults = all(f"{each.where}.{each.do}".startswith(HARMLESS) for each in job.faults)
    names = [each.name for each in books.pipeline]
    return once and faults and [each.step for each in run.orders] == names


def _gone(job: JobFacts, books: Books, clocks: Clocks) -> Iterator[Wait]:
    """Return how long an activity took for an end that its vendor had reported while a worker was
    gone: it was in the hands of that one, and its history knows of no other try."""
    starts = [each for name in books.workers for each in processes.starts(books, name)]
    made = {each.vendor_id: each for each in job.generations}
    for each in job.executions[0].activities:
        row = made.get(task_of(each.result)) if each.result.get("asset") else None
        since = instant(row.row.get("reported_at")) if row is not None else None
        if row is None or since is None or each.ended is None:
            continue
        if any(s.certain and s.since < each.ended and since < s.until for s in starts):
            took = each.ended - since - clocks.between(SERVER, row.step)
            yield Wait(GONE, row.external_id or "", job, took)


def _adopted(job: JobFacts, clocks: Clocks) -> Iterator[Wait]:
    """Return how long each try took that submitted nothing: its vendor had the generation."""
    made = {each.external_id: each for each in job.generations}
    for each in job.executions[0].activities:
        row, again = made.get(each.external_id), each.attempt > 1 and "accepted_at" in each.result
        known = (row.accepted or inf) + clocks.between(row.step, SERVER) if row and again else inf
        if row and each.started and known < each.started:
            yield Wait("adoption", row.wanted, job, (each.ended or inf) - each.started)


def _permits(books: Books, calm: list[JobFacts]) -> Iterator[Wait]:
    """Return how long the slot was free for each job that had asked for it. Who else holds it is
    not known, so nothing is if somebody does."""
    known = {job.job_id for job in books.jobs}
    if not books.limit or any(
        not known.issuperset(sample.holders) for stage in books.stages for sample in stage.samples
    ):
        return
    quiet = {job.job_id for job in calm}
    for job, run, since, by in freed(books):
        if run.heard is not None and {job.job_id, by or job.job_id} <= quiet:
            yield Wait("permit", "", job, (run.granted or 0.0) - max(run.heard, since))


def _of_job(job: JobFacts, books: Books, clocks: Clocks) -> Iterator[Wait]:
    """Return what a job waited from its permit to its close, and its callbacks until they were
    signalled."""
    [run] = job.executions
    permits = [signal.at for signal in run.signals if signal.name.startswith(GRANTED)]
    done: float | None = None
    for stage in books.pipeline:
        order = next(each for each in run.orders if each.step == stage.name)
        # A gate's permit comes between.
        permit = max((at for at in permits if at <= order.at), default=order.at)
        if stage is books.pipeline[0]:
            yield Wait("order", stage.name, job, order.at - permit)
        elif done is not None:
            yield Wait("stage", stage.name, job, order.at - max(done, permit))
        done = None
        for made in job.of(stage.name) if len(job.of(stage.name)) == 1 else ():
            if made.accepted is not None and made.finished is not None:
                late = clocks.between(made.step, SERVER)
                yield Wait("acceptance", stage.name, job, made.accepted - order.at - late)
                done = made.finished + _noticed(stage, made, job, run)
                done += clocks.between(SERVER, made.step)
    if run.closed is None:
        return
    if done is not None and run.versions:
        yield Wait("end", "", job, run.closed - done)
    if run.versions:
        yield Wait("close", "", job, run.closed - max(run.versions).at)
    yield from _polls(job, run, clocks)


def _noticed(stage: Step, made: Generation, job: JobFacts, run: Execution) -> float:
    """Return the seconds after which a generation's end is noticed without a callback."""
    limits = next((each.limits for each in run.activities if each.stage == stage.name), {})
    if made.seconds > float(limits.get("deadline") or inf):
        # A late one is polled less often.
        return inf
    if not stage.called_back:
        return POLL_SHARE * made.seconds
    called = {signal.change[0] for signal in run.called_back}
    if made.vendor_id in called and not job.has_fault("callback"):
        return 0.0
    return float(limits.get("poll") or inf)


def _signalled(job: JobFacts, clocks: Clocks) -> Iterator[Wait]:
    """Return how long each callback that was sent once took to its signal; one of an end without a
    signal, to the end of its attempt."""
    [run] = job.executions
    signals = defaultdict[tuple[str, str], list[float]](list)
    for signal in run.called_back:
        signals[signal.change].append(signal.at)
    for made in job.generations:
        sent = Counter(each.status for each in made.callbacks)
        own = (each for each in run.orders if each.step == made.wanted)
        later = [each.at for each in own if each.attempt > (made.attempt or 0)]
        end = min(later, default=run.closed or 0.0)
        for each in made.callbacks:
            at, cause = signals[made.vendor_id, each.status], cause_of(made, each)
            if each.sent is None or cause is None:
                continue
            of = f"{each.status} {made.attempt}"
            yield Wait("sent", of, job, each.sent - cause)
            if at:
                refused = (each.reply or 0) >= 500
                yield Wait("refused", of, job, refused and SIGNALLED - (at[0] - each.sent))
                if later and not job.has_fault("submit", "poll", "progress", "result"):
                    yield Wait("heard", of, job, end - at[0] - BACK_OFF * (made.attempt or 0))
            at = at or [max(end, each.sent)] * (each.status in ENDS)
            if (len(at), sent[each.status]) == (1, 1):
                waited = at[0] - each.sent - clocks.between(SERVER, made.step)
                yield Wait("callback", of, job, waited)


def _polls(job: JobFacts, run: Execution, clocks: Clocks) -> Iterator[Wait]:
    """Return how much shorter than the pause between polls each wait was that no callback and no
    first poll has ended."""
    made = {each.vendor_id: each for each in job.generations}
    for each in run.activities:
        poll, end = each.limits.get("poll"), made.get(each.awaited)
        plain = each.body.get("hinted") is False and each.outcome == "completed"
        if poll is None or end is None or end.finished is None or not plain:
            continue
        started, ended = each.started or 0.0, each.ended or 0.0
        first = started + ANSWERED + clocks.between(end.step, SERVER)
        if first < end.finished < ended:
            yield Wait("poll", "", job, float(poll) - (ended - started))


def _fed(books: Books) -> list[StageBook]:
    """Return the stages whose feed was never cut and lags behind for no listener; of records in a
    bucket it learns by polling."""
    if mapping(books.run.get("environment")).get("store", "folder") != "folder":
        return []
    return [each for each in books.stages if each.feeds == 1 and len(each.jobs) <= FEW]


def _shown(job: JobFacts) -> dict[int, float]:
    """Return when each version of a job was shown first."""
    first: dict[int, float] = {}
    for row in job.rows.get(raw.FRAMES, ()):
        if (at := instant(row.get("at"))) is not None and isinstance(row.get("version"), int):
            first.setdefault(row["version"], at)
    return first


def _frames(books: Books, calm: list[JobFacts]) -> Iterator[Wait]:
    """Return how long each version that was shown had waited for its frame; and each that begins
    an attempt, from the next version on, if it lasts longer than others waited for their frames."""
    numbers, lags = {stage.number for stage in _fed(books)}, list[float]()
    lasted = list[tuple[float, Wait]]()
    for job in (job for job in calm if job.stage in numbers):
        shown, versions = _shown(job), job.executions[0].versions
        begins = {each.version for each in versions if BEGINS.fullmatch(each.note)}
        for change, after in zip_longest(job.changes, job.changes[1:]):
            if change.at is None or change.version not in shown:
                continue
            at = shown[change.version]
            yield Wait("feed", "", job, at - change.at)
            if change.version not in begins:
                lags.append(at - change.at)
            elif after is not None and after.at is not None:
                lasted.append((after.at - change.at, Wait("begin", "", job, at - after.at)))
    least = UNSEEN + FRAMES * median(lags) if lags else inf
    yield from (wait for seconds, wait in lasted if seconds > least)


def _silent(books: Books) -> Iterator[Finding]:
    """Expect a frame of each job before its end, if the job lasts longer than every other one of
    its stage waited for its first frame, and the feed showed those meanwhile."""
    for stage in _fed(books):
        shown = {job.job_id: sorted(_shown(job).values()) for job in stage.jobs.values()}
        firsts = [
            (shown[job.job_id][0], since, job)
            for job in stage.jobs.values()
            if shown[job.job_id] and job.api and (since := job.api[0].created) is not None
        ]
        waited = [at - since for at, since, job in firsts if at < (job.finished or inf)]
        silent = [each for each in firsts if each[0] >= (each[2].finished or inf)]
        longest = max(waited, default=inf)
        for at, since, job in silent if LEAST <= len(waited) > len(silent) else ():
            others = (times for name, times in shown.items() if name != job.job_id)
            seen = sum(since + longest < time < at for times in others for time in times)
            if at - since > FRAMES * longest + UNSEEN and seen >= LEAST:
                text = (
                    f"the feed showed nothing of it until {timestamp(at)}, after its end, and "
                    f"{seen} frames of other jobs meanwhile"
                )
                yield Subject(job.job_id, stage.number).found("waits.silent", text)


def _percent(job: JobFacts, books: Books, clocks: Clocks, *, calm: bool) -> Iterator[Wait]:
    """Return how much of a generation's time is between the percent of its last report and the
    true one, as the mocks count it; a vendor's own interface counts the steps of its graph. Beside
    faults of other things, only a report ahead of its time counts."""
    prompt = job.submission.prompt if job.submission else None
    mocked = [g for g in job.generations if books.shows(g.wanted) and g.step in PROCESSES]
    made = {
        g.external_id: g
        for g in mocked
        if g.good and g.prompt == prompt
        if not job.has_fault("submit", "progress", "poll", external_id=g.external_id)
    }
    off, ahead = list[float](), list[float]()
    for signal in job.executions[0].signalled(PROGRESS):
        row, said = made.get(signal.body.get("external_id")), signal.body.get("percent")
        if row is None or row.started is None or row.finished is None:
            continue
        if isinstance(said, int) and not signal.body.get("waiting") and signal.at <= row.finished:
            took = row.finished - row.started
            true = row.started + said / 100 * took
            slack = clocks.between(SERVER, row.step)
            off.append(abs(signal.at - true) - slack - POINTS * took)
            ahead.append(true - signal.at - slack - AHEAD * took)
    yield from (Wait("percent", "", job, seconds) for seconds in off[-1:] if calm)
    yield from (Wait(EARLY, "", job, max(ahead)) for _ in ahead[:1])
