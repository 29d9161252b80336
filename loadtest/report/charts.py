"""The charts of the report, each with the sentence that says what to see in it."""

import math
from collections.abc import Iterable, Sequence

from loadtest.books.model import ProcessSample, StageBook
from loadtest.judge.sweep import Interval
from loadtest.report.blocks import Chart
from loadtest.report.plot import Plot, Points, thin, whole
from loadtest.report.svg import legend
from loadtest.spans import Span
from loadtest.times import span

_GROUPS = 40


def histogram(values: Sequence[float], *, name: str, caption: str) -> Chart:
    """How often a duration came, in at most 40 columns up to the 99th percentile and the rest."""
    ordered = sorted(values)
    most = ordered[max(0, math.ceil(0.99 * len(ordered)) - 1)] or ordered[-1] or 1.0
    count = min(40, max(5, int(math.sqrt(len(ordered)) * 2)))
    width = most / count
    columns = [0] * (count + 1)
    for value in ordered:
        columns[min(count, max(0, int(value / width)))] += 1
    plot = Plot(width * (count + 1), max(columns), x_text=span, y_text=whole)
    for place, number in enumerate(columns):
        upper = "and more" if place == count else f"to {span((place + 1) * width)}"
        title = f"{span(place * width)} {upper}: {number}"
        plot.column(place * width, (place + 1) * width, number, kind="bar", title=title)
    return Chart(plot.svg(name), caption)


def stacked_groups(pieces: Sequence[Sequence[Span]], kinds: Sequence[tuple[str, str]]) -> str:
    """Mean time of the pieces for each group of jobs in the order of their starts."""
    size = math.ceil(len(pieces) / _GROUPS)
    groups = [pieces[start : start + size] for start in range(0, len(pieces), size)]
    means = [_means(group, [kind for kind, _ in kinds]) for group in groups]
    plot = Plot(len(pieces), max(map(sum, means)), x_text=whole, y_text=span)
    for place, mean in enumerate(means):
        high = sum(mean)
        for (kind, name), value in reversed(list(zip(kinds, mean, strict=True))):
            last = min((place + 1) * size, len(pieces))
            title = f"jobs {place * size + 1} to {last}, {name}: {span(value)}"
            plot.column(place * size, (place + 1) * size, high, kind=kind, title=title)
            high -= value
    return legend(kinds) + plot.svg(
        "Mean time per job, by group of jobs in the order of their starts"
    )


def _means(group: Sequence[Sequence[Span]], kinds: Sequence[str]) -> list[float]:
    spent = dict.fromkeys(kinds, 0.0)
    for pieces in group:
        for piece in pieces:
            kind = "failed" if piece.good is False else piece.name
            if kind in spent:
                spent[kind] += piece.end - piece.begin
    return [seconds / len(group) for seconds in spent.values()]


def over_time(intervals: Iterable[Interval], stage: StageBook, *, caption: str) -> Chart:
    """The most at once in each small stretch of the stage, with the limit."""
    events = sorted([(i.begin, 1) for i in intervals] + [(i.end, -1) for i in intervals])
    begin, end = events[0][0], events[-1][0]
    points, active = [(0.0, 0.0)], 0
    for at, change in events:
        points.append((at - begin, float(active)))
        active += change
        points.append((at - begin, float(active)))
    most = max(value for _, value in points)
    plot = Plot(end - begin, max(most, stage.limit or 1), x_text=span, y_text=whole)
    plot.line(thin(points, 1200), kind="series-1")
    plot.rule(stage.limit or 1, f"limit {stage.limit}")
    return Chart(plot.svg(caption), caption)


def queue(stage: StageBook, drawn: Iterable[Sequence[Span]]) -> Chart:
    """Jobs waiting and ended over the time of a stage."""
    ended = sorted(pieces[-1].end for pieces in drawn)
    begin = min(job.submit.planned for job in stage.jobs.values() if job.submit)
    arrived = sorted(job.submit.planned - begin for job in stage.jobs.values() if job.submit)
    finish = [(at - begin, place + 1.0) for place, at in enumerate(ended)]
    come = [(0.0, 0.0), *((at, place + 1.0) for place, at in enumerate(arrived))]
    come.append((finish[-1][0], float(len(arrived))))
    plot = Plot(finish[-1][0], len(arrived), x_text=span, y_text=whole)
    plot.line(thin(come), kind="series-2")
    plot.line(thin([(0.0, 0.0), *finish]), kind="series-1")
    names = legend([("series-2", "planned"), ("series-1", "ended")])
    text = "Jobs planned and ended; the distance between the lines is what waits or runs."
    return Chart(names + plot.svg(text), text)


def memory(processes: dict[str, list[ProcessSample]]) -> list[Chart]:
    """Resident memory of each process over the run."""
    known = {name: rows for name, rows in sorted(processes.items()) if len(rows) > 2}
    if not known:
        return []
    begin = min(rows[0].at for rows in known.values())
    end = max(rows[-1].at for rows in known.values())
    most = max(sample.rss for rows in known.values() for sample in rows)
    plot = Plot(end - begin, most / 1e6, x_text=span, y_text=lambda value: f"{value:.0f} MB")
    for place, rows in enumerate(known.values()):
        points: Points = [(sample.at - begin, sample.rss / 1e6) for sample in rows]
        plot.line(thin(points), kind=f"series-{place % 8 + 1}")
    names = legend([(f"series-{place % 8 + 1}", name) for place, name in enumerate(known)])
    text = "Resident memory of each process; a line that goes on rising is a leak."
    return [Chart(names + plot.svg(text), text)]
