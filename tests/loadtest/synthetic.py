"""Raw records of a healthy run without any stack, to be forged by tests."""

import base64
import hashlib
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from loadtest.books import raw, seal
from loadtest.books.histories import read_file
from loadtest.books.prompts import prompt, style
from loadtest.books.raw import RunFolder
from loadtest.judge.judge import Judgement, judge
from loadtest.judge.shown import drawn_in
from loadtest.report.write import write_report
from loadtest.run.plan import Plan, planned

STEPS = ("image", "video")
IMAGE, VIDEO = 0.3, 0.7
BYTES = 9
JOB_SECONDS = 60.0
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
        """When its run started: after those of the jobs before it, which fixes its turn."""
        return self.planned + 0.005 + (self.start - self.planned) * 1e-5

    @property
    def granted(self) -> float:
        return self.start - 0.01

    @property
    def token(self) -> int:
        """As a semaphore gives it that has just begun to count."""
        return int(self.granted * 1000)

    @property
    def changes(self) -> tuple[float, ...]:
        """When each version was so."""
        return (
            self.made + 0.01,
            self.start - 0.008,
            self.image_end + 0.006,
            self.video_start + 0.006,
            self.video_end + 0.02,
        )


NOTES = (
    "queued",
    "image, attempt 1 of 4",
    "image stored; video, attempt 1 of 4",
    "video accepted, waiting for its callback",
    "video stored",
)


def url(name: str, step: str) -> str:
    return f"http://127.0.0.1:8000/jobs/{name}/{step}"


def asset(name: str, step: str) -> Row:
    kind = "image/png" if step == "image" else "video/mp4"
    return {"size": BYTES, "sha256": f"{step}{name}", "media_type": kind}


def job_record(name: str, told: Row, times: Times) -> Row:
    """The job's JSON record; without its last fields, the job as the API lists it."""
    image, video = url(name, "image"), url(name, "video")
    changes = [
        ("queued", None, 0, 0, 0, None),
        ("running", "image", 0, 1, 0, None),
        ("running", "video", 0, 1, 1, image),
        ("running", "video", 0, 1, 1, image),
        ("succeeded", "video", 100, 1, 1, video),
    ]
    transitions = [
        {"version": v, "at": exactly(at), "status": status, "step": step, "percent": percent}
        | {"attempt": 1 if step else 0, "note": NOTES[v - 1]}
        | {"attempts": {"image": images, "video": videos}, "asset_url": asset_url}
        | {"vendor_position": None, "error": None}
        for v, (at, (status, step, percent, images, videos, asset_url)) in enumerate(
            zip(times.changes, changes, strict=True), 1
        )
    ]
    return {
        "job_id": name,
        "pipeline": "genvideo",
        **{word: told[word] for word in ("prompt", "style", "tag", "priority")},
        "status": "succeeded",
        "step": "video",
        "percent": 100,
        "asset_url": video,
        "queue_position": None,
        "vendor_position": None,
        "attempts": {"image": 1, "video": 1},
        "error": None,
        "created_at": exactly(times.made),
        "started_at": exactly(times.changes[1]),
        "finished_at": exactly(times.changes[-1]),
        "version": 5,
        "input": {"on_video_failure": "fail"},
        "namespace": "default",
        "run_id": f"r-{name}",
        "token": times.token,
        "tasks": {f"{name}.video.1": f"video-{name}"},
        "units": {},
        "transitions": transitions,
        "assets": {kind: asset(name, kind) for kind in STEPS},
    }


RECORD_ONLY = (
    *("input", "namespace", "run_id", "token"),
    *("tasks", "units", "transitions", "assets"),
)


