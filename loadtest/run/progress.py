"""Progress of a run: a line now and then, on a terminal as in a log."""

import time

from rich.console import Console

from loadtest.collect.tracker import Tracker
from loadtest.times import duration
from shared.texts import localized

EVERY = 5.0


class Display:
    def __init__(self, console: Console, stages: tuple[int, ...]) -> None:
        self._console, self._stages = console, stages
        self._name = ""
        self._last = 0.0

    def begin(self, stage: int, total: int) -> None:
        self._name = f"stage {stage + 1}/{len(self._stages)}, {total} job{'s' if total > 1 else ''}"
        self._last = time.monotonic()
        self.end("begins")

    def show(self, ended: int, news: str) -> None:
        if time.monotonic() - self._last >= EVERY:
            self._last = time.monotonic()
            self.end(f"ended {ended}, {news}")

    def end(self, note: str) -> None:
        text = localized(f"{self._name}: {note}")
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def news(tracker: Tracker, total: int, *, began: float) -> str:
    """Describe a stage, with the time left at the rate so far."""
    counts, ended, running = tracker.counts, tracker.ended, tracker.counts["running"]
    left = (time.monotonic() - began) / ended * (total - ended) if ended else None
    bad = counts["failed"] + counts["degraded"] + counts["cancelled"] + tracker.refused
    return f"submitted {tracker.accepted}, at once {running}, bad {bad}, left {duration(left)}"
