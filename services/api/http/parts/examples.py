"""What the documentation shows in each field: one whole example per message, told only here."""

from typing import Any

from services.api.models import EXAMPLE_ID

_BASE = "http://127.0.0.1:8000"
_NEXT_ID = "job-89abcdef0123456789abcdef"
_INPUT = {"prompt": "a red fox in snow", "style": "ink", "tag": "batch-7", "priority": 3}
_ATTEMPTS = {"image": 1, "video": 2}
_ERROR = {"code": "refused_for_good", "message": "The prompt is against the vendor's policy."}
_TRANSITION = {
    "version": 4,
    "at": "2026-01-02T03:04:06Z",
    "status": "running",
    "step": "video",
    "percent": 0,
    "attempt": 1,
    "note": "video, attempt 1 of 4",
    "attempts": {"image": 1, "video": 1},
    "asset_url": f"{_BASE}/jobs/{EXAMPLE_ID}/image",
    "vendor_position": None,
    "error": None,
}
_ASSET = {"size": 48213, "sha256": "9f" * 32, "media_type": "image/png"}
_JOB: dict[str, Any] = {
    "job_id": EXAMPLE_ID,
    **_INPUT,
    "status": "running",
    "step": "video",
    "percent": 50,
    "asset_url": f"{_BASE}/jobs/{EXAMPLE_ID}/image",
    "queue_position": None,
    "vendor_position": None,
    "attempts": _ATTEMPTS,
    "error": None,
    "created_at": "2026-01-02T03:04:05Z",
    "started_at": "2026-01-02T03:04:05.120000Z",
    "finished_at": None,
    "version": 6,
}
_RUN_ID = "01968c1e-6b1c-7f3a-9d51-2f1d6c7f0a11"
_HOLDER = {
    "job_id": EXAMPLE_ID,
    "run_id": _RUN_ID,
    "token": 17,
    "since": "2026-01-02T03:04:05.120000Z",
    "draining": True,
    "drains_since": "2026-01-02T03:05:11.020000Z",
    "drain_attempts": 7,
    "drain_failure": "The image service does not answer.",
}
_COUNTS = {
    "queued": 40,
    "running": 1,
    "succeeded": 9,
    "degraded": 0,
    "failed": 0,
    "cancelled": 0,
}

EXAMPLES: dict[str, dict[str, Any]] = {
    "Accepted": {
        "job_id": EXAMPLE_ID,
        "status_url": f"{_BASE}/jobs/{EXAMPLE_ID}",
        "events_url": f"{_BASE}/jobs/{EXAMPLE_ID}/events",
        "ws_url": f"ws://127.0.0.1:8000/ws/jobs/{EXAMPLE_ID}",
    },
    "Asset": _ASSET,
    "Attempts": _ATTEMPTS,
    "Batch": {
        "tag": "batch-7",
        "total": 50,
        "counts": _COUNTS,
        "percent": 18,
        "first_created_at": "2026-01-02T03:04:05Z",
        "last_created_at": "2026-01-02T03:04:06Z",
        "first_started_at": "2026-01-02T03:04:05.120000Z",
        "last_finished_at": "2026-01-02T03:04:20Z",
    },
    "BatchAccepted": {
        "tag": "batch-7",
        "count": 2,
        "job_ids": [EXAMPLE_ID, _NEXT_ID],
        "status_url": f"{_BASE}/batches/batch-7",
    },
    "BatchOrder": {"jobs": None, "count": 50, "job": {**_INPUT, "tag": None}, "tag": "batch-7"},
    "Counts": _COUNTS,
    "FreeOrder": {"run_id": _RUN_ID},
    "HolderView": _HOLDER,
    "Job": _JOB,
    "JobError": _ERROR,
    "JobOrder": {**_INPUT, "on_video_failure": "image"},
    "JobList": {
        "jobs": [_JOB],
        "next_cursor": "MjAyNi0wMS0wMlQwMzowNDowNSswMDowMHxqb2It",
        "change": "5ca1ab1e-117",
    },
    "Record": {
        **_JOB,
        "on_video_failure": "image",
        "namespace": "default",
        "run_id": _RUN_ID,
        "token": 17,
        "tasks": {f"{EXAMPLE_ID}.video.1": "821957612345"},
        "units": {},
        "assets": {"image": _ASSET},
        "transitions": [_TRANSITION],
    },
    "SlotOrder": {"limit": 2, "paused": False},
    "SlotView": {
        "limit": 1,
        "paused": False,
        "holders": [_HOLDER],
        "waiting": [_NEXT_ID],
        "waiting_count": 1,
        "capacity": 12000,
    },
    "Transition": _TRANSITION,
}
