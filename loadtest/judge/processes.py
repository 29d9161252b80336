"""Hold the histories against the server's own count of its steps, which orders them all, and the
processes in them against those of the run: their work, lives and deaths."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain, pairwise
from typing import NamedTuple

from loadtest.books.facts import mapping
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
ROOM = 4
"""Steps of a task for a known worker: its event, its dispatch, the end of its time, their batch. A
server that takes fewer shows it in most histories."""
SLACK = 0.5
"""Seconds that a server with too many jobs takes from an event's instant to its step."""
RULE = "history.numbers"
"""The rule, and the name of the job's own field."""


class Start(NamedTuple):
    """A time in which a process can have restarted, and whether it must have."""

    since: float
    until: float
    certain: bool


def of_run(books: Books, clocks: Clocks) -> Iterator[Finding]:
    """Expect one host and one sticky queue of each worker's process, and processes at work that
    fit those which showed metrics: as many, no longer, and none that had died."""
    yield from _steps(books)
    yield from _commands(books)
    yield from _sizes(books)
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
    if (most := sweep(lives).most) > len(names):
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
        late = [a.started for a in run.activities if a.error_class == TIMEOUT and a.started]
        for at in run.untaken + late:
            before = [name for name, taken in run.taken if taken < at]
            after = [name for name, taken in run.taken if taken >= at]
            if before and after and before[-1] != after[0] and last[before[-1]] < at:
                yield job, before[-1], at


def _steps(books: Books) -> Iterator[Finding]:
    """Expect each step of the server once, instants in the order of the steps, room between two
    events for the steps that no history shows, and the commands of a workflow's task in the order
    in which its code gives them to each job."""
    shards = mapping(books.run.get("environment")).get("shards", 1)
    # A reset copies events; and each shard of a server counts for itself.
    if books.struck or shards != 1:
        return
    jobs = {job.job_id: Subject(job.job_id, job.stage) for job in books.jobs}
    runs = [(job.job_id, run) for job, run in books.runs]
    events = sorted((each, name) for name, run in runs for each in run.numbers)
    latest, last, step, before = 0.0, "", 0, ""
    clashes: list[tuple[str, str, str]] = []
    for (number, at, at_once), name in events:
        if number == step:
            clashes.append((name, before, f"step {number} of the server is of {name} and {before}"))
        elif at_once and at < latest - SLACK:
            text = (
                f"step {number} of the server was at {timestamp(at)}, and one before it, of "
                f"{last}, at {timestamp(latest)}"
            )
            clashes.append((name, last, text))
        step, before = number, name
        if at > latest:
            latest, last = at, name
    # A history that was bent clashes with many others, which clash with no further one; of two that
    # clash alone, it is the one whose step is not where it belongs.
    while clashes:
        both = (dict.fromkeys(each[:2]) for each in clashes)
        [(name, _)] = Counter(n for each in both for n in each).most_common(1)
        yield jobs[name].found(RULE, next(text for *both, text in clashes if name in both))
        clashes = [each for each in clashes if name not in each[:2]]
    rooms = [(name, run.room) for name, run in runs if run.room is not None]
    few = [(name, room) for name, room in rooms if room < ROOM]
    for name, room in few if 4 * len(few) < len(rooms) and ROOM in dict(rooms).values() else ():
        text = (
            f"{room} steps from a task for a known worker to the next event, and each takes {ROOM}"
        )
        yield jobs[name].found(RULE, text, ROOM, room)


def _commands(books: Books) -> Iterator[Finding]:
    orders = defaultdict[tuple[str, ...], dict[tuple[str, ...], dict[str, Subject]]](dict)
    for job in books.jobs:
        for given in (tuple(each) for run in job.executions for each in run.commands.values()):
            same = orders[tuple(sorted(given))].setdefault(given, {})
            same[job.job_id] = Subject(job.job_id, job.stage)
    for alike in orders.values():
        usual, *others = sorted(alike.items(), key=lambda each: -len(each[1]))
        for other, named in others:
            for job_id in named.keys() - usual[1].keys():
                text = f"a task of it commanded {', '.join(other)}, elsewhere in another order"
                yield named[job_id].found("history.commands", text, usual[0], other)


def _sizes(books: Books) -> Iterator[Finding]:
    """Expect each history to be off the server's counts of its bytes by what most are off."""
    runs = [(job, run) for job, run in books.runs if run.off]
    alike = Counter(next(iter(run.off)) for _, run in runs if len(run.off) == 1)
    [(usual, count)] = alike.most_common(1) or [(0.0, 0)]
    for job, run in runs if 4 * count > 3 * len(runs) else ():
        if other := sorted(run.off - {usual}):
            text = f"its events are off the server's count by {other[0]:g} bytes, most by {usual:g}"
            yield Subject(job.job_id, job.stage).found("history.size", text, usual, other[0])
