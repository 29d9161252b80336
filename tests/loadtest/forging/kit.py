"""What a forger has: every raw record and history of a finished run, and the means to seal it."""

import base64
import json
import random
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.books import raw, seal
from loadtest.books.raw import RunFolder
from loadtest.judge.compare import RUN, Finding
from loadtest.judge.conserved import LEFT_OPEN
from loadtest.judge.judge import Judgement
from loadtest.times import instant
from tests.loadtest.forging.recorded import PLAIN
from tests.loadtest.synthetic import exactly, put, signal_of

Row = dict[str, Any]
LEDGERS = (raw.LEDGERS["image"], raw.LEDGERS["video"])
SIGNALED = "workflowExecutionSignaledEventAttributes"
_INSTANTS = ("accepted", "started", "finished")


class Forger:
    """Changes a copy of a run; what is chosen by chance is chosen by the seed."""

    def __init__(self, run: RunFolder, target: Path, *, seed: int) -> None:
        shutil.copytree(run.path, target)
        self.folder = RunFolder(target)
        self.random = random.Random(seed)  # noqa: S311 - the same lies in each run
        accepted = sorted(self.rows(LEDGERS[0]), key=lambda row: str(row["accepted_at"]))
        self.order = [str(row["external_id"]).split(".")[0] for row in accepted]
        """The jobs in the order in which they ran."""

    def rows(self, name: str) -> list[Row]:
        return list(self.folder.rows(name))

    def put(self, name: str, rows: Iterable[Row]) -> None:
        (self.folder.raw / name).write_text("", "utf-8")
        self.folder.append(name, rows)

    def edit(self, name: str, change: Callable[[list[Row]], object]) -> None:
        """`change` edits the rows of a raw file in place."""
        rows = self.rows(name)
        change(rows)
        self.put(name, rows)

    def each(self, name: str, change: Callable[[Row], object], *, of: str | None = None) -> None:
        """`change` edits every row, or those of one job."""
        rows = self.rows(name)
        for row in rows:
            if of is None or job_in(row) == of:
                change(row)
        self.put(name, rows)

    def of_any_job(self, name: str, change: Callable[[Row], object]) -> list[str]:
        """`change` edits every row of any one job, which is returned as the one to be named."""
        job_id = self.job()
        self.each(name, change, of=job_id)
        return [job_id]

    def set(self, name: str, *path: str | int, of: str | None = None, **values: Any) -> list[str]:
        """The rows of a job, by default of any one, say these values below a path.

        A value that is a function is what becomes of the one that was there.
        """
        job_id = of or self.job()
        self.each(name, lambda row: put(row, *path, **values), of=job_id)
        return [job_id]

    def ledger(self) -> str:
        """Any of the two."""
        return self.random.choice(LEDGERS)

    def drop(self, name: str, *, of: str = "", **fields: object) -> list[str]:
        """Every row of one job is gone, or those that have these fields."""
        job_id = of or self.job()

        def goes(row: Row) -> bool:
            return job_in(row) == job_id and row | fields == row

        self.put(name, [row for row in self.rows(name) if not goes(row)])
        return [job_id]

    def json(self, name: str, change: Callable[[Row], object]) -> None:
        """`change` edits a raw JSON file in place."""
        value = self.folder.read(name)
        change(value)
        self.folder.write(name, value)

    def history(self, job_id: str, change: Callable[[list[Row]], object]) -> list[str]:
        """`change` edits the events of a job's history file in place."""
        path = self.folder.histories / f"{job_id}.json"
        body = json.loads(path.read_text("utf-8"))
        change(body["events"])
        path.write_text(json.dumps(body), "utf-8")
        return [job_id]

    def orders(self, job_id: str, change: Callable[[Row], object]) -> list[str]:
        """`change` edits the input of each activity in a job's history."""

        def edit(events: list[Row]) -> None:
            for event in events:
                scheduled = event.get("activityTaskScheduledEventAttributes") or {}
                rewrite(scheduled.get("input"), change)

        return self.history(job_id, edit)

    def results(
        self, job_id: str, change: Callable[[Row], object], *, key: str = "asset"
    ) -> list[str]:
        """`change` edits what activities brought back that has this key, local ones included."""

        def edit(events: list[Row]) -> None:
            for event in events:
                completed = event.get("activityTaskCompletedEventAttributes") or {}
                marker = event.get("markerRecordedEventAttributes") or {}
                for holder in (completed, marker.get("details") or {}):
                    rewrite(holder.get("result"), lambda body: key in body and change(body))

        return self.history(job_id, edit)

    def signals(self, job_id: str, name: str, change: Callable[[Row], object]) -> list[str]:
        """`change` edits each event that is a signal of this name."""

        def edit(events: list[Row]) -> None:
            for event in events:
                if signal_of(event) == name:
                    change(event)

        return self.history(job_id, edit)

    def unsignalled(self, *job_ids: str, name: str = "kling_done") -> list[str]:
        """No signal of this name came to the jobs."""
        for job_id in job_ids:
            self.signals(job_id, name, lambda event: event[SIGNALED].update(signalName="resume"))
        return list(job_ids)

    def renamed(self, job_id: str, before: str, after: str) -> list[str]:
        """A note reads otherwise, in the job's record and in its history's summaries."""

        def change(row: Row) -> None:
            for each in row["record"]["transitions"]:
                each["note"] = each["note"].replace(before, after)

        def summarise(events: list[Row]) -> None:
            for event in events:
                if "markerRecordedEventAttributes" in event and "userMetadata" in event:
                    summary = event["userMetadata"]["summary"]
                    text = base64.b64decode(summary["data"]).decode().replace(before, after)
                    summary["data"] = base64.b64encode(text.encode()).decode()

        self.each(raw.STATES, change, of=job_id)
        return self.history(job_id, summarise)

    def job(self) -> str:
        """Any job, but not the first or the last."""
        return self.random.choice(self.order[1:-1])

    def pair(self) -> tuple[str, str]:
        """Two jobs, the second of which ran right behind the first."""
        place = self.random.randrange(1, len(self.order) - 1)
        return self.order[place], self.order[place + 1]

    def seal(self) -> None:
        seal.write(self.folder)


