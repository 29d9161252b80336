"""The charts of the report, each with the sentence that says what to see in it."""

import dataclasses
import math
from collections.abc import Iterable, Sequence

from loadtest.books.facts import ProcessSample
from loadtest.books.model import StageBook
from loadtest.judge.measures.spans import Span
from loadtest.judge.measures.sweep import Interval
from loadtest.report.blocks import Chart
from loadtest.report.plot import Axis, Plot, Points, thin
from loadtest.report.scale import counts, numbers, times
from loadtest.report.svg import legend
from loadtest.times import duration

_GROUPS, _COLUMNS = 40, 40
Kinds = Sequence[tuple[str, str]]


def histogram(values: Sequence[float], *, name: str, caption: str) -> Chart:
    """How often a duration came, in columns of one width.

    What lies far out gets one column behind a gap, and the caption says so; else there is none.
    """
    ordered = sorted(max(0.0, value) for value in values)
    most = _bulk(ordered)
    count = min(_COLUMNS, max(5, int(math.sqrt(len(ordered)) * 2)))
    width = most / count
    columns = [0] * count
    far = [value for value in ordered if value > most]
    for value in ordered[: len(ordered) - len(far)]:
        columns[min(count - 1, int(value / width))] += 1
    across = times(most + (2 * width if far else 0.0), tight=True)
    ticks = tuple(tick for tick in across.ticks if tick <= most * 1.001)
    plot = Plot(
        Axis(name, dataclasses.replace(across, ticks=ticks)),
        Axis("how many", counts(max(*columns, len(far)))),
    )
    for place, number in enumerate(columns):
        begin, end = place * width, (place + 1) * width
        title = ("From {1} to {2}: {3}", duration(begin), duration(end), str(number))
        plot.column(begin, end, low=0, high=number, kind="bar", title=title)
    if far:
        low, high = duration(most), duration(far[-1])
        title = ("Above {1}, up to {2}: {3}", low, high, str(len(far)))
        plot.column(
            most + width, most + 2 * width, low=0, high=len(far), kind="beyond", title=title
        )
        caption += (
            f" The last column, behind the gap, holds the {len(far)} above {low}, up to {high}."
        )
    return plot.chart(caption)


def _bulk(ordered: Sequence[float]) -> float:
    """Up to where columns go: all, or 99 in a hundred where the rest lies far beyond them."""
    most, last = ordered[math.ceil(0.99 * len(ordered)) - 1], ordered[-1]
    return (most if most and last > 1.5 * most else last) or 1.0


def stacked_groups(pieces: Sequence[Sequence[Span]], kinds: Kinds, *, caption: str) -> Chart:
    """Mean time of each kind of piece, for groups of jobs in the order given."""
    size = math.ceil(len(pieces) / _GROUPS)
    groups = [pieces[start : start + size] for start in range(0, len(pieces), size)]
    means = [_means(group, kinds) for group in groups]
    plot = Plot(
        Axis("jobs in the order of their starts", counts(len(pieces), tight=True)),
        Axis("mean time per job", times(max(map(sum, means)))),
    )
    for place, mean in enumerate(means):
        begin, end = place * size, min((place + 1) * size, len(pieces))
        low = 0.0
        for (kind, name), value in zip(kinds, mean, strict=True):
            title = ("Jobs {1} to {2}, {3}: {4}", str(begin + 1), str(end), name, duration(value))
            plot.column(begin, end, low=low, high=low + value, kind=kind, title=title)
            low += value
    return plot.chart(caption, legend=legend(kinds))


def _means(group: Sequence[Sequence[Span]], kinds: Kinds) -> list[float]:
    spent = dict.fromkeys((kind for kind, _ in kinds), 0.0)
    for pieces in group:
        for piece in pieces:
            kind = "failed" if piece.good is False else piece.name
            if kind in spent:
                spent[kind] += piece.end - piece.begin
    return [seconds / len(group) for seconds in spent.values()]


def over_time(intervals: Iterable[Interval], stage: StageBook, *, caption: str) -> Chart:
    """How many intervals cover each instant, with the limit; peaks survive the thinning."""
    known = list(intervals)
    events = sorted([(i.begin, 1) for i in known] + [(i.end, -1) for i in known])
    begin, end = events[0][0], events[-1][0]
    points, active = [(0.0, 0.0)], 0
    for at, change in events:
        points.append((at - begin, float(active)))
        active += change
        points.append((at - begin, float(active)))
    most = max(stage.limit or 1, *(value for _, value in points))
    plot = Plot(
        Axis("time in the stage", times(end - begin, tight=True)),
        Axis("jobs at once", counts(most + 1)),
    )
    plot.line(thin(points, 1200), kind="series-1")
    plot.rule(stage.limit or 1, f"limit {stage.limit}")
    return plot.chart(caption)


def queue(stage: StageBook, drawn: Iterable[Sequence[Span]], *, caption: str) -> Chart:
    """Jobs planned and ended over the time of a stage."""
    planned = sorted(job.submission.planned for job in stage.jobs.values() if job.submission)
    begin = planned[0]
    ended = sorted(pieces[-1].end - begin for pieces in drawn)
    come = [(0.0, 0.0), *((at - begin, place + 1.0) for place, at in enumerate(planned))]
    come.append((ended[-1], float(len(planned))))
    gone = [(0.0, 0.0), *((at, place + 1.0) for place, at in enumerate(ended))]
    plot = Plot(
        Axis("time in the stage", times(ended[-1], tight=True)),
        Axis("jobs", counts(len(planned))),
    )
    plot.line(thin(come), kind="series-2")
    plot.line(thin(gone), kind="series-1")
    names = legend([("series-2", "planned"), ("series-1", "ended")])
    return plot.chart(caption, legend=names)


def memory(processes: dict[str, list[ProcessSample]]) -> list[Chart]:
    """Resident memory of each process over the run; none where there are too few samples."""
    known = {name: rows for name, rows in sorted(processes.items()) if len(rows) > 2}
    if not known:
        return []
    begin = min(rows[0].at for rows in known.values())
    end = max(rows[-1].at for rows in known.values())
    most = max(sample.rss for rows in known.values() for sample in rows)
    plot = Plot(
        Axis("time in the run", times(end - begin, tight=True)),
        Axis("resident memory", numbers(most / 1e6, "MB")),
    )
    for place, rows in enumerate(known.values()):
        points: Points = [(sample.at - begin, sample.rss / 1e6) for sample in rows]
        plot.line(thin(points), kind=f"series-{place % 8 + 1}")
    names = legend([(f"series-{place % 8 + 1}", name) for place, name in enumerate(known)])
    caption = "Resident memory of each process; a line that goes on rising is a leak."
    return [plot.chart(caption, legend=names)]
