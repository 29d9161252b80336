"""Clean-up after a job that ended before its generations did: the slot protects the vendor."""

import asyncio
import time

import structlog
from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from services.worker.running import beating
from services.worker.settings import WorkerSettings
from services.worker.vendors.client import VendorStatus
from services.worker.vendors.image_service import ImageService
from services.worker.vendors.video_service import VideoService
from shared.closing import close_record
from shared.errors import VendorError
from shared.failures import MAX_ATTEMPTS
from shared.ids import external_id
from shared.records import RecordStore
from shared.slots import DRAIN_ACTIVITY, Drain
from shared.states import Step

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.2


class DrainActivities:
    """Run for a cancelled job by its own workflow, and for a terminated one by the keeper."""

    def __init__(
        self,
        settings: WorkerSettings,
        client: Client,
        *,
        images: ImageService,
        videos: VideoService,
    ) -> None:
        self._settings = settings
        self._client = client
        self._images = images
        self._videos = videos
        self._records = RecordStore(settings.data_dir)

    @activity.defn(name=DRAIN_ACTIVITY)
    async def drain_job(self, drain: Drain) -> None:
        """Return when no generation of the job runs any more, or the bound has passed.

        First waits `hold_seconds`: a terminated job's activities act on until their next
        heartbeat, and might submit what an earlier look would miss.
        """
        async with beating(self._client, drain.job_id):
            goes_on = await self._goes_on(drain)
            if drain.close_code is not None and not goes_on:
                await asyncio.to_thread(self._close, drain, drain.close_code)
            await asyncio.sleep(drain.hold_seconds)
            until = time.monotonic() + self._settings.drain_seconds
            for attempt in range(1, MAX_ATTEMPTS + 1):
                ours = external_id(drain.job_id, Step.IMAGE, attempt)
                await self._clear(self._images, ours, until=until, cancel=not goes_on)
                ours = external_id(drain.job_id, Step.VIDEO, attempt)
                await self._clear(self._videos, ours, until=until, cancel=False)

    async def _goes_on(self, drain: Drain) -> bool:
        """Whether a reset gave the job a newer run, which will adopt what was paid for."""
        try:
            latest = await self._client.get_workflow_handle(drain.job_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return latest.run_id != drain.run_id

    def _close(self, drain: Drain, code: str) -> None:
        record = self._records.read(drain.job_id)
        if record is not None and record.run_id == drain.run_id and not record.status.ended:
            self._records.write(close_record(record, code))

    async def _clear(
        self, vendor: ImageService | VideoService, ours: str, *, until: float, cancel: bool
    ) -> None:
        """Wait for one generation's end; Kling documents no cancel, so only an image gets one."""
        while status := await self._running(vendor, ours):
            if time.monotonic() >= until:
                log.warning("given up on a generation that still runs", external_id=ours)
                return
            if cancel and isinstance(status, VendorStatus):
                await self._cancel(status.vendor_id)
            await asyncio.sleep(POLL_SECONDS)

    async def _cancel(self, vendor_id: str) -> None:
        try:
            await self._images.cancel(vendor_id)
        except VendorError as error:
            log.warning("cancel at the image service failed", reason=error.message)

    async def _running(
        self, vendor: ImageService | VideoService, ours: str
    ) -> VendorStatus | VendorError | None:
        """Truthy while the generation runs, or may run since the vendor doesn't answer."""
        try:
            status = await vendor.status(ours)
        except VendorError as error:
            return error
        return status if status is not None and status.state == "running" else None
