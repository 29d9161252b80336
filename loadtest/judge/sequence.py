"""Hold the histories against the server's own count of its steps, which orders them all."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from loadtest.books.facts import mapping
from loadtest.books.model import Books
from loadtest.judge.clocks import Clocks
from loadtest.judge.compare import Finding, Subject
from loadtest.times import timestamp

ROOM = 4
"""Steps of a task for a known worker: its event, its dispatch, the end of its time, their batch. A
server that takes fewer shows it in most histories."""
SLACK = 0.5
"""Seconds that a server with too many jobs takes from an event's instant to its step."""
RULE = "history.numbers"
"""The rule, and the name of the job's own field."""


def of_run(books: Books, _clocks: Clocks) -> Iterator[Finding]:
    """Expect each step of the server once, instants in the order of the steps, room between two
    events for the steps that no history shows, and the commands of a workflow's task in the order
    in which its code gives them to each job."""
    yield from _commands(books)
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
