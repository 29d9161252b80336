"""What lay between jobs that were done one after the other, by the vendors' books."""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from statistics import median, quantiles
from typing import Any

from loadtest.times import instant

Rows = Sequence[Mapping[str, Any]]


def figures(
    jobs: Collection[str], images: Rows, videos: Rows, *, ended: Mapping[str, float]
) -> dict[str, Any]:
    """Of jobs with an image and a video each; `ended` is when their workers had learnt of the end.

    Idle is from a video's end to the next image accepted; hand-over begins where the worker knows.
    """
    images, videos = ([row for row in rows if row["job"] in jobs] for rows in (images, videos))
    begun = {row["job"]: _at(row, "accepted_at") for row in images}
    done = {row["job"]: _at(row, "finished_at") for row in videos}
    following = list(pairwise(sorted(begun, key=lambda job: begun[job])))
    service = dict.fromkeys(jobs, 0.0)
    for row in [*images, *videos]:
        service[row["job"]] += _at(row, "finished_at") - _at(row, "started_at")
    return {
        "jobs": len(jobs),
        "paid": [len(images), len(videos)],
        "overlaps": sum(begun[after] < done[job] for job, after in following),
        "service": _spread(service.values()),
        "idle": _spread([begun[after] - done[job] for job, after in following]),
        "hand_over": _spread([begun[after] - ended[job] for job, after in following]),
    }


def _at(row: Mapping[str, Any], key: str) -> float:
    return instant(row[key]) or 0.0


def _spread(seconds: Collection[float]) -> dict[str, float]:
    """In milliseconds."""
    p95 = quantiles(seconds, n=20)[-1]
    return {"p50": round(1000 * median(seconds), 1), "p95": round(1000 * p95, 1)}
