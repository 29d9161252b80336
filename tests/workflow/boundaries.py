"""Every place where a job's worker touches what lies outside its process, by name, in order."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity

from services.worker.acting import heartbeat, interceptor, submitting
from services.worker.results import checker, storage
from services.worker.vendors.comfyui import calls as comfyui
from services.worker.vendors.kling.videos import KlingVideos
from services.worker.vendors.service import client as vendors
from shared.store.records import Records

ASKS = ContextVar("asks", default="poll")
# Told of each crossing: the job, the place, and whether it is `before` or `after` it.
Hook = Callable[[str, str, str], Awaitable[None]]
SyncHook = Callable[[str, str, str], None]

STAGES = {
    "gen_image": "image",
    "request_video": "video",
    "collect_video": "video",
    "fetch_video": "video",
}
ACTIVITIES = ("enter_queue", "record_state", *STAGES)
# The callback stops this one, or comes before it has begun.
STOPPED = "activity collect_video"
FETCH = ("poll", "file", "download", "check", "move")
PLACES = (
    *(name for each in ACTIVITIES if (name := f"activity {each}") != STOPPED),
    *(f"image {what}" for what in ("look-up", "fence", "submit", "heartbeat", "result", *FETCH)),
    *(f"video {what}" for what in ("look-up", "fence", "submit", "heartbeat", *FETCH)),
    # An undisturbed job's versions; the last one is its end.
    *(f"record {version}" for version in range(1, 6)),
)
# Over the vendors' own wires: a ComfyUI has no call for the result, and is asked for its version.
NATIVE_PLACES = (*(place for place in PLACES if place != "image result"), "image version")


def install(patch: pytest.MonkeyPatch, hook: Hook, at_once: SyncHook) -> None:
    """Have the hooks called at every place; `at_once` where the code may not wait."""
    _around(patch, interceptor._Inbound, "execute_activity", hook, name=_activity)
    _around(patch, vendors.ServiceClient, "_call", hook, name=_request)
    _around(patch, comfyui.Calls, "_ask", hook, name=_native_request)
    _around(patch, KlingVideos, "_asked", hook, name=_native_request)
    patch.setattr(submitting, "_look_for", partial(_looks, submitting._look_for))
    _around(patch, submitting, "is_current_try", hook, name=_of_stage("fence"))
    _around(patch, storage.Storage, "_download", hook, name=_of_stage("download"))
    _around_sync(patch, storage, "_open", at_once, name=_of_stage("file"))
    _around(patch, checker.Checker, "check", hook, name=_of_stage("check"))
    _around_sync(patch, Path, "replace", at_once, name=_of_stage("move"))
    _around_sync(patch, heartbeat.Pulse, "accept", at_once, name=_of_stage("heartbeat"))
    _around_sync(patch, Records, "append", at_once, name=_record)


def _activity(*_: Any) -> str:
    return f"activity {activity.info().activity_type}"


def _request(_: Any, method: str, path: str, *__: Any) -> str:
    if method == "POST":
        return _stage("submit")
    what = path.split("/")[-2]
    return _stage(ASKS.get() if what == "status" else what)


def _native_request(_: Any, method: str, path: str, *__: Any) -> str:
    if path == "system_stats":
        return _stage("version")
    if method == "POST":
        return _stage("submit")
    return _stage(ASKS.get())


def _record(_: Any, record: Any) -> str:
    return f"record {record.version}"


def _of_stage(what: str) -> Callable[..., str]:
    return lambda *_: _stage(what)


def _stage(what: str) -> str:
    return f"{STAGES[activity.info().activity_type]} {what}"


async def _looks(inner: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    """A look for what may be at the vendor already; later ones are polls, by the same id."""
    token = ASKS.set("look-up")
    try:
        return await inner(*args)
    finally:
        ASKS.reset(token)


def _job() -> str:
    return str(activity.info().workflow_id)


def _around(
    patch: pytest.MonkeyPatch, owner: Any, what: str, hook: Hook, *, name: Callable[..., str]
) -> None:
    inner = getattr(owner, what)

    async def outer(*args: Any, **kwargs: Any) -> Any:
        place = name(*args)
        await hook(_job(), place, "before")
        result = await inner(*args, **kwargs)
        await hook(_job(), place, "after")
        return result

    patch.setattr(owner, what, outer)


def _around_sync(
    patch: pytest.MonkeyPatch, owner: Any, what: str, hook: SyncHook, *, name: Callable[..., str]
) -> None:
    inner = getattr(owner, what)

    def outer(*args: Any, **kwargs: Any) -> Any:
        place = name(*args)
        hook(_job(), place, "before")
        result = inner(*args, **kwargs)
        hook(_job(), place, "after")
        return result

    patch.setattr(owner, what, outer)