class Story:
    """Events of a history, one behind the other."""

    def __init__(self) -> None:
        self.events: list[Row] = []

    def add(self, at: float, kind: str, **attributes: Any) -> str:
        """Add an event; its number."""
        number = str(len(self.events) + 1)
        head, *rest = kind.lower().split("_")
        name = f"{head}{''.join(map(str.capitalize, rest))}EventAttributes"
        summary = attributes.pop("summary", None)
        event: Row = {
            "eventId": number,
            "eventTime": exactly(at),
            "eventType": f"EVENT_TYPE_{kind}",
        }
        self.events.append(event | {name: attributes})
        if summary is not None:
            self.events[-1]["userMetadata"] = {"summary": payload(summary)}
        return number

    def task(self, at: float) -> str:
        """A workflow task that begins now; the number of its completion."""
        scheduled = self.add(at - 0.001, "WORKFLOW_TASK_SCHEDULED")
        started = self.add(
            at, "WORKFLOW_TASK_STARTED", scheduledEventId=scheduled, identity="2@worker"
        )
        return self.add(
            at + 0.001,
            "WORKFLOW_TASK_COMPLETED",
            scheduledEventId=scheduled,
            startedEventId=started,
        )

    def local(self, task: str, kind: str, done: float, *, result: Row, summary: str) -> None:
        data = {
            "activity_type": kind,
            "complete_time": {"seconds": int(done), "nanos": round(done % 1 * 1e9)},
        }
        self.add(
            done,
            "MARKER_RECORDED",
            workflowTaskCompletedEventId=task,
            details={"data": payloads(data), "result": payloads(result)},
            summary=summary,
        )

    def activity(self, task: str, kind: str, begin: float, end: float | None, **more: Row) -> None:
        number = self.add(
            begin,
            "ACTIVITY_TASK_SCHEDULED",
            activityType={"name": kind},
            heartbeatTimeout="30s",
            workflowTaskCompletedEventId=task,
            input=payloads(more["input"]),
        )
        if end is not None:
            self.add(
                begin,
                "ACTIVITY_TASK_STARTED",
                scheduledEventId=number,
                attempt=1,
                identity="2@worker",
            )
            self.add(
                end,
                "ACTIVITY_TASK_COMPLETED",
                scheduledEventId=number,
                result=payloads(more["result"]),
            )

    def signal(self, name: str, at: float, body: Row) -> None:
        self.add(at, "WORKFLOW_EXECUTION_SIGNALED", signalName=name, input=payloads(body))


def put(body: Any, *path: str | int, **values: Any) -> None:
    """Set these values below a path; a function makes a new value of the old."""
    for step in path:
        body = body[step]
    for key, value in values.items():
        body[key] = value(body[key]) if callable(value) else value


def payload(value: object) -> Row:
    data = base64.b64encode(json.dumps(value, ensure_ascii=False).encode()).decode()
    return {"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": data}


def payloads(value: object) -> Row:
    return {"payloads": [payload(value)]}


