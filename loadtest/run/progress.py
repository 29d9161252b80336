"""Progress of a run: bars on a terminal, plain lines elsewhere."""

import time

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from loadtest.collect.tracker import Tracker
from loadtest.times import duration
from shared.texts import localized

PLAIN_EVERY = 5.0


class Display:
    """Shows stages as they go: a line now and then, for logs and pipes."""

    def __init__(self, console: Console, stages: tuple[int, ...]) -> None:
        self._console, self._stages = console, stages
        self._name = ""
        self._last = 0.0

    def begin(self, stage: int, total: int) -> None:
        self._name = f"stage {stage + 1}/{len(self._stages)}, {total} job{'s' if total > 1 else ''}"
        self._last = time.monotonic()
        self.end("begins")

    def show(self, ended: int, news: str) -> None:
        if time.monotonic() - self._last >= PLAIN_EVERY:
            self._last = time.monotonic()
            self.end(f"ended {ended}, {news}")

    def end(self, note: str) -> None:
        text = localized(f"{self._name}: {note}")
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Stop showing anything."""


class Bars(Display):
    """A bar per stage, redrawn in place."""

    def __init__(self, console: Console, stages: tuple[int, ...]) -> None:
        super().__init__(console, stages)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[news]}"),
            TimeElapsedColumn(),
            console=console,
            refresh_per_second=4,
        )
        names = (localized(f"{count} job{'s' if count > 1 else ''}") for count in stages)
        self._tasks = [
            self._progress.add_task(name, total=count, start=False, news="")
            for name, count in zip(names, stages, strict=True)
        ]
        self._current = self._tasks[0]
        self._progress.start()

    def begin(self, stage: int, total: int) -> None:
        self._current = self._tasks[stage]
        self._progress.start_task(self._current)

    def show(self, ended: int, news: str) -> None:
        self._progress.update(self._current, completed=ended, news=localized(news))

    def end(self, note: str) -> None:
        self._progress.update(self._current, news=escape(note))
        self._progress.stop_task(self._current)

    def close(self) -> None:
        self._progress.stop()


def display(console: Console, stages: tuple[int, ...]) -> Display:
    """Return bars on a terminal, lines elsewhere."""
    return Bars(console, stages) if console.is_terminal else Display(console, stages)


def news(tracker: Tracker, total: int, *, began: float) -> str:
    """Describe a stage, with the time left at the rate so far."""
    counts, ended, running = tracker.counts, tracker.ended, tracker.counts["running"]
    left = (time.monotonic() - began) / ended * (total - ended) if ended else None
    bad = counts["failed"] + counts["degraded"] + counts["cancelled"] + tracker.refused
    return f"submitted {tracker.accepted}, at once {running}, bad {bad}, left {duration(left)}"