def convictions(judged: Judgement) -> list[Finding]:
    """Everything that a run's witnesses forbid, and what it failed to show."""
    broken = [condition.text for condition in judged.conditions if condition.ok is False]
    more = {"condition": broken, "undecided": judged.undecided, "void": judged.stepped}
    return [each for each in judged.findings if each.rule != LEFT_OPEN] + [
        Finding(rule, RUN, 0, text) for rule, texts in more.items() for text in texts
    ]


def rewrite(holder: Row | None, change: Callable[[Row], object]) -> None:
    """Edit the object in the first payload."""
    for payload in ((holder or {}).get("payloads") or [])[:1]:
        body = json.loads(base64.b64decode(payload["data"]))
        if isinstance(body, dict):
            change(body)
            payload["data"] = base64.b64encode(json.dumps(body).encode()).decode()


Lie = Callable[[Forger], Iterable[str]]


@dataclass(frozen=True)
class Forgery:
    """One kind of lie about a kept run; it returns the jobs of which one at least must be named."""

    name: str
    tell: Lie
    run: str = PLAIN


FORGERIES: list[Forgery] = []


def forgery(tell: Lie) -> Lie:
    """Add a lie to the table, under its own name."""
    FORGERIES.append(Forgery(tell.__name__.replace("_", " "), tell))
    return tell


def forgery_of(run: str) -> Callable[[Lie], Lie]:
    """Add a lie about another kept run than the plain one."""

    def add(tell: Lie) -> Lie:
        FORGERIES.append(Forgery(tell.__name__.replace("_", " "), tell, run))
        return tell

    return add


def forgeries(lies: dict[str, Lie]) -> None:
    """Add lies of a line each."""
    FORGERIES.extend(Forgery(name, tell) for name, tell in lies.items())


def job_in(row: Row) -> str:
    """The job that a row is about, in whatever book."""
    if "job" in row:
        return str(row["job"]["job_id"])
    if row.get("external_id") and "accepted_at" in row:
        return str(row["external_id"]).split(".")[0]
    return str(row.get("job_id"))


def shift(row: Row, seconds: float, *, only: Iterable[str] = _INSTANTS) -> None:
    """Move a generation's instants."""
    for name in only:
        at = instant(row[f"{name}_at"])
        assert at is not None
        row[f"{name}_ts"] = at + seconds
        row[f"{name}_at"] = exactly(at + seconds)
    for sent in row["callbacks"] if len(list(only)) == len(_INSTANTS) else ():
        sent["sent_at"] = moved(sent["sent_at"], seconds)


def moved(text: str, seconds: float) -> str:
    """An instant as text, some seconds later."""
    at = instant(text)
    assert at is not None
    return exactly(at + seconds)
