"""Waits far beyond a run's pace are convicted by name, in runs of which everything else is true."""

import base64
import json
from bisect import bisect_right
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from loadtest.books import raw
from loadtest.books.executions import Execution
from loadtest.books.load import load
from loadtest.books.model import JobFacts
from loadtest.judge.compare import RUN
from loadtest.judge.judge import judge
from loadtest.times import instant
from tests.loadtest.forging.kit import LEDGERS, SIGNALED, Forger, Row, job_in, rewrite
from tests.loadtest.forging.recorded import unpack
from tests.loadtest.synthetic import exactly

PLAIN, LOST, SLOW = "comfyui", "lost-callbacks", "slow-vendor"
LIMITS = {"poll": 2.0}
EPOCH = 1.6e9, 3e9
At = Callable[[JobFacts, Execution], Iterable[float]]


def forger(kind: str, tmp_path: Path) -> Forger:
    return Forger(unpack(kind, tmp_path / "honest"), tmp_path / "run", seed=1)


def waits(f: Forger) -> dict[str, set[str]]:
    """The jobs that each finding about a wait names; nothing else may be found."""
    f.seal()
    found: dict[str, set[str]] = {}
    for each in judge(f.folder).findings:
        found.setdefault(each.rule, set()).add(each.job_id)
    return found


