"""The stored results of a job, whole or in ranges, and thumbnails.

A file is available once it is whole. A file of a bucket passes through the API in pieces, or is
served by an address of the store.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from email.utils import format_datetime
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, RedirectResponse, StreamingResponse

from services.api.http.routes import JobId, ServiceDep
from services.api.jobs import JobNotFound, check_id
from services.api.service import Service
from services.api.thumbnails import THUMBNAIL_TYPE
from shared.errors import GenvideoError
from shared.http.problems import documented
from shared.http.queries import ONLY_KNOWN
from shared.http.ranges import (
    BadRange,
    RangedFile,
    RangeNotSatisfiable,
    is_of_bytes,
    refused_range,
)
from shared.jobs.genvideo import IMAGE
from shared.pipeline.definition import Definition, Stage
from shared.store.protocol import Listed, Store

PIECE = 1024 * 1024
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def head_of(found: Listed, headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of the whole file."""
    return {
        "Accept-Ranges": "bytes",
        "Content-Length": str(found.size),
        "ETag": '"' + re.sub(r"[^\w-]", "", found.tag) + '"',
        "Last-Modified": format_datetime(found.modified, usegmt=True),
        **headers,
    }


async def streamed(
    store: Store,
    found: Listed,
    request: Request,
    *,
    media_type: str,
    headers: Mapping[str, str],
) -> Response:
    """Return the file, or one range of it; the whole file for several ranges.

    Raises StoreAway before anything is sent.
    """
    head = head_of(found, headers)
    wanted = request.headers.get("range", "")
    other = request.headers.get("if-range", head["ETag"]) != head["ETag"]
    start, end, status = 0, found.size, 200
    if is_of_bytes(wanted) and not other and "," not in wanted:
        fits = _RANGE.fullmatch(wanted.strip())
        first, last = fits.groups() if fits else ("", "")
        if not (first or last) or (first and last and int(last) < int(first)):
            return refused_range(str(found.size), is_range=False)
        start = int(first) if first else max(0, found.size - int(last))
        end = min(found.size, int(last) + 1) if first and last else found.size
        if start >= found.size:
            return refused_range(str(found.size), is_range=True)
        head["Content-Range"] = f"bytes {start}-{end - 1}/{found.size}"
        head["Content-Length"] = str(end - start)
        status = 206
    if request.method == "HEAD" or start == end:
        return Response(status_code=status, headers=head, media_type=media_type)
    first_piece = await _piece(store, found.key, start, end=end)
    body = _pieces(store, found.key, first_piece, start=start, end=end)
    return StreamingResponse(body, status, headers=head, media_type=media_type)


async def _pieces(
    store: Store, key: str, piece: bytes, *, start: int, end: int
) -> AsyncIterator[bytes]:
    while piece:
        yield piece
        start += len(piece)
        piece = await _piece(store, key, start, end=end) if start < end else b""


async def _piece(store: Store, key: str, start: int, *, end: int) -> bytes:
    return await asyncio.to_thread(store.range, key, start, min(end, start + PIECE))


# A browser may keep a file, and asks each time whether it is still the same.
HEADERS = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}

# An address of the store's own is asked for at once; a video may be looked at for a while.
ADDRESS_SECONDS = 3600.0

router = APIRouter(tags=["files"], dependencies=[ONLY_KNOWN])


class AssetNotFound(GenvideoError, code="asset_not_found", status=404, title="No such file"):
    """The job has stored no such file (yet)."""


def _binary(stage: Stage) -> dict[int | str, dict[str, object]]:
    schema = {"schema": {"type": "string", "format": "binary"}}
    content = {stage.file.media_type: schema}
    return {
        200: {"description": "The whole file", "content": content},
        206: {
            "description": "The requested range, or several as parts",
            "content": {**content, "multipart/byteranges": {"schema": {"type": "string"}}},
        },
        304: {"description": "The same as the one with that ETag"},
        307: {"description": "At an address of the store's own, with `STORE_LINKS=on`"},
        **documented(BadRange, JobNotFound, AssetNotFound),
        **documented(RangeNotSatisfiable, 422, 503),
    }


