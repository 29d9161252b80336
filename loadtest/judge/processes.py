"""Hold the processes in the histories against those of the run: their work, lives and deaths."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain, pairwise
from typing import NamedTuple

from loadtest.books.executions import Execution
from loadtest.books.model import RUNNERS, Books, JobFacts
from loadtest.judge.clocks import SERVER, Clocks
from loadtest.judge.compare import RUN, Begins, Finding, Subject
from loadtest.judge.intervals import Interval, sweep
from loadtest.judge.reference import HISTORY
from loadtest.times import timestamp

TIMEOUT = "timeout"
"""A history's name for the failure of an activity whose heartbeats stopped."""
NOTED, WARM = 0.05, 0.2
"""Seconds within which a process's answer is noted; a new process takes no task in them."""
PAUSE, PATIENCE, ABSENT = 2.0, 2.9, 2
"""The least seconds between two looks, those for which a look waits for an answer, and the looks
without one, in a row, of a process that was not there."""
BUSY = 0.8
"""Most processor time of a restarted process, as a share of the time between two samples."""


class Start(NamedTuple):
    """A time in which a process can have restarted, and whether it must have."""

    since: float
    until: float
    certain: bool


def of_run(books: Books, clocks: Clocks) -> Iterator[Finding]:
    """Expect one host and one sticky queue of each worker's process, and processes at work that
    fit those which showed metrics: as many, no longer, and none that had died."""
    run = Subject(RUN, max((stage.number for stage in books.stages), default=0))
    queues, hosts = dict[str, str](), dict[str, str]()
    all_there = bool(books.workers) and books.steady.issuperset(books.workers)
    for job, execution in books.runs:
        named = Subject(job.job_id, job.stage)
        for owner, queue in execution.queues:
            known = queues.setdefault(owner, queue)
            expected = {"queue": Begins(f"{owner}-") if queue == known else known}
            yield from named.differ(HISTORY, {"queue": queue}, expected, f"workers[{owner}].")
        # The server passes on a task of a worker that asks for none.
        for owner, at in execution.strayed if all_there else ():
            text = (
                f"another process took a task of {owner} at {timestamp(at)}, and no worker was gone"
            )
            yield named.found(f"{HISTORY}.workers[].queue", text)
        for name in sorted(execution.workers):
            start, _, host = name.partition("@")
            expected = {"host": hosts.setdefault(start, host)}
            yield from named.differ(HISTORY, {"host": host}, expected, f"workers[{start}].")
    ours = {name for _, each in books.runs for name in each.workers}
    for (service, rule), rows in written(books).items():
        senders = {name for _, name, _ in rows}
        # In one process with the workers, each comes from one.
        for job, name, _ in rows if not senders <= ours else ():
            if name in ours:
                text = f"what the {service} writes came from {name}, which is a worker of jobs"
                yield Subject(job.job_id, job.stage).found(rule, text)
        if not senders & ours:
            wrote = spans((name, at) for _, name, at in rows)
            yield from _lives(books, run, [service], wrote, clocks=clocks)
    yield from _lives(books, run, books.workers, at_work(books), clocks=clocks)
    for name in books.processes:
        yield from _absent(books, name, run)


def written(books: Books) -> dict[tuple[str, str], list[tuple[JobFacts, str, float]]]:
    """Return what semaphore, receiver and API wrote into histories, each with its rule: permits,
    callbacks, starts; with the job, the process, and when."""
    runs = books.runs
    return {
        ("semaphore", "permit"): [(j, r.granted_by, r.granted) for j, r in runs if r.granted],
        ("callback", "signals"): [(j, s.sender, s.at) for j, r in runs for s in r.called_back],
        ("api", "history.identity"): [(j, r.started_by, r.started or 0.0) for j, r in runs],
    }


