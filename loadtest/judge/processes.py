"""Hold the histories' processes against the run's: who wrote what, and how many were at work."""

from collections import defaultdict
from collections.abc import Iterator

from loadtest.books.model import Books
from loadtest.judge.clocks import Clocks
from loadtest.judge.compare import RUN, Finding, Subject
from loadtest.judge.intervals import Interval, sweep
from loadtest.times import timestamp


def of_run(books: Books, _clocks: Clocks) -> Iterator[Finding]:
    """Expect one host and one sticky queue of each worker's process, as many at work as show
    metrics, and no process that goes on after it has died."""
    run = Subject(RUN, max((stage.number for stage in books.stages), default=0))
    runs = [(job, run) for job in books.jobs for run in job.executions]
    queues, hosts = dict[str, str](), dict[str, str]()
    for job, execution in runs:
        named = Subject(job.job_id, job.stage)
        for owner, queue in execution.queues:
            known = queues.setdefault(owner, queue)
            if queue != known or not queue.startswith(f"{owner}-"):
                text = f"a task that {owner} left went to {queue}, which is no queue of it"
                yield named.found("history.identity", text, known, queue)
        for name in sorted(execution.workers):
            start, _, host = name.partition("@")
            if (known := hosts.setdefault(start, host)) != host:
                text = f"the process {start} was at work on {known} as well"
                yield named.found("history.identity", text, known, host)
    ours = {name for _, run in runs for name in run.workers}
    for rule, what, written in (
        ("permit", "its permit", [(job, run.granted_by) for job, run in runs if run.granted]),
        ("signals", "its signal", [(job, s.sender) for job, run in runs for s in run.called_back]),
        ("history.identity", "its start", [(job, run.started_by) for job, run in runs]),
    ):
        # In one process with the workers, each comes from one.
        for job, name in written if not {name for _, name in written} <= ours else ():
            if name in ours:
                text = f"{what} came from {name}, which is a worker of jobs"
                yield Subject(job.job_id, job.stage).found(rule, text)
    tasks, workers = at_work(books), books.workers
    # On several machines, one address may stand for more than one worker.
    if len(books.hosts) == 1 and (most := sweep(tasks, len(tasks) + 1).most) > len(workers) > 0:
        text = f"{most} workers took tasks at a time, and {len(workers)} were known"
        yield run.found("processes.name", text)
    for name in workers:
        for at in books.restarts(name):
            before = [each for each in tasks if each.begin < at]
            if sum(each.end > at for each in before) >= max(len(before), len(workers)):
                text = f"it had restarted at {timestamp(at)}, and every worker's process went on"
                yield run.found("processes.cpu", f"{name}: {text}")


def at_work(books: Books) -> list[Interval]:
    """Return the time from the first to the last task of each worker's process, by histories."""
    seen = defaultdict[str, list[float]](list)
    for name, at in (each for job in books.jobs for run in job.executions for each in run.taken):
        seen[name].append(at)
    return [Interval(name, min(ats), max(ats)) for name, ats in seen.items()]
