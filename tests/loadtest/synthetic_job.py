"""One healthy job in every book; `token` and hashes are made of its name."""

from dataclasses import dataclass
from typing import Any

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


def submit(name: str, prompt: str, times: Times) -> Row:
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


def record(name: str, prompt: str, times: Times) -> Row:
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


def frames(record: Row) -> list[Row]:
    keys = ("version", "status", "step", "percent")
    return [
        {"source": "ws", "at": instant(change["at"]), "job_id": record["job_id"]}
        | {key: change[key] for key in keys}
        for change in record["transitions"]
    ]


def files(name: str) -> list[Row]:
    return [
        {"job_id": name, "kind": kind, "bytes": BYTES, "sha256": f"{kind}{name}", "problem": None}
        for kind in STEPS
    ]


def listed(name: str, times: Times) -> Row:
    row = {"job_id": name, "run_id": f"r-{name}", "status": "COMPLETED"}
    return row | {"started": times.made, "closed": times.end}


def summary(name: str, times: Times) -> Row:
    activities = [
        {"type": kind, "scheduled": begin, "started": begin, "ended": end}
        | {"attempt": 1, "outcome": "completed"}
        for kind, begin, end in _activities(times)
    ]
    return {
        **listed(name, times),
        "asked": times.planned + 0.01,
        "granted": times.granted,
        "signals": [["slot_granted", times.granted], ["kling_done", times.video_end + 0.01]],
        "activities": activities,
        "orders": [{"step": step, "attempt": 1, "token": token(name)} for step in STEPS],
        "results": [{"vendor_id": f"{s}-{name}", "sha256": f"{s}{name}"} for s in STEPS],
        "hops": [0.012, 0.013],
        "events": len(events(times)),
        "workflow_tasks": 8,
        "bytes": 9000,
    }


def _activities(times: Times) -> list[tuple[str, float, float]]:
    return [
        ("gen_image", times.start - 0.005, times.image_end + 0.005),
        ("request_video", times.image_end + 0.01, times.video_start + 0.005),
    ]


def events(times: Times) -> list[Row]:
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


def generation(name: str, step: str, prompt: str, *, times: Times) -> Row:
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


def receipts(name: str, times: Times) -> list[Row]:
    return [
        {"received_at": at, "job_id": name, "task_id": f"video-{name}"}
        | {"task_status": status, "fate": "applied"}
        for status, at in (
            ("submitted", times.video_start + 0.002),
            ("processing", times.video_start + 0.012),
            ("succeed", times.video_end + 0.005),
        )
    ]
