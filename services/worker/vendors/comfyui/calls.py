"""The calls of a ComfyUI, one request each; `answers.py` reads the answers."""

import asyncio
from enum import Enum
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx

from services.worker.vendors.comfyui.answers import File, refusal
from shared.errors import OutcomeUnknown
from shared.http.client import pieces
from shared.pipeline.answers import (
    ANSWER_SECONDS,
    UNREADABLE,
    as_text,
    ask,
    json_object,
    sort_exception,
)
from shared.pipeline.vendor import ANOTHER, LOST, check_about

# Beside the graph, which the answer about a failed job has three times.
JOB_BYTES, GRAPHS = 4 * 1024 * 1024, 3
# The queue has the graphs of all clients, and a node type all of its models.
LIST_BYTES = 4 * 1024 * 1024
NO_JOB = "Job not found"
# A longer number is no part of a version.
MOST_DIGITS = 9
# The end of a whole picture, by format, and the request for it.
IEND = b"\x00\x00\x00\x00IEND\xaeB`\x82"
ENDS = {".png": IEND, ".jpg": b"\xff\xd9", ".jpeg": b"\xff\xd9"}
LAST_BYTES = {"Range": f"bytes=-{len(IEND)}"}
# A WEBP has no end of its own; its length follows the first four bytes.
RIFF_HEAD = 8
FIRST_BYTES = {"Range": f"bytes=0-{RIFF_HEAD - 1}"}
MISSING = frozenset({httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED})
Json = dict[str, Any]


class NoRoute(Enum):
    """The server is older, and has no `/api/jobs`."""

    JOBS = "jobs"


class Queue(NamedTuple):
    """The ids of running and waiting prompts, in order."""

    running: list[str]
    pending: list[str]


class Calls:
    """The routes, all below `/api`, which every kind of server has.

    `graph_bytes`: the length of the longest submitted graph, with all characters escaped.
    """

    def __init__(self, http: httpx.AsyncClient, graph_bytes: int = 0) -> None:
        self._http = http
        self._job_bytes = JOB_BYTES + GRAPHS * graph_bytes

    async def post_prompt(self, body: Json, *, token: int, output: str) -> Json:
        """Queue a graph; raise the server's refusal if it can't make this output."""
        headers = {"X-Slot-Token": str(token)}
        response = await self._ask("POST", "prompt", json=body, headers=headers)
        if not response.is_success:
            raise refusal(response, output=output)
        return _json(response)

    async def job(self, prompt_id: str) -> Json | NoRoute | None:
        """Return a prompt by `/api/jobs`; None if the server doesn't know it."""
        response = await self._ask("GET", f"jobs/{prompt_id}", most=self._job_bytes)
        if response.status_code == httpx.codes.NOT_FOUND:
            body = json_object(response) or {}
            return None if body.get("error") == NO_JOB else NoRoute.JOBS
        body = _json(response)
        check_about(prompt_id, (body.get("id", prompt_id), None))
        return body

    async def queue(self) -> Queue:
        body = _json(await self._ask("GET", "queue", most=LIST_BYTES))
        # The list of waiting prompts is a heap, so only its first one is in place.
        pending = sorted(_rows(body.get("queue_pending")), key=lambda row: row[0])
        running = _rows(body.get("queue_running"))
        return Queue([prompt_id for _, prompt_id in running], [it for _, it in pending])

    async def history(self, prompt_id: str) -> Json | None:
        """Return the history entry of an ended prompt; None for any other."""
        body = _json(await self._ask("GET", f"history/{prompt_id}", most=self._job_bytes))
        if body and prompt_id not in body:
            raise OutcomeUnknown(ANOTHER)
        entry = body.get(prompt_id)
        return entry if isinstance(entry, dict) else None

    async def cancel_job(self, prompt_id: str) -> NoRoute | bool:
        """Stop a prompt wherever it is; return False if it has ended, or is unknown."""
        response = await self._ask("POST", f"jobs/{prompt_id}/cancel")
        if response.status_code in MISSING:
            return NoRoute.JOBS
        return _json(response).get("cancelled") is True

    async def drop(self, prompt_id: str) -> None:
        _check(await self._ask("POST", "queue", json={"delete": [prompt_id]}))

    async def interrupt(self, prompt_id: str) -> None:
        """Interrupt a running prompt; an older server would stop whatever runs."""
        _check(await self._ask("POST", "interrupt", json={"prompt_id": prompt_id}))

    async def free(self) -> None:
        _check(await self._ask("POST", "free", json={"unload_models": True, "free_memory": True}))

    async def version(self) -> tuple[int, ...]:
        """Return the server's version; empty if unknown."""
        system = _json(await self._ask("GET", "system_stats")).get("system")
        version = as_text(system.get("comfyui_version")) if isinstance(system, dict) else ""
        parts = version.lstrip("v").split(".")
        is_plain = all(part.isdecimal() and len(part) <= MOST_DIGITS for part in parts)
        return tuple(map(int, parts)) if is_plain else ()

    async def node_type(self, kind: str) -> Json | None:
        """Return the server's entry of a node type; None if unknown."""
        route = f"object_info/{quote(kind, safe='')}"
        response = await self._ask("GET", route, most=LIST_BYTES)
        if response.status_code in MISSING:
            raise OutcomeUnknown("The server does not describe its nodes (/object_info).")
        found = _json(response).get(kind)
        return found if isinstance(found, dict) else None

    @property
    def at(self) -> str:
        return str(self._http.base_url).rstrip("/")

    async def is_whole(self, file: File, *, may_lead: bool) -> bool | None:
        """Return whether a picture of a known file type is whole; None if there is no picture.

        `may_lead`: fetching follows redirects, so a redirect counts as whole. A server that is
        writing the file serves the part that it has, and one that was killed keeps that part.
        """
        end = ENDS.get(PurePosixPath(file.filename).suffix.lower())
        wanted = LAST_BYTES if end else FIRST_BYTES
        try:
            async with (
                asyncio.timeout(ANSWER_SECONDS),
                self._http.stream("GET", _view_path(file), headers=wanted) as response,
            ):
                return await _is_whole(response, end, may_lead=may_lead)
        except UNREADABLE as error:
            raise sort_exception(error) from None
        except TimeoutError:
            raise OutcomeUnknown(f"No whole file within {ANSWER_SECONDS:g} s.") from None

    def address(self, file: File) -> str | None:
        """Return the address of a file; None if its name has a broken character."""
        return None if LOST in "".join(file) else f"{self.at}{_view_path(file)}"

    async def _ask(self, method: str, route: str, **kwargs: Any) -> httpx.Response:
        return await ask(self._http, method, f"/api/{route}", **kwargs)