def pause(f: Forger, at: At, seconds: float, *, jobs: int | None = None) -> None:
    """The whole world stands still for some seconds at these instants of the jobs, so that each
    book still agrees with the others."""
    runs = [(job, run) for job in load(f.folder).jobs for run in job.executions][:jobs]
    pauses = sorted(each for job, run in runs for each in at(job, run))

    def later(value: float) -> float:
        return value + seconds * bisect_right(pauses, value)

    def moved(value: Any) -> Any:
        match value:
            case dict():
                if isinstance(data := value.get("data"), str) and "metadata" in value:
                    inside = json.loads(base64.b64decode(data) or b"null")
                    text = json.dumps(moved(inside), ensure_ascii=False)
                    return value | {"data": base64.b64encode(text.encode()).decode()}
                if value.keys() == {"seconds", "nanos"}:
                    nanos = round(later(value["seconds"] + value["nanos"] / 1e9) * 1e9)
                    return {"seconds": nanos // 10**9, "nanos": nanos % 10**9}
                return {key: moved(each) for key, each in value.items()}
            case list():
                return [moved(each) for each in value]
            case str() if value[:2] == "20" and (moment := instant(value)) is not None:
                return exactly(later(moment))
            case float() | int() if EPOCH[0] < value < EPOCH[1]:
                return later(value)
            case float() | int() if EPOCH[0] < value / 1000 < EPOCH[1]:
                return round(later(value / 1000) * 1000)
            case _:
                return value

    for path in [*f.folder.histories.iterdir(), *f.folder.raw.iterdir()]:
        text = path.read_text("utf-8")
        if path.suffix == ".jsonl":
            rows = [json.loads(line) for line in text.splitlines()]
            if path.name == raw.CLOCKS:
                for row in rows:
                    if row["service"] == "runner":
                        row["theirs"] += later(row["sent_at"]) - row["sent_at"]
            text = "".join(f"{json.dumps(moved(row), ensure_ascii=False)}\n" for row in rows)
        else:
            text = json.dumps(moved(json.loads(text)), ensure_ascii=False)
        path.write_text(text, "utf-8")


def before_permit(job: JobFacts, run: Execution) -> Iterable[float]:
    return [(run.granted or 0) - 1e-4]


def behind_permit(job: JobFacts, run: Execution) -> Iterable[float]:
    return [(run.granted or 0) + 1e-4]


def before_close(job: JobFacts, run: Execution) -> Iterable[float]:
    return [(run.closed or 0) - 1e-4]


def before_signal(job: JobFacts, run: Execution) -> Iterable[float]:
    return [each.at - 1e-4 for each in run.called_back]


def behind_order(job: JobFacts, run: Execution) -> Iterable[float]:
    return [run.orders[0].at + 1e-4]


def behind_acceptance(job: JobFacts, run: Execution) -> Iterable[float]:
    return [(each.accepted or 0) + 1e-4 for each in job.of("video")]


def amid_the_video(job: JobFacts, run: Execution) -> Iterable[float]:
    return [(each.started or 0) + each.seconds / 2 for each in job.of("video")]


def behind_image(job: JobFacts, run: Execution) -> Iterable[float]:
    return [(each.finished or 0) + 1e-4 for each in job.of("image")]


def behind_video(job: JobFacts, run: Execution) -> Iterable[float]:
    return [(each.finished or 0) + 1e-4 for each in job.of("video")]


def behind_last_signal(job: JobFacts, run: Execution) -> Iterable[float]:
    return [run.called_back[-1].at + 1e-4]


def behind_failure(job: JobFacts, run: Execution) -> Iterable[float]:
    return [each.at + 1e-4 for each in run.called_back if each.change[1] == "failed"]


@pytest.mark.parametrize(
    ("kind", "at", "seconds", "rule"),
    [
        (PLAIN, before_permit, 0.6, "permit"),
        (PLAIN, behind_permit, 0.6, "order"),
        (PLAIN, behind_order, 0.6, "acceptance"),
        (PLAIN, behind_image, 2.0, "stage"),
        (PLAIN, before_signal, 0.6, "callback"),
        (PLAIN, before_close, 0.6, "close"),
        (PLAIN, behind_last_signal, 2.0, "end"),
        (LOST, behind_video, 8.0, "end"),
        ("failing-generations", behind_failure, 2.0, "heard"),
    ],
)
def test_wait_of_each_job_is_convicted(
    tmp_path: Path, kind: str, at: At, seconds: float, rule: str
) -> None:
    f = forger(kind, tmp_path)
    for job_id in f.order if kind == LOST else ():
        f.orders(job_id, lambda body: (body.get("order") or body).update(limits=LIMITS))
    pause(f, at, seconds)

    assert waits(f) == {f"waits.{rule}": set(f.order)}


@pytest.mark.parametrize(("every", "accused"), [(3, True), (5, False)])
def test_long_wait_of_each_third_job_is_convicted(
    tmp_path: Path, *, every: int, accused: bool
) -> None:
    f = forger("hopeless-generations", tmp_path)
    kept = {job.job_id for place, job in enumerate(load(f.folder).jobs) if place % every == 0}
    pause(f, lambda job, run: before_close(job, run) if job.job_id in kept else (), 3.0)

    assert ("waits.close" in waits(f)) == accused


@pytest.mark.parametrize(("seconds", "jobs"), [(0.2, None), (3.0, 2)])
@pytest.mark.parametrize("at", [before_permit, behind_permit, before_close, before_signal])
def test_short_waits_and_those_of_few_jobs_are_innocent(
    tmp_path: Path, at: At, seconds: float, jobs: int | None
) -> None:
    f = forger(PLAIN, tmp_path)
    pause(f, at, seconds, jobs=jobs)

    assert waits(f) == {}


@pytest.mark.parametrize(
    ("at", "fields"),
    [
        (behind_acceptance, {"started_at", "finished_at"}),
        (amid_the_video, {"finished_at"}),
        (behind_video, {"callbacks[].sent_at"}),
    ],
)
def test_wait_of_one_job_inside_a_mock_is_convicted(
    tmp_path: Path, at: At, fields: set[str]
) -> None:
    f = forger(PLAIN, tmp_path)
    pause(f, at, 12.0, jobs=1)
    f.each(LEDGERS[1], lambda row: row.update(seconds=row["finished_ts"] - row["accepted_ts"]))

    job_id = load(f.folder).jobs[0].job_id
    assert waits(f) == {f"video_ledger.{field}": {job_id} for field in fields}


@pytest.mark.parametrize(("gone", "seconds"), [(True, 1.5), (True, 0.3), (False, 1.5)])
def test_wait_of_one_job_while_a_worker_was_gone_is_convicted(
    tmp_path: Path, *, gone: bool, seconds: float
) -> None:
    """Its history has one try, by the worker that went on."""
    f = forger(PLAIN, tmp_path)
    f.each(LEDGERS[0], lambda row: row.update(reported_at=exactly(row["finished_ts"] + 2e-3)))
    job = load(f.folder).jobs[2]
    pause(f, lambda each, _: [at + 0.01 for at in ends(each)] * (each == job), seconds)
    [ended] = ends(load(f.folder).jobs[2])

    def second(rows: list[Row]) -> None:
        for row in [row for row in rows if row["name"] == "worker"]:
            left = 5.0 if not gone or row["at"] < ended else 0.1
            rows.append(row | {"name": "worker-2", "cpu": row["cpu"] + left})

    f.edit(raw.PROCESSES, second)
    f.json(raw.RUN, lambda run: run["code"]["services"].update({"worker-2": {}}))

    accused = gone and seconds > 1
    assert waits(f) == ({"waits.gone": {job.job_id}} if accused else {})


def ends(job: JobFacts) -> list[float]:
    return [each.finished or 0 for each in job.of("image")]


@pytest.mark.parametrize(("seconds", "accused"), [(3.0, False), (4.5, True)])
def test_place_that_was_free_beside_a_job_is_convicted(
    tmp_path: Path, *, seconds: float, accused: bool
) -> None:
    """Seven looks show it, and no service was busy."""
    f = forger(PLAIN, tmp_path)
    runs = sorted(run.granted or 0.0 for job in load(f.folder).jobs for run in job.executions)
    pause(f, lambda _, run: before_permit(_, run) if run.granted == runs[2] else (), seconds)
    view = {"stage": 0, "limit": 1, "paused": False, "holders": [], "draining": 0, "waiting": 3}
    ats = (runs[2] + (seconds - 0.2) * part / 6 for part in range(7))
    f.put(raw.SLOTS, sorted([*f.rows(raw.SLOTS), *(view | {"at": at} for at in ats)], key=_at))

    assert waits(f) == ({"slots.limit": {RUN}} if accused else {})


def _at(row: Row) -> float:
    return float(row["at"])


def test_feed_that_lags_is_convicted(tmp_path: Path) -> None:
    f = forger(PLAIN, tmp_path)
    f.each(raw.FRAMES, lambda row: row.update(at=row["at"] + 3))
    end = max(row["at"] for row in f.rows(raw.FRAMES)) + 1
    f.each(raw.STAGES, lambda row: row.update(ended_at=end))
    f.json(raw.RUN, lambda run: run.update(ended_at=end + 1))

    assert waits(f)["waits.feed"] == set(f.order)


def test_feed_of_a_bucket_may_lag(tmp_path: Path) -> None:
    f = forger(PLAIN, tmp_path)
    f.each(raw.FRAMES, lambda row: row.update(at=row["at"] + 3))
    f.json(raw.RUN, lambda run: run["environment"].update(store="bucket"))

    assert "waits.feed" not in waits(f)


def test_version_that_is_only_shown_with_the_next_one_is_convicted(tmp_path: Path) -> None:
    f = forger(PLAIN, tmp_path)

    def with_the_next(rows: list[Row]) -> None:
        shown = {(row["job_id"], row["version"]): row["at"] for row in rows}
        for row in rows:
            if row["version"] == 2:
                row["at"] = shown[row["job_id"], 3] - 1e-4

    f.edit(raw.FRAMES, with_the_next)
    assert waits(f)["waits.begin"] == set(f.order)


def test_job_that_the_feed_shows_at_its_end_only_is_convicted(tmp_path: Path) -> None:
    f = forger(PLAIN, tmp_path)
    silent = f.order[2]
    last = max(row["version"] for row in f.rows(raw.FRAMES) if job_in(row) == silent)
    f.edit(
        raw.FRAMES,
        lambda rows: rows.__setitem__(
            slice(None),
            [row for row in rows if job_in(row) != silent or row["version"] == last],
        ),
    )

    assert waits(f) == {"waits.silent": {silent}}


@pytest.mark.parametrize(
    ("rule", "change", "jobs"),
    [
        ("percent", lambda percent: percent - 20, None),
        ("early", lambda percent: percent + 5, None),
        # A slow machine makes no report too early, so one job is enough.
        ("early", lambda percent: percent + 20, 1),
    ],
)
def test_percent_that_is_not_the_generations_is_convicted(
    tmp_path: Path, rule: str, change: Callable[[int], int], jobs: int | None
) -> None:
    f = forger(SLOW, tmp_path)

    def turned(event: Row) -> None:
        rewrite(event[SIGNALED]["input"], lambda body: body.update(percent=change(body["percent"])))

    for job_id in f.order[:jobs]:
        f.signals(job_id, "report_progress", turned)

    assert waits(f)[f"waits.{rule}"] == set(f.order[:jobs])