def job_events(name: str, told: Row, times: Times) -> list[Row]:
    """The history of a job that nothing disturbed."""
    story, at = Story(), times.changes
    run = {"job_id": name, "run_id": f"r-{name}"}
    kept = {"attempts": {"image": 0, "video": 0}}
    entered = {"recorded": kept, "limits": {"job_seconds": JOB_SECONDS}}
    story.add(
        times.made,
        "WORKFLOW_EXECUTION_STARTED",
        workflowType={"name": "GenVideoWorkflow"},
        originalExecutionRunId=f"r-{name}",
        identity="1@api",
        input=payloads(told),
        searchAttributes={
            "indexedFields": {"CustomTag": payload(told.get("tag")), "CustomProgress": payload(0)}
        },
    )
    task = story.task(at[0])
    done = times.planned + 0.02
    story.local(task, "enter_queue", done, result=entered, summary=f"version 1: {NOTES[0]}")
    story.signal("granted:job", times.granted, run | {"name": "job", "token": times.token})
    request = run | {"priority": told.get("priority")}
    order: Row = {"request": request, "attempt": 1, "token": times.token, "job": told}
    task = story.task(at[1])
    story.local(task, "record_state", at[1], result=kept, summary=f"version 2: {NOTES[1]}")
    image = {"vendor_id": f"image-{name}", "asset": asset(name, "image"), "units": {}}
    story.activity(
        task,
        "gen_image",
        times.start - 0.005,
        times.image_end + 0.005,
        input=order | {"stage": "image"},
        result=image | {"asset_url": url(name, "image")},
    )
    story.add(
        times.start - 0.005,
        "TIMER_STARTED",
        startToFireTimeout=f"{JOB_SECONDS:g}s",
        summary="the job may take 0:01:00 from the slot on",
    )
    task = story.task(at[2])
    story.local(task, "record_state", at[2], result=kept, summary=f"version 3: {NOTES[2]}")
    accepted: Row = {"vendor_id": f"video-{name}", "accepted_at": times.video_start}
    story.activity(
        task,
        "request_video",
        times.image_end + 0.01,
        times.video_start + 0.005,
        input=order | {"stage": "video"},
        result=accepted,
    )
    task = story.task(at[3])
    story.local(task, "record_state", at[3], result=kept, summary=f"version 4: {NOTES[3]}")
    watch = {"order": order | {"stage": "video"}, "accepted": accepted}
    story.activity(task, "collect_video", times.video_start + 0.008, None, input=watch)
    ended: Row = {"external_id": f"{name}.video.1", "task_id": f"video-{name}"}
    ended |= {"task_status": "succeed", "updated_at": round(times.video_end * 1000)}
    story.signal("kling_done", times.video_end + 0.01, ended)
    task = story.task(times.video_end + 0.012)
    video = {"vendor_id": f"video-{name}", "asset": asset(name, "video"), "units": {}}
    video["asset_url"] = url(name, "video")
    story.local(task, "fetch_video", at[4], result=video, summary="video: it has ended, fetch")
    percent = {"indexedFields": {"CustomProgress": payload(100)}}
    story.add(at[4], "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES", searchAttributes=percent)
    story.local(task, "record_state", at[4], result=kept, summary=f"version 5: {NOTES[4]}")
    result: Row = {"step": "video", "status": "succeeded", "percent": 100, "version": 5}
    result |= {"asset_url": url(name, "video"), "attempts": {"image": 1, "video": 1}}
    story.add(times.end, "WORKFLOW_EXECUTION_COMPLETED", result=payloads(result))
    return story.events


def job_generation(name: str, step: str, told: Row, *, times: Times) -> Row:
    image = step == "image"
    accepted, end = (
        (times.start, times.image_end) if image else (times.video_start, times.video_end)
    )
    sent = [("processing", accepted + 0.01), ("succeed", end)]
    callbacks = [
        {"delivery_id": f"msg_{name}_{status}", "status": status, "note": "", "sent_at": at}
        | {"reply": 200, "error": None}
        for status, at in sent
    ]
    return {
        "job_id": f"{step}-{name}",
        "external_id": f"{name}.{step}.1",
        "job_key": f"key-{name}",
        "attempt": 1,
        "prompt": told["prompt"],
        "style": told["style"] if image else "",
        "token": times.token,
        "accepted_at": accepted,
        "started_at": accepted + 0.001,
        "finished_at": end,
        "accepted_ts": accepted,
        "started_ts": accepted + 0.001,
        "finished_ts": end,
        "seconds": round(end - accepted, 6),
        "outcome": "succeeded",
        "error": None,
        "charged": True,
        "units": None if image else "2",
        "duplicate": False,
        "calls_back": not image,
        # The words in a picture's file are not stored.
        "sha256": f"drawn{name}" if image else f"{step}{name}",
        "source_sha256": None if image else f"drawn{name}",
        "shows": f"{step} of {name}",
        "source_shows": None if image else f"image of {name}",
        "callbacks": [] if image else callbacks,
    }


