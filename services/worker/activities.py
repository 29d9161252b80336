"""The activities of a job; each may run again at any point, and none pays twice."""

import structlog
from temporalio import activity
from temporalio.client import Client

from services.worker.models import (
    COLLECT_VIDEO,
    GEN_IMAGE,
    REQUEST_VIDEO,
    Accepted,
    Order,
    Stored,
    VideoOrder,
    VideoWatch,
)
from services.worker.policies import (
    IMAGE_POLL_MAX_SECONDS,
    IMAGE_POLL_MIN_SECONDS,
    IMAGE_POLL_SHARE,
)
from services.worker.running import beating, check_permit
from services.worker.settings import WorkerSettings
from services.worker.storage import Storage
from services.worker.vendors.image_service import ImageService
from services.worker.vendors.video_service import VideoService
from services.worker.waiting import accepted_now, until_ended
from shared.assets import asset_url
from shared.errors import AttemptTimedOut, GenerationFailed
from shared.tokens import callback_url

log = structlog.get_logger(__name__)


class StageActivities:
    """The two stages: what is asked of the vendors, awaited and stored."""

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

    @activity.defn(name=GEN_IMAGE)
    async def gen_image(self, order: Order) -> Stored:
        """Make the image of one attempt, or go on with the one that was begun, and store it."""
        check_permit(order.permit)
        async with beating(self._client, order.external_id) as pulse:
            pulse.accepted = pulse.accepted or await self._submit_image(order)
            pulse.beat()
            try:
                await until_ended(
                    self._images,
                    pulse.accepted,
                    pulse=pulse,
                    deadline_seconds=order.deadline_seconds,
                    pace=_image_pace,
                )
            except AttemptTimedOut:
                await self._images.cancel(pulse.accepted.vendor_id)
                raise
            url = await self._images.result_url(pulse.accepted.vendor_id)
            return await self._store(order, pulse.accepted.vendor_id, url=url)

    async def _submit_image(self, order: Order) -> Accepted:
        vendor_id = await self._images.submit(
            order.external_id,
            order.permit.token,
            prompt=order.job.prompt,
            style=order.job.style,
        )
        log.info("image accepted", external_id=order.external_id, vendor_id=vendor_id)
        return accepted_now(vendor_id)

    @activity.defn(name=REQUEST_VIDEO)
    async def request_video(self, order: VideoOrder) -> Accepted:
        """Submit one video task, or adopt the one that an earlier try submitted."""
        check_permit(order.permit)
        secret = self._settings.callback_secret.get_secret_value()
        async with beating(self._client, order.external_id):
            vendor_id = await self._videos.submit(
                order.external_id,
                order.permit.token,
                prompt=order.job.prompt,
                image_url=order.image_url,
                callback_url=callback_url(self._settings.callback_url, secret, order.external_id),
            )
        log.info("video accepted", external_id=order.external_id, vendor_id=vendor_id)
        return accepted_now(vendor_id)

    @activity.defn(name=COLLECT_VIDEO)
    async def collect_video(self, watch: VideoWatch) -> Stored:
        """Wait for an accepted video by polling, and store it.

        A callback is a hint: the hinted form polls at once and quickly, and believes the vendor.
        """
        order = watch.order
        check_permit(order.permit)
        poll = self._settings.video_poll_seconds

        def pace(waited: float) -> float:
            return min(poll, max(0.05, waited)) if watch.hinted else poll

        async with beating(self._client, order.external_id) as pulse:
            pulse.accepted = watch.accepted
            status = await until_ended(
                self._videos,
                watch.accepted,
                pulse=pulse,
                deadline_seconds=order.deadline_seconds,
                pace=pace,
            )
            if status.url is None:
                raise GenerationFailed("The vendor reports success without a video_url.")
            return await self._store(order, watch.accepted.vendor_id, url=status.url)

    async def _store(self, order: Order, vendor_id: str, *, url: str) -> Stored:
        job_id = order.permit.job_id
        asset = await self._storage.store(url, job_id, step=order.step)
        return Stored(
            vendor_id=vendor_id,
            source_url=url,
            asset_url=asset_url(self._settings.api_public_url, job_id, order.step),
            asset=asset,
        )


def _image_pace(waited: float) -> float:
    return min(max(waited * IMAGE_POLL_SHARE, IMAGE_POLL_MIN_SECONDS), IMAGE_POLL_MAX_SECONDS)
