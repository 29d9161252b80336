"""Where a pause of the vendors went, cut by the books of one job; the parts add up to the whole."""

from collections.abc import Sequence

from loadtest.books.facts import Execution
from loadtest.books.model import JobFacts

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
    told = min((at for name, at in run.signals if name == "kling_done" and at >= end), default=None)
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
