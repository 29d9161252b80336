"""Raw records of a healthy run without any stack, to be forged by tests."""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.books import raw, seal
from loadtest.books.raw import RunFolder
from loadtest.judge.judge import Judgement
from loadtest.run.plan import Options, Plan
from loadtest.times import instant, timestamp

STEPS = ("image", "video")
IMAGE, VIDEO = 0.3, 0.7
BYTES = 9
Row = dict[str, Any]


@dataclass(frozen=True)
class Times:
    """The instants of a job."""

    planned: float
    start: float
    image_end: float
    video_start: float
    video_end: float
    end: float

    @classmethod
    def of(cls, planned: float, *, start: float) -> "Times":
        image_end = start + IMAGE
        video_start = image_end + 0.02
        video_end = video_start + VIDEO
        return cls(planned, start, image_end, video_start, video_end, video_end + 0.03)

    @property
    def made(self) -> float:
        return self.planned + 0.005

    @property
    def granted(self) -> float:
        return self.start - 0.01


def token(name: str) -> int:
    """A whole number that grows from job to job, as the semaphore's tokens do."""
    return int(name.rpartition("-")[2], 16)


def job_submit(name: str, prompt: str, times: Times) -> Row:
    return {
        "prompt": prompt,
        "planned_at": times.planned,
        "sent_at": times.planned + 0.001,
        "answered_at": times.planned + 0.01,
        "tries": 1,
        "status": 202,
        "job_id": name,
        "problem": None,
    }


def job_record(name: str, prompt: str, times: Times) -> Row:
    """The job's JSON record; without its last fields, the job as the API lists it."""
    made, begun = timestamp(times.made), timestamp(times.start - 0.005)
    ended = timestamp(times.end - 0.005)
    changes = [
        (1, made, "queued", None, 0),
        (2, begun, "running", "image", 0),
        (3, ended, "succeeded", "video", 100),
    ]
    transitions = [
        {"version": v, "at": at, "status": status, "step": step, "percent": percent}
        | {"attempt": 1 if step else 0}
        for v, at, status, step, percent in changes
    ]
    return {
        "job_id": name,
        "prompt": prompt,
        "status": "succeeded",
        "step": "video",
        "percent": 100,
        "attempts": {"image": 1, "video": 1},
        "error": None,
        "created_at": made,
        "started_at": begun,
        "finished_at": ended,
        "version": 3,
        "token": token(name),
        "tasks": {f"{name}.video.1": f"video-{name}"},
        "transitions": transitions,
        "assets": {kind: {"sha256": f"{kind}{name}", "size": BYTES} for kind in STEPS},
    }


def job_frames(record: Row) -> list[Row]:
    keys = ("version", "status", "step", "percent")
    return [
        {"source": "ws", "at": instant(change["at"]), "job_id": record["job_id"]}
        | {key: change[key] for key in keys}
        for change in record["transitions"]
    ]


def job_files(name: str) -> list[Row]:
    return [
        {"job_id": name, "kind": kind, "bytes": BYTES, "sha256": f"{kind}{name}", "problem": None}
        for kind in STEPS
    ]


def job_listed(name: str, times: Times) -> Row:
    row = {"job_id": name, "run_id": f"r-{name}", "status": "COMPLETED"}
    return row | {"started": times.made, "closed": times.end}


def job_summary(name: str, times: Times) -> Row:
    activities = [
        {"type": kind, "scheduled": begin, "started": begin, "ended": end}
        | {"attempt": 1, "outcome": "completed"}
        for kind, begin, end in _activities(times)
    ]
    return {
        **job_listed(name, times),
        "asked": times.planned + 0.01,
        "granted": times.granted,
        "signals": [["slot_granted", times.granted], ["kling_done", times.video_end + 0.01]],
        "activities": activities,
        "orders": [{"step": step, "attempt": 1, "token": token(name)} for step in STEPS],
        "results": [{"vendor_id": f"{s}-{name}", "sha256": f"{s}{name}"} for s in STEPS],
        "hops": [0.012, 0.013],
        "events": len(job_events(times)),
        "workflow_tasks": 8,
        "bytes": 9000,
    }


def _activities(times: Times) -> list[tuple[str, float, float]]:
    return [
        ("gen_image", times.start - 0.005, times.image_end + 0.005),
        ("request_video", times.image_end + 0.01, times.video_start + 0.005),
    ]