def _view_path(file: File) -> str:
    return f"/api/view?{httpx.QueryParams(file._asdict())}"


async def _is_whole(response: httpx.Response, end: bytes | None, *, may_lead: bool) -> bool | None:
    if response.status_code == httpx.codes.NOT_FOUND:
        return None
    if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
        return False
    # A redirect to a store of whole objects.
    if may_lead and response.has_redirect_location:
        return True
    if not response.is_success:
        raise refusal(httpx.Response(response.status_code))
    # A server without ranges is read to the end.
    first, last, size = b"", b"", 0
    async for chunk in pieces(response):
        first = (first + chunk)[:RIFF_HEAD]
        last = (last + chunk)[-len(IEND) :]
        size += len(chunk)
    if end is not None:
        return last.endswith(end)
    if response.status_code == httpx.codes.PARTIAL_CONTENT:
        total = response.headers.get("content-range", "").rpartition("/")[2]
        size = int(total) if total.isascii() and total.isdigit() and len(total) < 20 else 0
    return size >= RIFF_HEAD + int.from_bytes(first[4:], "little") > RIFF_HEAD


def _rows(found: object) -> list[tuple[float, str]]:
    rows = found if isinstance(found, list) else []
    try:
        return [(float(row[0]), str(row[1])) for row in rows]
    except (TypeError, ValueError, IndexError, KeyError, OverflowError):
        raise OutcomeUnknown("The ComfyUI's queue has an unexpected form.") from None


def _check(response: httpx.Response) -> None:
    if not response.is_success:
        raise refusal(response)


def _json(response: httpx.Response) -> Json:
    _check(response)
    body = json_object(response)
    if body is None:
        raise OutcomeUnknown("The ComfyUI's answer is not a JSON object.")
    return body
