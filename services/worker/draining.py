"""Clean-up after a job that ended before its generations did: the slot protects the vendor."""

import asyncio
import time

import structlog
from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from services.worker.models import Kept
from services.worker.policies import KEEP_SECONDS
from services.worker.running import beating
from services.worker.settings import WorkerSettings
from services.worker.storage import Storage
from services.worker.vendors.client import VendorStatus
from services.worker.vendors.image_service import ImageService
from services.worker.vendors.video_service import VideoService
from shared.assets import asset_url
from shared.closing import close_record
from shared.errors import GenvideoError, VendorError
from shared.failures import MAX_ATTEMPTS
from shared.ids import external_id
from shared.messages import Asset
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
        storage: Storage,
    ) -> None:
        self._settings = settings
        self._client = client
        self._images = images
        self._videos = videos
        self._storage = storage
        self._records = RecordStore(settings.data_dir)

    @activity.defn(name=DRAIN_ACTIVITY)
    async def drain_job(self, drain: Drain) -> Kept:
        """Return when no generation of the job runs any more, or the bound has passed.

        What is paid for by then is stored where the job's own code is there to record it.
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
            if goes_on or drain.close_code is not None:
                return Kept(assets={}, asset_url=None)
            return await self._keep(drain.job_id)

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

    async def _keep(self, job_id: str) -> Kept:
        """Store each stage's good result that the record doesn't have yet."""
        record = await asyncio.to_thread(self._records.read, job_id)
        there = record.assets if record else {}
        found = {step: await self._kept(job_id, step) for step in Step if step not in there}
        assets = {step: asset for step, asset in found.items() if asset is not None}
        last = max({*there, *assets}, key=list(Step).index, default=None)
        url = last and asset_url(self._settings.api_public_url, job_id, last)
        return Kept(assets=assets, asset_url=url)

    async def _kept(self, job_id: str, step: Step) -> Asset | None:
        """The newest attempt's file, if one has succeeded and can be had."""
        for attempt in range(MAX_ATTEMPTS, 0, -1):
            try:
                async with asyncio.timeout(KEEP_SECONDS):
                    url = await self._result_of(external_id(job_id, step, attempt), step)
                    if url is not None:
                        return await self._storage.store(url, job_id, step=step)
            except (GenvideoError, TimeoutError) as error:
                log.warning("what was paid for could not be kept", step=step, reason=str(error))
        return None

    async def _result_of(self, ours: str, step: Step) -> str | None:
        vendor = self._images if step is Step.IMAGE else self._videos
        status = await vendor.status(ours)
        if status is None or status.state != "succeeded":
            return None
        return await self._images.result_url(status.vendor_id) if step is Step.IMAGE else status.url

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
