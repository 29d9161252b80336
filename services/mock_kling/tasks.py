"""How the vendor tells of a task: its words, its callback's body, its times in milliseconds."""

import secrets
from typing import Any

from services.mock_core.exchange.view import View
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


def truth(generation: Generation) -> View:
    """How a task stands, whatever the fault plan makes of status calls."""
    return View(generation.state, None, generation.error, generation.file_name)


def created(generation: Generation) -> dict[str, Any]:
    """What every answer about a task has."""
    return _common(generation, truth(generation))


def told(generation: Generation, view: View, base: str) -> dict[str, Any]:
    """Every documented member; `base` is that of the addresses of files."""
    return {
        **_common(generation, view),
        "task_status_msg": view.error or "",
        "final_unit_deduction": units(generation),
        "task_result": {"videos": videos(generation, view.file_name, base)},
    }


def callback_body(generation: Generation) -> dict[str, Any]:
    """The flat form."""
    return told(generation, truth(generation), generation.base_url)


def _common(generation: Generation, view: View) -> dict[str, Any]:
    return {
        "task_id": generation.id,
        "task_status": view.word or WORDS[view.state],
        "task_info": {"external_task_id": generation.external_id},
        "created_at": milliseconds(generation.accepted or generation.updated),
        "updated_at": milliseconds(generation.updated),
    }