def results(known: Iterable[Definition]) -> APIRouter:
    """A route for the result of each stage of these pipelines, such as `/jobs/{job_id}/image`."""
    router = APIRouter(tags=["files"], dependencies=[ONLY_KNOWN])
    for stage in {each.name: each for pipeline in known for each in pipeline.stages}.values():
        path, result = f"/jobs/{{job_id}}/{stage.name}", _result_of(stage)
        router.head(path, include_in_schema=False)(result)
        router.get(
            path,
            operation_id=f"get_{stage.name}",
            summary=f"Get {stage.name.capitalize()}",
            description=f"What the stage `{stage.name}` has made; takes `Range`. 404"
            " `asset_not_found` before.",
            response_class=FileResponse,
            responses=_binary(stage),
        )(result)
    return router


def _result_of(stage: Stage) -> Callable[..., Awaitable[Response]]:
    async def get_result(job_id: JobId, service: ServiceDep, *, request: Request) -> Response:
        return await _file(service, request, job_id=job_id, stage=stage.name)

    return get_result


@router.get("/jobs/{job_id}/thumbnail", include_in_schema=False)
async def get_thumbnail(job_id: JobId, service: ServiceDep, *, request: Request) -> Response:
    """A thumbnail of the job's picture, for a list; the whole picture if none can be made.

    With a bucket there is none.
    """
    whole = await _file(service, request, job_id=job_id, stage=IMAGE.name)
    if not isinstance(whole, RangedFile):
        return whole
    small = await service.thumbnails.of(Path(whole.path))
    if small is None:
        return whole
    headers = {"ETag": whole.headers["etag"], **HEADERS}
    return Response(small, media_type=THUMBNAIL_TYPE, headers=headers)


async def _file(service: Service, request: Request, *, job_id: str, stage: str) -> Response:
    check_id(job_id)
    found = await asyncio.to_thread(service.assets.find, job_id, stage)
    if found is None:
        job = await service.jobs.find(job_id)
        raise AssetNotFound(f"{job_id} has no {stage}; it is {job.status}.")
    # Stages of one name in two pipelines may make files of two kinds.
    stages = [each for pipeline in service.settings.known.values() for each in pipeline.stages]
    kinds = {each.file.suffix: each.file.media_type for each in stages}
    media_type = kinds.get(found.key.rpartition(".")[2], "application/octet-stream")
    path = service.assets.store.path(found.key)
    if path is None:
        return await _from_elsewhere(service, request, found, media_type=media_type)
    headers = {"ETag": head_of(found, HEADERS)["ETag"], **HEADERS}
    if _has_it(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return RangedFile(path, media_type=media_type, headers=headers)


def _has_it(request: Request, etag: str) -> bool:
    """True if the caller has this file already: by one of several tags, or by one that a proxy
    weakened."""
    given = request.headers.get("if-none-match", "").split(",")
    return not {"*", etag}.isdisjoint(each.strip().removeprefix("W/") for each in given)


async def _from_elsewhere(
    service: Service, request: Request, found: Listed, *, media_type: str
) -> Response:
    store = service.assets.store
    if service.settings.links and request.method == "GET":
        # Valid for this file only. Without our own key the cloud is asked for a signature.
        address = await asyncio.to_thread(store.presigned, found.key, ADDRESS_SECONDS)
        return RedirectResponse(str(address), headers={"Cache-Control": "no-store"})
    if _has_it(request, (head := head_of(found, HEADERS))["ETag"]):
        return Response(status_code=304, headers={"ETag": head["ETag"], **HEADERS})
    return await streamed(store, found, request, media_type=media_type, headers=HEADERS)