def job_events(times: Times) -> list[Row]:
    """The history that the summary was made of, as far as it is read again."""
    found: list[tuple[float, str, Row]] = [
        (times.made, "WORKFLOW_EXECUTION_STARTED", {}),
        _signal("slot_granted", times.granted),
    ]
    for kind, begin, end in _activities(times):
        place = str(len(found) + 1)
        scheduled = {"activityTaskScheduledEventAttributes": {"activityType": {"name": kind}}}
        started = {"scheduledEventId": place, "attempt": 1}
        found += [
            (begin, "ACTIVITY_TASK_SCHEDULED", scheduled),
            (begin, "ACTIVITY_TASK_STARTED", {"activityTaskStartedEventAttributes": started}),
            (
                end,
                "ACTIVITY_TASK_COMPLETED",
                {"activityTaskCompletedEventAttributes": {"scheduledEventId": place}},
            ),
        ]
    found += [
        _signal("kling_done", times.video_end + 0.01),
        (times.end, "WORKFLOW_EXECUTION_COMPLETED", {}),
    ]
    return [
        {"eventId": str(number), "eventTime": at, "eventType": f"EVENT_TYPE_{kind}", **attributes}
        for number, (at, kind, attributes) in enumerate(found, 1)
    ]


def _signal(name: str, at: float) -> tuple[float, str, Row]:
    attributes = {"workflowExecutionSignaledEventAttributes": {"signalName": name}}
    return at, "WORKFLOW_EXECUTION_SIGNALED", attributes


def job_generation(name: str, step: str, prompt: str, *, times: Times) -> Row:
    image = step == "image"
    accepted, end = (
        (times.start, times.image_end) if image else (times.video_start, times.video_end)
    )
    sent = [("submitted", accepted), ("processing", accepted + 0.01), ("succeed", end)]
    callbacks = [
        {"status": status, "sent_at": at, "reply": 200, "error": None} for status, at in sent
    ]
    return {
        "job_id": f"{step}-{name}",
        "external_id": f"{name}.{step}.1",
        "prompt": prompt,
        "token": token(name),
        "accepted_at": accepted,
        "started_at": accepted + 0.001,
        "finished_at": end,
        "outcome": "succeeded",
        "charged": True,
        "sha256": f"{step}{name}",
        "source_sha256": None if image else f"image{name}",
        "callbacks": [] if image else callbacks,
    }


def job_receipts(name: str, times: Times) -> list[Row]:
    return [
        {"received_at": at, "job_id": name, "task_id": f"video-{name}"}
        | {"task_status": status, "fate": "applied"}
        for status, at in (
            ("submitted", times.video_start + 0.002),
            ("processing", times.video_start + 0.012),
            ("succeed", times.video_end + 0.005),
        )
    ]


T0 = 1_790_000_000.0
GAP = 0.04


def job_id(stage: int, index: int) -> str:
    return f"job-{stage:04x}{index:020x}"