def job_receipts(name: str, times: Times) -> list[Row]:
    return [
        {"received_at": exactly(at), "job_id": name, "task_id": f"video-{name}"}
        | {"task_status": status, "fate": "applied", "external_id": f"{name}.video.1"}
        | {"updated_at": round(so * 1000), "decided": True}
        for status, at, so in (
            ("processing", times.video_start + 0.012, times.video_start + 0.01),
            ("succeed", times.video_end + 0.005, times.video_end),
        )
    ]


def exactly(at: float) -> str:
    """An instant as the services write it, to the microsecond."""
    moment = datetime.fromtimestamp(at, UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


T0 = 1_790_000_000.0
GAP = 0.04


def job_id(stage: int, index: int, run_id: str = "run") -> str:
    """The job of a submission, as it follows from its key."""
    key = f"{run_id}-{stage}-{index}"
    return f"job-{hashlib.sha256(key.encode()).hexdigest()[:24]}"


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
        self.plan = plan or planned("3", seed="7")
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
                "pipeline": "genvideo",
                "stages": [
                    {"name": step, "vendor": step, "called_back": step == "video"} for step in STEPS
                ],
                "began_at": T0,
                "ended_at": self.at,
                "mocks": [*self.mocks],
                "temporal_ui": "http://127.0.0.1:8080",
                "namespace": "default",
                "environment": {"server": "1.32.0", "shards": 1, "sdk": "1.35.0", "code": "abc"},
                "faults": {"image": {"rules": []}, "video": {"rules": []}},
                "limit": 1,
                "vendors_before": {step: _totals(0) for step in self.mocks},
                "why": "done",
                "unread": [],
            },
        )
        # Its jobs are all submitted at once.
        self.told(raw.RUN, "plan", concurrency=max(1, self.plan.jobs))
        kept = self.plan.jobs
        self.folder.write(raw.REPLAY, {"replayed": kept, "kept": kept, "failures": {}})
        seal.write(self.folder)
        return self

    def drawn(self, name: str = "report.html") -> str:
        """Judge the run, write its report, and return one of its files."""
        write_report(self.folder, judge(self.folder))
        return (self.folder.path / name).read_text("utf-8")

    def history(self, name: str, change: Callable[[list[Row]], object]) -> None:
        """Forge one history: `change` edits its events in place; they get new numbers."""
        path = self.folder.histories / f"{name}.json"
        events = json.loads(path.read_text("utf-8"))["events"]
        change(events)
        told = [event | {"eventId": str(number)} for number, event in enumerate(events, 1)]
        path.write_text(json.dumps({"events": told}), "utf-8")
        seal.write(self.folder)

    def edit(self, name: str, change: Callable[[list[Row]], object]) -> None:
        """Forge one raw file: `change` edits its rows in place."""
        rows = list(self.folder.rows(name))
        change(rows)
        (self.folder.raw / name).unlink(missing_ok=True)
        self.folder.append(name, rows)
        seal.write(self.folder)

    def change(self, name: str, place: int, *path: str | int, **values: Any) -> None:
        """Forge one row of a raw file, below a path; a function makes a new value of the old."""
        self.edit(name, lambda rows: put(rows[place], *path, **values))

    def told(self, name: str, *path: str | int, **values: Any) -> None:
        """Forge one raw JSON file, below a path."""
        body = self.folder.read(name)
        put(body, *path, **values)
        self.replace(name, body)

    def edit_runs(self, change: Callable[[list[Row]], object]) -> None:
        """Forge a few instants of each history; a row that is new is a run without work."""
        paths = {_run_of(path)["run_id"]: path for path in self.folder.histories.glob("*.json")}
        before = {run_id: _run_of(path) for run_id, path in paths.items()}
        rows = sorted((dict(row) for row in before.values()), key=lambda row: row["started"])
        change(rows)
        for run_id in before.keys() - {row["run_id"] for row in rows}:
            paths[run_id].unlink()
        for row in rows:
            name, run_id = row["job_id"], row["run_id"]
            if run_id not in before:
                times = Times.of(row["started"], start=row["started"])
                first, *_, last = job_events(name, {}, times)
                first["workflowExecutionStartedEventAttributes"]["originalExecutionRunId"] = run_id
                name = f"{name}.{run_id}"
                text = json.dumps({"events": [first, last]})
                (self.folder.histories / f"{name}.json").write_text(text, "utf-8")
            if row != before.get(run_id):
                self.history(name, partial(_bend, now=row))
        seal.write(self.folder)

    def add(self, name: str, rows: list[Row]) -> None:
        """Forge one raw file by rows behind its last."""
        self.edit(name, lambda there: there.extend(rows))

    def arm(self, service: str, rule: str, where: str, do: str, **other: Any) -> None:
        """Note that a fault rule was armed as the run began."""
        more = {"name": rule, "where": where, "do": do} | other
        self.told(raw.RUN, "faults", service, rules=lambda rules: [*rules, more])

    def replace(self, name: str, value: object) -> None:
        """Forge one raw JSON file."""
        self.folder.write(name, value)
        seal.write(self.folder)

    def _stage(self, stage: int, count: int) -> None:
        began, planned = self.at, self.at + 0.01
        self.at = planned + 0.05
        samples: list[Row] = []
        for index in range(count):
            times = self._job(stage, index, planned + self.plan.offset(index))
            samples.append({"at": times.start + 0.1, "stage": stage, "limit": 1})
            samples[-1] |= {
                "paused": False,
                "holders": [job_id(stage, index, self.folder.path.name)],
            }
            samples[-1] |= {"draining": 0, "waiting": None}
            self.at += GAP
        self.folder.append(raw.SLOTS, samples)
        slots = {"limit": 1, "paused": False, "holders": [], "draining": 0, "waiting": 0}
        row = {
            "stage": stage,
            "jobs": count,
            "tag": f"load-{self.folder.path.name}-{stage + 1}",
            "began_at": began,
        }
        row |= {"ended_at": self.at, "why": "done", "slots_before": slots, "slots_after": slots}
        row |= {"feed_connections": 1}
        self.folder.append(raw.STAGES, [row])

    def _job(self, stage: int, index: int, planned: float) -> Times:
        name = job_id(stage, index, self.folder.path.name)
        seed = self.plan.seed
        tag = f"load-{self.folder.path.name}-{stage + 1}"
        told: Row = {"prompt": prompt(seed, stage, index), "style": style(seed, stage, index)}
        told |= {"tag": tag, "priority": 3, "on_video_failure": "fail"}
        drawn = drawn_in(told["prompt"], told["style"], f"image-{name}")
        times = Times.of(planned, start=max(self.at, planned + 0.05))
        self.at = times.end
        record = job_record(name, told, times)
        job = {k: v for k, v in record.items() if k not in RECORD_ONLY}
        submit: Row = {"stage": stage, "index": index, "prompt": told["prompt"], "job_id": name}
        submit |= {"key": f"{self.folder.path.name}-{stage}-{index}", "planned_at": planned}
        submit |= {"sent_at": planned + 0.001, "answered_at": planned + 0.01}
        submit |= {"tries": 1, "status": 202, "problem": None}
        listed: Row = {"job_id": name, "run_id": f"r-{name}", "status": "COMPLETED", "tag": tag}
        listed |= {"type": "GenVideoWorkflow", "started": times.made, "closed": times.end}
        keys = ("version", "status", "step", "percent")
        rows: dict[str, list[Row]] = {
            raw.SUBMITS: [submit],
            raw.JOBS: [{"stage": stage, "listed": True, "job": job}],
            raw.STATES: [{"job_id": name, "problem": None, "record": record}],
            raw.EXECUTIONS: [listed],
            raw.FRAMES: [
                {"source": "ws", "at": at + 0.002, "job_id": name}
                | {key: change[key] for key in keys}
                for at, change in zip(times.changes, record["transitions"], strict=True)
            ],
            raw.FILES: [
                {"job_id": name, "kind": kind, "bytes": BYTES, "sha256": f"{kind}{name}"}
                | {"shows": f"{kind} of {name}/{drawn}", "problem": None}
                for kind in STEPS
            ],
            raw.RECEIPTS: job_receipts(name, times),
        }
        for step in self.mocks:
            rows[raw.LEDGERS[step]] = [job_generation(name, step, told, times=times)]
        for file, of_job in rows.items():
            self.folder.append(file, of_job)
        text = json.dumps({"events": job_events(name, told, times)})
        (self.folder.histories / f"{name}.json").write_text(text, "utf-8")
        return times


