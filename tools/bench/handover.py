"""Hand-over and idle: short jobs through one slot, beside plain hops of the same moments."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from rich.console import Console

from loadtest.books.executions import Execution
from loadtest.books.load import load
from loadtest.books.model import Books, JobFacts
from loadtest.judge.pace import hand_overs, percentile
from loadtest.run.plan import planned
from loadtest.run.session import run_plan
from tools.bench.stack import StackUnderTest, hops
from tools.bench.table import Figure, milliseconds

PART = "handover"
MEAN = ", mean"


@dataclass(frozen=True, slots=True)
class RunTimes:
    """Seconds of one run: the plain hop, each pair's hand-over and idle, and how these divide."""

    hop: float
    hand_overs: tuple[float, ...]
    idles: tuple[dict[str, float], ...]
    betweens: tuple[dict[str, float], ...]
    makespan_ratio: float


async def measure(
    stack: StackUnderTest, runs: int, *, jobs: int, folder: Path, note: Callable[[str], None]
) -> list[Figure]:
    """So many runs of so many jobs, one after the other."""
    before, _ = await stack.history()
    found = []
    for number in range(runs):
        found.append(await _run(stack, jobs, folder))
        note(f"run {number + 1}: hand-over {median(found[-1].hand_overs) * 1000:.1f} ms")
    after, turned = await stack.history()
    semaphore = [_events("a grant", (after - before) / (runs * jobs))]
    semaphore += [_events("at turn-over", max(turned))] if turned else []
    return figures(found) + semaphore


def _events(what: str, value: float) -> Figure:
    return Figure(
        part=PART, name=f"semaphore's history, {what}", unit="events", values=(round(value, 1),)
    )


async def _run(stack: StackUnderTest, jobs: int, folder: Path) -> RunTimes:
    settings = stack.settings.model_copy(update={"reports_dir": folder / "runs"})
    plan = planned(str(jobs), reset=True)
    quiet = Console(quiet=True)
    async with hops(stack.client, stack.temporal) as sampled:
        found, why = await run_plan(
            settings, plan, command="make bench ONLY=handover", console=quiet
        )
    if why != "done":
        raise RuntimeError(f"the run ended with: {why}")
    return of_books(load(found), sampled)


def of_books(books: Books, sampled: Sequence[float]) -> RunTimes:
    """A run's figures from its books, in the order of the slot."""
    [stage] = books.stages
    pairs = hand_overs(stage, books)
    if not pairs:
        raise RuntimeError("the books show no job that followed another one")
    jobs = stage.jobs.values()
    begin = min(job.submission.planned for job in jobs if job.submission)
    end = max(run.closed or 0.0 for _, run in books.runs)
    pauses = [idle(each.last, each.begin) for each in pairs]
    service = sum(g.seconds for job in jobs for g in job.generations if g.good)
    return RunTimes(
        hop=median(sampled),
        hand_overs=tuple(each.begin - each.end for each in pairs),
        idles=tuple(filter(None, pauses)),
        betweens=tuple(filter(None, map(between, jobs))),
        makespan_ratio=(end - begin) / service * (stage.limit or 1),
    )


def figures(runs: Sequence[RunTimes]) -> list[Figure]:
    """The table's lines; parts are means, so that they add up to the mean of the whole."""
    plain = milliseconds(run.hop for run in runs)

    def line(name: str, value: Callable[[RunTimes], float]) -> Figure:
        values = milliseconds(map(value, runs))
        mean = name.endswith(MEAN)
        return Figure(part=PART, name=name, unit="ms", values=values, hops=plain, mean=mean)

    def of(
        part: str, which: Callable[[RunTimes], tuple[dict[str, float], ...]], what: str
    ) -> Figure:
        return line(f"{what}: {part}{MEAN}", lambda run: fmean(each[part] for each in which(run)))

    def whole(which: tuple[dict[str, float], ...]) -> list[float]:
        return sorted(sum(each.values()) for each in which)

    return [
        Figure(part=PART, name="plain hop, p50", unit="ms", values=plain),
        line("hand-over, p50", lambda run: median(run.hand_overs)),
        line("hand-over, p95", lambda run: percentile(sorted(run.hand_overs), 95)),
        line("idle of the vendor, p50", lambda run: median(whole(run.idles))),
        line("idle of the vendor, p95", lambda run: percentile(whole(run.idles), 95)),
        line(f"idle of the vendor{MEAN}", lambda run: fmean(whole(run.idles))),
        *(of(part, lambda run: run.idles, "idle") for part in IDLE),
        line("image's end to video accepted, p50", lambda run: median(whole(run.betweens))),
        line(f"image's end to video accepted{MEAN}", lambda run: fmean(whole(run.betweens))),
        *(of(part, lambda run: run.betweens, "image to video") for part in BETWEEN),
        Figure(
            part=PART,
            name="makespan / service time, 0.1 s + 0.2 s",
            unit="",
            values=tuple(round(run.makespan_ratio, 4) for run in runs),
        ),
    ]


CALLBACK, SIGNAL, STORING = "callback", "signal", "checking, storing and closing"
HAND_OVER = "hand-over"
IDLE = (CALLBACK, SIGNAL, STORING, HAND_OVER)
NOTICING, RECORDING, SUBMITTING = "noticing, checking and storing", "recording", "submitting"
BETWEEN = (NOTICING, RECORDING, SUBMITTING)

Cut = tuple[str, float | None]


def idle(before: JobFacts, begin: float) -> dict[str, float] | None:
    """From the end of a job's last video to the acceptance of the next job's image at `begin`.

    None where the job has no good video or has not closed. A callback that did not come first
    has no part of its own: the poll's delay then counts as storing.
    """
    run = before.execution
    videos = [g for g in before.of("video") if g.good and g.finished is not None]
    if run is None or run.closed is None or not videos:
        return None
    end = float(videos[-1].finished or 0.0)
    stored = _ended(run, "collect_video")
    told = min((s.at for s in run.called_back if s.at >= end), default=None)
    if told is not None and stored is not None and told > stored:
        told = None
    heard = [r.at for r in before.receipts if r.at is not None and r.at >= end]
    received = min(heard, default=None) if told is not None else None
    cuts = [(CALLBACK, received), (SIGNAL, told), (STORING, run.closed)]
    return divide(end, [*cuts, (HAND_OVER, begin)])


def between(job: JobFacts) -> dict[str, float] | None:
    """From the end of a job's image to the acceptance of its video; None where one is missing."""
    run = job.execution
    images = [g for g in job.of("image") if g.good and g.finished is not None]
    videos = [g for g in job.of("video") if g.accepted is not None]
    if run is None or not images or not videos:
        return None
    asked = [a.scheduled for a in run.activities if a.kind == "request_video" and a.scheduled]
    cuts = [(NOTICING, _ended(run, "gen_image")), (RECORDING, min(asked, default=None))]
    return divide(float(images[-1].finished or 0.0), [*cuts, (SUBMITTING, videos[0].accepted)])


def divide(begin: float, cuts: Sequence[Cut]) -> dict[str, float]:
    """Seconds between the cuts; one that is unknown or before the last one has no time of its own,
    and none lies behind the end."""
    end, cursor, parts = float(cuts[-1][1] or begin), begin, {}
    for name, at in cuts:
        until = min(max(cursor, at if at is not None else cursor), max(end, begin))
        parts[name] = until - cursor
        cursor = until
    return parts


def _ended(run: Execution, kind: str) -> float | None:
    ends = [a.ended for a in run.activities if a.kind == kind and a.outcome == "completed"]
    return max(filter(None, ends), default=None)
