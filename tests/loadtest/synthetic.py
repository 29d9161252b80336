"""Raw records of a healthy run without any stack, to be forged by tests."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loadtest.books import raw, seal
from loadtest.books.raw import RunFolder
from loadtest.run.plan import Options, Plan
from loadtest.times import timestamp

T0 = 1_790_000_000.0
IMAGE, VIDEO, GAP = 0.3, 0.7, 0.04
Row = dict[str, Any]


def job_id(stage: int, index: int) -> str:
    return f"job-{stage:04x}{index:020x}"


class Synthetic:
    """A run with a limit of one: job after job, everything noted in every book."""

    def __init__(
        self, reports: Path, *, plan: Plan | None = None, mocks: bool = True, run_id: str = "run"
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
        self.folder.write(raw.VENDORS, _vendors() if self.mocks else {})
        self.folder.write(
            raw.RUN,
            {
                "schema": raw.SCHEMA,
                "run_id": self.folder.path.name,
                "command": self.command,
                "plan": json.loads(self.plan.model_dump_json()),
                "began_at": T0,
                "ended_at": self.at,
                "mocks": self.mocks,
                "temporal_ui": "http://127.0.0.1:8080",
                "namespace": "default",
                "environment": {"server": "1.32.0", "sdk": "1.35.0", "cores": 2, "code": "abc"},
                "faults": {"image": {"rules": []}, "video": {"rules": []}},
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
        for index in range(count):
            self._job(stage, index, planned + self.plan.offset(index))
            self.at += GAP
        slots = {"limit": 1, "paused": False, "holders": [], "draining": 0, "waiting": 0}
        row = {"stage": stage, "jobs": count, "tag": f"load-run-{stage + 1}", "began_at": began}
        row |= {"ended_at": self.at, "why": "done", "slots_before": slots, "slots_after": slots}
        self.folder.append(raw.STAGES, [row])

    def _job(self, stage: int, index: int, planned: float) -> None:
        name = job_id(stage, index)
        start = max(self.at, planned + 0.05)
        image_end = start + IMAGE
        video_start = image_end + 0.02
        video_end = video_start + VIDEO
        end = video_end + 0.03
        self.at = end
        prompt = f"纸船 {index + 1}"
        self.folder.append(
            raw.SUBMITS,
            [
                {
                    "stage": stage,
                    "index": index,
                    "key": f"k{index}",
                    "prompt": prompt,
                    "planned_at": planned,
                    "sent_at": planned + 0.001,
                    "answered_at": planned + 0.01,
                    "tries": 1,
                    "status": 202,
                    "job_id": name,
                    "problem": None,
                }
            ],
        )
        job = _api(name, planned + 0.005, start - 0.005, end=end - 0.005)
        self.folder.append(raw.JOBS, [{"stage": stage, "listed": True, "job": job}])
        self.folder.append(
            raw.EXECUTIONS,
            [{"tag": f"load-run-{stage + 1}", "job_id": name, "run_id": f"r-{name}"}],
        )
        self.folder.append(
            raw.TEMPORAL, [_temporal(name, planned, start=start, video_end=video_end, end=end)]
        )
        self.folder.append(raw.STATES, [{"job_id": name, "problem": None, "record": _record(job)}])
        for kind in ("image", "video"):
            self.folder.append(
                raw.FILES,
                [
                    {
                        "job_id": name,
                        "kind": kind,
                        "bytes": 9,
                        "sha256": f"{kind}{name}",
                        "problem": None,
                    }
                ],
            )
        if self.mocks:
            image = _ledger(name, "image", start, end=image_end)
            video = _ledger(name, "video", video_start, end=video_end)
            self.folder.append(raw.LEDGERS["image"], [image])
            self.folder.append(raw.LEDGERS["video"], [video])
        self.folder.append(raw.RECEIPTS, _receipts(name, video_start, video_end=video_end))


def _vendors() -> Row:
    fine = {"stats": {"ledger_dropped": 0}, "verdict": {"ok": True, "charged_twice": []}}
    fine |= {"faults_recorded": 0, "faults_remembered": 0}
    return {"image": fine, "video": fine}


def _api(name: str, created: float, started: float, *, end: float) -> Row:
    return {
        "job_id": name,
        "prompt": "纸船",
        "status": "succeeded",
        "attempts": {"image": 1, "video": 1},
        "error": None,
        "created_at": timestamp(created),
        "started_at": timestamp(started),
        "finished_at": timestamp(end),
        "version": 3,
    }


def _record(job: Row) -> Row:
    changes = [
        (1, job["created_at"], "queued", None, 0),
        (2, job["started_at"], "running", "image", 0),
        (3, job["finished_at"], "succeeded", "video", 100),
    ]
    transitions = [
        {"version": v, "at": at, "status": status, "step": step, "percent": percent, "attempt": 1}
        for v, at, status, step, percent in changes
    ]
    hashes = {kind: {"sha256": f"{kind}{job['job_id']}"} for kind in ("image", "video")}
    return {**job, "transitions": transitions, "assets": hashes}


def _temporal(name: str, created: float, *, start: float, video_end: float, end: float) -> Row:
    return {
        "job_id": name,
        "run_id": f"r-{name}",
        "status": "COMPLETED",
        "started": created,
        "closed": end,
        "asked": created + 0.01,
        "granted": start - 0.01,
        "signals": [["slot_granted", start - 0.01], ["kling_done", video_end + 0.01]],
        "activities": [],
        "hops": [0.012, 0.013],
        "events": 40,
        "workflow_tasks": 8,
        "bytes": 9000,
    }


def _ledger(name: str, step: str, accepted: float, *, end: float) -> Row:
    sent = [("submitted", accepted), ("processing", accepted + 0.01), ("succeed", end)]
    callbacks = [
        {"status": s, "sent_at": timestamp(at), "reply": 200, "error": None} for s, at in sent
    ]
    return {
        "job_id": f"{step}-{name}",
        "external_id": f"{name}.{step}.1",
        # A whole number that grows from job to job, as the semaphore's tokens do.
        "token": int(name.rpartition("-")[2], 16),
        "accepted_at": accepted,
        "started_at": accepted + 0.001,
        "finished_at": end,
        "outcome": "succeeded",
        "charged": True,
        "callbacks": callbacks if step == "video" else [],
    }


def _receipts(name: str, video_start: float, *, video_end: float) -> list[Row]:
    return [
        {
            "received_at": at,
            "job_id": name,
            "task_id": f"video-{name}",
            "task_status": status,
            "fate": "applied",
        }
        for status, at in (
            ("submitted", video_start + 0.002),
            ("processing", video_start + 0.012),
            ("succeed", video_end + 0.005),
        )
    ]
