"""The stored results of a job, whole or in ranges.

A file is available once it is whole. A file of a bucket passes through the API in pieces.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from services.api.http.routes import ServiceDep
from services.api.jobs import JobNotFound, check_id
from shared.errors import GenvideoError
from shared.http.problems import documented
from shared.http.queries import ONLY_KNOWN
from shared.http.ranges import RangeNotSatisfiable, ranged
from shared.pipeline.definition import Definition

# A browser may keep a file, and asks each time whether it is still the same.
HEADERS = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}


class AssetNotFound(GenvideoError, status=404, title="No such file"):
    """The job has stored no such file (yet)."""


def results(known: Collection[Definition]) -> APIRouter:
    """A route for the result of each stage of these pipelines, such as `/jobs/{job_id}/image`."""
    router = APIRouter(tags=["files"], dependencies=[ONLY_KNOWN])
    stages = [stage for pipeline in known for stage in pipeline.stages]
    # Stages of one name in two pipelines may make files of two kinds.
    kinds = {stage.file.suffix: stage.file.media_type for stage in stages}
    for stage in {each.name: each for each in stages}.values():
        path, result = f"/jobs/{{job_id}}/{stage.name}", _result_of(stage.name, kinds)
        content = {stage.file.media_type: {"schema": {"type": "string", "format": "binary"}}}
        router.head(path, include_in_schema=False)(result)
        router.get(
            path,
            operation_id=f"get_{stage.name}",
            summary=f"Get {stage.name.capitalize()}",
            description=f"What the stage `{stage.name}` has made; takes `Range`. 404"
            " `asset_not_found` before.",
            response_class=FileResponse,
            responses={
                200: {"description": "The whole file", "content": content},
                206: {"description": "The requested range", "content": content},
                304: {"description": "The same as the one with that ETag"},
                **documented(JobNotFound, AssetNotFound),
                **documented(RangeNotSatisfiable, 422, 503),
            },
        )(result)
    return router


def _result_of(stage: str, kinds: Mapping[str, str]) -> Callable[..., Awaitable[Response]]:
    async def get_result(job_id: str, service: ServiceDep, *, request: Request) -> Response:
        check_id(job_id)
        found = await asyncio.to_thread(service.assets.find, job_id, stage)
        if found is None:
            job = await service.jobs.find(job_id)
            raise AssetNotFound(f"{job_id} has no {stage}; it is {job.status}.")
        return await ranged(
            request,
            partial(service.assets.store.range, found.key),
            size=found.size,
            tag=found.tag,
            modified=found.modified,
            headers=HEADERS,
            media_type=kinds.get(found.key.rpartition(".")[2], "application/octet-stream"),
        )

    return get_result