def _run_of(path: Path) -> Row:
    run = read_file(path, path.stem.partition(".")[0])
    names = ("job_id", "run_id", "status", "started", "granted", "closed")
    return {name: getattr(run, name) for name in names}


def _bend(events: list[Row], *, now: Row) -> None:
    """Make a history tell these instants and this end."""
    events[0]["eventTime"] = exactly(now["started"])
    permit = [e for e in events if signal_of(e) == "granted:job"]
    for event in permit:
        if now["granted"] is None:
            event["workflowExecutionSignaledEventAttributes"]["signalName"] = "unheard"
        else:
            event["eventTime"] = exactly(now["granted"])
    if now["closed"] is None:
        del events[-1]
        return
    kind = now["status"]
    name = f"workflowExecution{''.join(map(str.capitalize, kind.split('_')))}EventAttributes"
    body = next(value for key, value in events[-1].items() if key.endswith("EventAttributes"))
    last = {
        "eventTime": exactly(now["closed"]),
        "eventType": f"EVENT_TYPE_WORKFLOW_EXECUTION_{kind}",
    }
    events[-1] = last | {name: body if kind == "COMPLETED" else {}}


def signal_of(event: Row) -> str | None:
    """The name of the signal that an event is."""
    found = event.get("workflowExecutionSignaledEventAttributes") or {}
    name = found.get("signalName")
    return str(name) if name is not None else None