def _lives(
    books: Books, run: Subject, names: list[str], acts: list[Interval], *, clocks: Clocks
) -> Iterator[Finding]:
    """Expect no more processes at a time than are known, none that outlived the restarts of all of
    them, and further ones only if one can have restarted."""
    looks = [[at for at, _ in books.processes.get(name, ())] for name in names]
    # On several machines, one address may stand for more than one process.
    if len(books.hosts) != 1 or not names or not all(looks):
        return
    what = ", ".join(names)
    lives = [
        Interval(each.name, clocks.latest(SERVER, each.begin), clocks.earliest(SERVER, each.end))
        for each in acts
    ]
    if (most := sweep(lives, len(lives) + 1).most) > len(names):
        text = f"{most} processes were at work at a time, and {len(names)} known: {what}"
        yield run.found("processes.name", text)
    begun = {name: starts(books, name) for name in names}
    through = defaultdict[str, set[str]](set)
    for one, start in ((name, each) for name in names for each in begun[name] if each.certain):
        inside = [
            each.name
            for each in lives
            if each.begin < start.since + WARM and each.end > start.until
        ]
        for each in inside:
            through[each].add(one)
        if len(inside) >= len(names) or any(len(through[each]) == len(names) for each in inside):
            text = f"{one}: it restarted before {timestamp(start.until)}, and its process went on"
            yield run.found("processes.cpu", text)
    since, until = max(map(min, looks)), min(map(max, looks))
    seen = [each for each in lives if each.begin < until and each.end > since]
    within = [s for s in chain(*begun.values()) if s.until > since and s.since < until]
    # In a long time, it may have restarted more than once.
    most = len(names) + sum(1 + int(start.until - start.since) for start in within)
    if len(seen) > most:
        text = f"{len(seen)} processes were at work, and {most} can have been: {what}"
        yield run.found("processes.cpu", text)


def _absent(books: Books, name: str, run: Subject) -> Iterator[Finding]:
    """Expect that a process which was not there at two looks in a row had restarted. It had not
    just answered too late: a look that waits for an answer takes longer."""
    looks = [at for at, _ in books.processes.get(RUNNERS, ())]
    begun = [each.since for each in starts(books, name)]
    for (before, _), (at, _) in pairwise(books.processes[name]):
        missed = [(one, other) for one, other in pairwise(looks) if before <= one and other < at]
        quick = [other for one, other in missed if other - one < PAUSE + PATIENCE]
        if len(quick) >= ABSENT and before - NOTED not in begun:
            text = f"{name}: it was not there at {timestamp(quick[0])}, and its process went on"
            yield run.found("processes.cpu", text)


def starts(books: Books, name: str) -> list[Start]:
    """Return when a process can have restarted between two samples: so late that its processor time
    fits into its life. If its processor time fell, it must have restarted."""
    return [
        Start(before - NOTED, max(at - cpu, before) + NOTED, cpu < used)
        for (before, used), (at, cpu) in pairwise(books.processes.get(name, ()))
        if cpu < used or cpu <= BUSY * (at - before)
    ]


def spans(seen: Iterable[tuple[str, float]]) -> list[Interval]:
    """Return the time from the first to the last act of each process."""
    found = defaultdict[str, list[float]](list)
    for name, at in seen:
        found[name].append(at)
    return [Interval(name, min(ats), max(ats)) for name, ats in found.items()]


def at_work(books: Books) -> list[Interval]:
    """Return the time from the first to the last task of each worker's process, by histories."""
    return spans(each for _, run in books.runs for each in run.taken)


def left(books: Books) -> Iterator[tuple[JobFacts, str, float]]:
    """Return each job that a worker has left to another one, that worker, and when it was noticed:
    an activity or a task ran out of time, another process went on, and the one before took no task
    from then on."""
    last = {each.name: each.end for each in at_work(books)}
    for job, run in books.runs:
        for at in _late(run):
            before = [name for name, taken in run.taken if taken < at]
            after = [name for name, taken in run.taken if taken >= at]
            if before and after and before[-1] != after[0] and last[before[-1]] < at:
                yield job, before[-1], at


def _late(run: Execution) -> Iterator[float]:
    yield from run.untaken
    yield from (a.started for a in run.activities if a.error_class == TIMEOUT and a.started)