class Synthetic:
    """A run with a limit of one: job after job, everything noted in every book."""

    def __init__(
        self,
        reports: Path,
        *,
        plan: Plan | None = None,
        mocks: Collection[str] = STEPS,
        run_id: str = "run",
    ) -> None:
        self.plan = plan or Options(stages="3", seed="7").plan()
        self.folder = RunFolder.create(reports, run_id)
        self.mocks = mocks
        self.at = T0
        self.command = "make test-3 SEED=7"

    def write(self) -> "Synthetic":
        """Write the raw records of all stages."""
        for stage, count in enumerate(self.plan.stages):
            self._stage(stage, count)
        self.folder.append(raw.CLOCKS, _readings(T0, self.at, self.mocks))
        self.folder.write(raw.VENDORS, _vendors(self.plan.jobs, self.mocks))
        self.folder.write(
            raw.RUN,
            {
                "schema": raw.SCHEMA,
                "run_id": self.folder.path.name,
                "command": self.command,
                "plan": json.loads(self.plan.model_dump_json()),
                "began_at": T0,
                "ended_at": self.at,
                "mocks": [*self.mocks],
                "temporal_ui": "http://127.0.0.1:8080",
                "namespace": "default",
                "environment": {"server": "1.32.0", "sdk": "1.35.0", "cores": 2, "code": "abc"},
                "faults": {"image": {"rules": []}, "video": {"rules": []}},
                "limit": 1,
                "vendors_before": {step: _totals(0) for step in self.mocks},
                "why": "done",
                "unread": [],
            },
        )
        seal.write(self.folder)
        return self

    def edit(self, name: str, change: Callable[[list[Row]], object]) -> None:
        """Forge one raw file: `change` edits its rows in place."""
        rows = list(self.folder.rows(name))
        change(rows)
        (self.folder.raw / name).unlink(missing_ok=True)
        self.folder.append(name, rows)
        seal.write(self.folder)

    def add(self, name: str, rows: list[Row]) -> None:
        """Forge one raw file by rows behind its last."""
        self.edit(name, lambda there: there.extend(rows))

    def replace(self, name: str, value: object) -> None:
        """Forge one raw JSON file."""
        self.folder.write(name, value)
        seal.write(self.folder)

    def _stage(self, stage: int, count: int) -> None:
        began, planned = self.at, self.at + 0.01
        self.at = planned + 0.05
        many = count > raw.KEEP_ALL_HISTORIES
        samples: list[Row] = []
        for index in range(count):
            times = self._job(stage, index, planned + self.plan.offset(index))
            samples.append({"at": times.start + 0.1, "stage": stage, "limit": 1})
            samples[-1] |= {"holders": [job_id(stage, index)], "waiting": None}
            if not many or index % raw.KEEP_EVERY == 0:
                self._history(job_id(stage, index), times)
            self.at += GAP
        self.folder.append(raw.SLOTS, samples)
        slots = {"limit": 1, "paused": False, "holders": [], "draining": 0, "waiting": 0}
        row = {"stage": stage, "jobs": count, "tag": f"load-run-{stage + 1}", "began_at": began}
        row |= {"ended_at": self.at, "why": "done", "slots_before": slots, "slots_after": slots}
        self.folder.append(raw.STAGES, [row])

    def _job(self, stage: int, index: int, planned: float) -> Times:
        name, prompt = job_id(stage, index), f"纸船 {index + 1}"
        times = Times.of(planned, start=max(self.at, planned + 0.05))
        self.at = times.end
        key = f"{self.folder.path.name}-{stage}-{index}"
        submit = job_submit(name, prompt, times)
        self.folder.append(raw.SUBMITS, [submit | {"stage": stage, "index": index, "key": key}])
        record = job_record(name, prompt, times)
        job = {k: v for k, v in record.items() if k not in ("transitions", "assets", "tasks")}
        self.folder.append(raw.JOBS, [{"stage": stage, "listed": True, "job": job}])
        self.folder.append(raw.STATES, [{"job_id": name, "problem": None, "record": record}])
        self.folder.append(raw.FRAMES, job_frames(record))
        listed = job_listed(name, times)
        self.folder.append(raw.EXECUTIONS, [listed | {"tag": f"load-run-{stage + 1}"}])
        self.folder.append(raw.TEMPORAL, [job_summary(name, times)])
        self.folder.append(raw.FILES, job_files(name))
        for step in self.mocks:
            row = job_generation(name, step, prompt, times=times)
            self.folder.append(raw.LEDGERS[step], [row])
        self.folder.append(raw.RECEIPTS, job_receipts(name, times))
        return times

    def _history(self, name: str, times: Times) -> None:
        text = json.dumps({"events": job_events(times)})
        (self.folder.histories / f"{name}.json").write_text(text, "utf-8")


def _readings(began: float, ended: float, mocks: Collection[str]) -> list[Row]:
    """Both vendors' clocks are the runner's, as far as a request's way lets anybody see."""
    return [
        {"service": step, "moment": moment, "sent_at": at, "answered_at": at, "theirs": at}
        for moment, at in (("begin", began), ("end", ended))
        for step in mocks
    ]


def _totals(made: int) -> Row:
    counts = {"accepted": made, "charged": made, "in_flight": 0, "max_in_flight": min(made, 1)}
    return counts | {"duplicates": 0, "ledger_dropped": 0}


def _vendors(made: int, mocks: Collection[str]) -> Row:
    verdict = {"ok": True, "charged_twice": [], "charged": made, "open": 0}
    fine = {"verdict": verdict, "faults_recorded": 0, "faults_remembered": 0}
    return {step: {"stats": _totals(made), **fine} for step in mocks}


def named(judgement: Judgement, kind: str) -> list[str]:
    """The jobs of all findings of one kind, in their order."""
    return [finding.job_id for finding in judgement.findings if finding.kind == kind]
