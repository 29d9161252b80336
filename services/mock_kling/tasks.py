"""Models, the vendor's form of a task, and the account that pays (documented, not captured)."""

import secrets
import time
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from services.mock_core.callbacks import Wording
from services.mock_core.calls import View
from services.mock_core.clock import milliseconds
from services.mock_core.ledger import Generation, State

FIRST_MODEL = "kling-v1"
FILES = "/video/files/"


# Models of the third series take 3 to 15 seconds and 4k, others 5 or 10 seconds.
_THIRD = ("kling-v3", "kling-v3-omni")
MODELS = (
    *(FIRST_MODEL, "kling-v1-5", "kling-v1-6", "kling-v2-master", "kling-v2-1"),
    *("kling-v2-1-master", "kling-v2-5-turbo", "kling-v2-6", *_THIRD),
)
# Units of a second, by mode.
_UNITS = {"std": "0.4", "pro": "0.7", "4k": "3"}
WORDS = {
    State.QUEUED: "submitted",
    State.RUNNING: "processing",
    State.SUCCEEDED: "succeed",
    State.FAILED: "failed",
    State.CANCELLED: "failed",
}


def new_task_id() -> str:
    """Return eighteen digits, as in the vendor's ids."""
    return str(800_000_000_000_000_000 + secrets.randbelow(100_000_000_000_000_000))


def refusal(*, model: str, mode: str, seconds: int) -> str | None:
    """Return why the vendor refuses such an order of a known model, or None."""
    if model not in _THIRD and mode == "4k":
        return "mode 4k is not supported by the model"
    if model not in _THIRD and seconds not in (5, 10):
        return f"duration {seconds} is not supported by the model"
    return None


def units(generation: Generation) -> str:
    """The cost of the task by mode and duration; a failed one costs nothing."""
    if not generation.charged:
        return "0"
    ordered = generation.detail
    price = Decimal(_UNITS[ordered.get("mode", "std")]) * int(ordered.get("duration", "5"))
    return format(price.normalize(), "f")


def truth(generation: Generation) -> View:
    """Return the true state of a task, whatever faults change in status calls."""
    return View(generation.state, None, generation.error, generation.file_name)


def created(generation: Generation, view: View | None = None) -> dict[str, Any]:
    """Return the members that every answer about a task has."""
    view = view or truth(generation)
    return {
        "task_id": generation.id,
        "task_status": view.word or WORDS[view.state],
        "task_info": {"external_task_id": generation.external_id},
        "created_at": milliseconds(generation.accepted or generation.updated),
        "updated_at": milliseconds(generation.updated),
    }


def task_body(generation: Generation, view: View, base: str) -> dict[str, Any]:
    """Return every documented member; `base` is the base of the files' addresses."""
    video = {
        "id": f"{generation.id}-1",
        "url": f"{base}{FILES}{view.file_name}",
        "duration": generation.detail.get("duration", "5"),
    }
    return {
        **created(generation, view),
        "task_status_msg": view.error or "",
        "final_unit_deduction": units(generation),
        "task_result": {"videos": [] if view.file_name is None else [video]},
    }


# The flat form of a callback.
WORDING = Wording(
    words=WORDS,
    describe=lambda it: task_body(it, truth(it), it.base_url),
    rename=lambda body, task_id, ours: {
        **body,
        "task_id": task_id,
        "task_info": {"external_task_id": ours},
    },
    contradict=lambda body: {
        **body,
        "task_status": "succeed" if body["task_status"] == "failed" else "failed",
    },
)
_PACK_UNITS = 1_000_000.0
_PACK_SECONDS = 365 * 86_400
_OPENED_AT = time.time()


def packs(rows: Iterable[Generation]) -> list[dict[str, Any]]:
    """Return the account's one pack as the vendor reports it, opened when the mock starts; the real
    figures lag by hours."""
    opened = milliseconds(_OPENED_AT)
    return [
        {
            "resource_pack_name": "Mock video pack",
            "resource_pack_id": "mock-pack-1",
            "resource_pack_type": "decreasing_total",
            "total_quantity": _PACK_UNITS,
            "remaining_quantity": _PACK_UNITS - sum(float(units(row)) for row in rows),
            "purchase_time": opened,
            "effective_time": opened,
            "invalid_time": milliseconds(_OPENED_AT + _PACK_SECONDS),
            "status": "online",
        }
    ]
