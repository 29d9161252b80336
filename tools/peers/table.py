"""An engine's line in the table of docs/verdict.md, from what its parts found."""

from collections.abc import Mapping, Sequence
from typing import Any

Found = Mapping[str, Any]
# What tells that a killed job's step was begun again, the earliest first.
AGAIN = {"image": "begins anew", "order": "orders the video anew"}


def line(title: str, parts: Mapping[str, Found]) -> str:
    """A row; a part that was not measured has an empty cell, one that failed says why."""
    turns, video, order = (parts.get(part, {}) for part in ("turns", "video", "order"))
    cells = [
        title,
        *(turns.get("failed") or _beside(turns, key) for key in ("idle", "hand_over")),
        video.get("failed") or _fate(video),
        _paid(video),
        order.get("failed") or _paid(order),
    ]
    return f"| {' | '.join(cells)} |"


def _beside(turns: Found, key: str) -> str:
    """The median; in brackets that of the bare loop."""
    if not turns:
        return ""
    both = (turns[kind][key]["p50"] for kind in ("turns", "loop"))
    at_once = turns["turns"]["overlaps"]
    return "{} ({})".format(*map(_time, both)) + (f", {at_once} overlaps" if at_once else "")


def _time(milliseconds: float) -> str:
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.1f} s"
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"


def _fate(kill: Found) -> str:
    """What became of the job whose worker was killed."""
    if not kill:
        return ""
    hit, back = kill["hit"], kill["worker_back_after"]
    if not hit["ended"]:
        other = "ended" if kill["other"]["ended"] else "did not end either"
        return f"not ended after {kill['watched']:.0f} s; the other job {other}"
    steps, late = hit["steps"], f"{hit['late']:.1f} s late"
    if set(steps) == {"ended"}:
        return f"ends at the other worker, {late}"
    after, again = min(steps.values()), _again(steps)
    if back is None or after < back:
        return f"{again} at the other worker after {after:.1f} s, ends {late}"
    came = f"a worker of the same name came after {back:.0f} s"
    return f"{came}, {after - back:.1f} s later it {again}, ends {late}"


def _again(steps: Sequence[str]) -> str:
    return next((said for step, said in AGAIN.items() if step in steps), "goes on")


def _paid(kill: Found) -> str:
    if "hit" not in kill:
        return ""
    paid = ", ".join(map(str, kill["hit"]["paid"]))
    return paid if kill["hit"]["ended"] else f"{paid}, and not ended"
