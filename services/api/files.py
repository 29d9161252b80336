"""The stored results of a job, whole or in ranges; a file is there only once it is whole."""

import asyncio

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse

from services.api.routes import JobId
from services.api.service import Service, ServiceDep
from shared.assets import MEDIA_TYPES, asset_path
from shared.errors import AssetNotFound, JobNotFound
from shared.ids import is_job_id
from shared.problems import documented
from shared.states import Step

router = APIRouter(tags=["files"])


def _binary(step: Step) -> dict[int | str, dict[str, object]]:
    content = {MEDIA_TYPES[step]: {"schema": {"type": "string", "format": "binary"}}}
    return {
        200: {"description": "The whole file", "content": content},
        206: {"description": "The range that was asked for", "content": content},
        **documented(404, 416),
    }


@router.head("/jobs/{job_id}/image", include_in_schema=False)
@router.get(
    "/jobs/{job_id}/image",
    operation_id="get_image",
    response_class=FileResponse,
    responses=_binary(Step.IMAGE),
)
async def get_image(job_id: JobId, service: ServiceDep) -> Response:
    """The job's picture; takes `Range`. 404 `asset_not_found` until it is stored."""
    return await _file(service, job_id, step=Step.IMAGE)


@router.head("/jobs/{job_id}/video", include_in_schema=False)
@router.get(
    "/jobs/{job_id}/video",
    operation_id="get_video",
    response_class=FileResponse,
    responses=_binary(Step.VIDEO),
)
async def get_video(job_id: JobId, service: ServiceDep) -> Response:
    """The job's video; takes `Range`. 404 `asset_not_found` until it is stored."""
    return await _file(service, job_id, step=Step.VIDEO)


async def _file(service: Service, job_id: str, *, step: Step) -> Response:
    if not is_job_id(job_id):
        raise JobNotFound(f"There is no job {job_id[:64]}.")
    path = asset_path(service.settings.data_dir, job_id, step)
    if not await asyncio.to_thread(path.is_file):
        job = await service.jobs.find(job_id)
        raise AssetNotFound(f"{job_id} has no {step} yet; it is {job.status}.")
    return FileResponse(path, media_type=MEDIA_TYPES[step])