def _readings(began: float, ended: float, mocks: Collection[str]) -> list[Row]:
    """Both vendors' clocks are the runner's, as far as a request's way lets anybody see; nobody has
    set that of the runner."""
    own = [
        {"service": "runner", "moment": "sample", "sent_at": at, "answered_at": at}
        | {"theirs": at - began + 1000.0}
        for at in (*(began + second for second in range(int(ended - began) + 1)), ended)
    ]
    return own + [
        {"service": step, "moment": moment, "sent_at": at, "answered_at": at, "theirs": at}
        for moment, at in (("begin", began), ("end", ended))
        for step in mocks
    ]


def _totals(made: int) -> Row:
    counts = {"accepted": made, "charged": made, "in_flight": 0, "max_in_flight": min(made, 1)}
    counts |= {"duplicates": 0, "ledger_dropped": 0, "faults_injected": 0}
    return counts | {"file_bytes": 100 * made}


def _vendors(made: int, mocks: Collection[str]) -> Row:
    verdict = {"ok": True, "charged_twice": [], "charged": made, "open": 0}
    fine = {"verdict": verdict, "faults_recorded": 0, "faults_remembered": 0}
    verdict["callbacks_unanswered"] = []
    return {step: {"stats": _totals(made), **fine} for step in mocks}


def named(judgement: Judgement, kind: str) -> list[str]:
    """The jobs of all findings by one rule, in their order."""
    return [finding.job_id for finding in judgement.findings if finding.rule == kind]


def convicted(run: Synthetic, rule: str) -> set[str]:
    """The jobs that a rule convicts in these books."""
    return {*named(judge(run.folder), rule)}
