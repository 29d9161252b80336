"""Raw records of a healthy run without any stack, to be forged by tests."""

import json
from collections.abc import Callable
from pathlib import Path

from loadtest.books import raw, seal
from loadtest.books.raw import RunFolder
from loadtest.run.plan import Options, Plan
from tests.loadtest import synthetic_job
from tests.loadtest.synthetic_job import STEPS, Row, Times

T0 = 1_790_000_000.0
GAP = 0.04


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
        if self.mocks:
            self.folder.append(raw.CLOCKS, _readings(T0, self.at))
        self.folder.write(raw.VENDORS, _vendors(self.plan.jobs) if self.mocks else {})
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
                "limit": 1,
                "vendors_before": {step: _totals(0) for step in STEPS},
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
        submit = synthetic_job.submit(name, prompt, times)
        self.folder.append(raw.SUBMITS, [submit | {"stage": stage, "index": index, "key": key}])
        record = synthetic_job.record(name, prompt, times)
        job = {k: v for k, v in record.items() if k not in ("transitions", "assets", "tasks")}
        self.folder.append(raw.JOBS, [{"stage": stage, "listed": True, "job": job}])
        self.folder.append(raw.STATES, [{"job_id": name, "problem": None, "record": record}])
        self.folder.append(raw.FRAMES, synthetic_job.frames(record))
        listed = synthetic_job.listed(name, times)
        self.folder.append(raw.EXECUTIONS, [listed | {"tag": f"load-run-{stage + 1}"}])
        self.folder.append(raw.TEMPORAL, [synthetic_job.summary(name, times)])
        self.folder.append(raw.FILES, synthetic_job.files(name))
        if self.mocks:
            for step in STEPS:
                row = synthetic_job.generation(name, step, prompt, times=times)
                self.folder.append(raw.LEDGERS[step], [row])
        self.folder.append(raw.RECEIPTS, synthetic_job.receipts(name, times))
        return times

    def _history(self, name: str, times: Times) -> None:
        text = json.dumps({"events": synthetic_job.events(times)})
        (self.folder.histories / f"{name}.json").write_text(text, "utf-8")


def _readings(began: float, ended: float) -> list[Row]:
    """Both vendors' clocks are the runner's, as far as a request's way lets anybody see."""
    return [
        {"service": step, "moment": moment, "sent_at": at, "answered_at": at, "theirs": at}
        for moment, at in (("begin", began), ("end", ended))
        for step in STEPS
    ]


def _totals(made: int) -> Row:
    counts = {"accepted": made, "charged": made, "in_flight": 0, "max_in_flight": min(made, 1)}
    return counts | {"duplicates": 0, "ledger_dropped": 0}


def _vendors(made: int) -> Row:
    verdict = {"ok": True, "charged_twice": [], "charged": made, "open": 0}
    fine = {"verdict": verdict, "faults_recorded": 0, "faults_remembered": 0}
    return {step: {"stats": _totals(made), **fine} for step in STEPS}
