"""How the vendor tells of a task: its words, its callback's body, its times in milliseconds."""

import secrets
from typing import Any

from services.mock_core.ledger.generation import Generation, State
from services.mock_core.lib.times import milliseconds
from services.mock_kling.catalogue import FIRST_MODEL, MODELS

WORDS = {
    State.QUEUED: "submitted",
    State.RUNNING: "processing",
    State.SUCCEEDED: "succeed",
    State.FAILED: "failed",
    State.CANCELLED: "failed",
}


def new_task_id() -> str:
    """Eighteen digits, as the vendor's ids have."""
    return str(800_000_000_000_000_000 + secrets.randbelow(100_000_000_000_000_000))


def word(generation: Generation) -> str:
    return WORDS[generation.state]


def units(generation: Generation) -> str:
    """What the task has cost: by model, mode, duration and sound; a failed one nothing."""
    if not generation.charged:
        return "0"
    ordered = generation.detail
    price = MODELS[ordered.get("model", FIRST_MODEL)].price(
        mode=ordered.get("mode", "std"),
        seconds=int(ordered.get("duration", "5")),
        sound=ordered.get("sound") == "on",
    )
    return format(price.normalize(), "f")


def video_url(file_name: str | None, base: str) -> str | None:
    return None if file_name is None else f"{base}/video/files/{file_name}"


def videos(generation: Generation, file_name: str | None, base: str) -> list[dict[str, str]]:
    url = video_url(file_name, base)
    if url is None:
        return []
    duration = generation.detail.get("duration", "5")
    return [{"id": f"{generation.id}-1", "url": url, "duration": duration}]


def callback_body(generation: Generation) -> dict[str, Any]:
    """The flat form, with every documented member."""
    return {
        "task_id": generation.id,
        "task_status": word(generation),
        "task_status_msg": generation.error or "",
        "created_at": milliseconds(generation.accepted or generation.updated),
        "updated_at": milliseconds(generation.updated),
        "final_unit_deduction": units(generation),
        "task_info": {"external_task_id": generation.external_id},
        "task_result": {"videos": videos(generation, generation.file_name, generation.base_url)},
    }
