"""The activities of a job; each may run again at any point, and none pays twice."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

import structlog
from temporalio import activity
from temporalio.client import Client

from services.worker.models import (
    AWAIT_TURN,
    COLLECT_VIDEO,
    GEN_IMAGE,
    REQUEST_VIDEO,
    Accepted,
    Order,
    Stored,
    VideoOrder,
    VideoWatch,
)
from services.worker.policies import BEGUN_DELAY_SECONDS, FIRST_TRY_AGE
from services.worker.presence import Check, still_ours
from services.worker.running import beating, check_permit, outlasting
from services.worker.settings import WorkerSettings
from services.worker.storage import Storage
from services.worker.vendors.image_service import ImageService
from services.worker.vendors.video_service import VideoService
from services.worker.waiting import accepted_now, image_pace, until_ended
from shared.assets import asset_url
from shared.errors import (
    AttemptTimedOut,
    BadResult,
    GenerationFailed,
    RefusedForGood,
    StoodDown,
    VendorError,
)
from shared.redact import is_plain
from shared.slots import BEGUN_SIGNAL, Permit
from shared.tokens import callback_url
from shared.watching import Closed, until_closed

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
        check_permit(order.permit, order.gate)
        async with beating(self._client, order.external_id) as pulse:
            accepted = pulse.accepted or await self._submit_image(order)
            pulse.accept(accepted)
            try:
                await until_ended(
                    self._images,
                    accepted,
                    pulse=pulse,
                    deadline_seconds=order.deadline_seconds,
                    pace=image_pace,
                )
            except AttemptTimedOut:
                with suppress(VendorError):
                    await self._images.cancel(accepted.vendor_id)
                raise
            url = await self._images.result_url(accepted.vendor_id)
            return await self._store(order, accepted.vendor_id, url=url)

    async def _submit_image(self, order: Order) -> Accepted:
        async with still_ours(self._client) as check:
            known = await self._images.status(order.external_id)
            begun = await self._await_turn(order.permit, check)
        try:
            vendor_id = known.vendor_id if known else await self._submit_new_image(order)
        finally:
            if begun is not None:
                # However this ends: the workflow must not take us for one that never began.
                await outlasting(begun)
        log.info("image accepted", external_id=order.external_id, vendor_id=vendor_id)
        return accepted_now(vendor_id)

    async def _submit_new_image(self, order: Order) -> str:
        return await self._images.submit(
            order.external_id,
            order.permit.token,
            prompt=order.job.prompt,
            style=order.job.style,
            looked_up=True,
        )

    async def _await_turn(self, permit: Permit, check: Check) -> asyncio.Task[None] | None:
        """An armed image waits here for the run before it; the task tells that it has begun.

        Only an orderly close lets it go on; after another the keeper must clear up first.
        """
        if permit.after is None:
            await check()
            return None
        closed = await until_closed(self._client, permit.after)
        if closed is not Closed.ORDERLY:
            raise StoodDown("The run before was closed from outside; the keeper clears up first.")
        # We may have slept over that close, and a later try of ours begun at it.
        await check()
        return asyncio.create_task(self._tell_begun(permit))

    async def _tell_begun(self, permit: Permit) -> None:
        """To the workflow; the vendor's submit has the first milliseconds of the slot."""
        await asyncio.sleep(BEGUN_DELAY_SECONDS)
        handle = self._client.get_workflow_handle(permit.job_id, run_id=permit.run_id)
        await handle.signal(BEGUN_SIGNAL)

    @activity.defn(name=AWAIT_TURN)
    async def await_turn(self, permit: Permit) -> None:
        """An armed job that has the image's gate before it waits here for the run before it."""
        check_permit(permit)
        async with beating(self._client, permit.job_id), still_ours(self._client) as check:
            begun = await self._await_turn(permit, check)
            if begun is not None:
                await outlasting(begun)

    @activity.defn(name=REQUEST_VIDEO)
    async def request_video(self, order: VideoOrder) -> Accepted:
        """Submit one video task, or adopt the one that an earlier try submitted.

        The first try of a job's first run has nothing to adopt, and saves the look-up.
        """
        check_permit(order.permit, order.gate)
        secret = self._settings.callback_secret.get_secret_value()
        async with beating(self._client, order.external_id):
            vendor_id = await self._videos.submit(
                order.external_id,
                order.permit.token,
                prompt=order.job.prompt,
                image_url=order.image_url or await self._image_url(order),
                callback_url=callback_url(self._settings.callback_url, secret, order.external_id),
                looked_up=_is_first_try(order),
            )
        log.info("video accepted", external_id=order.external_id, vendor_id=vendor_id)
        return accepted_now(vendor_id)

    async def _image_url(self, order: VideoOrder) -> str:
        """The image's address, asked for anew: it may be good for a while alone."""
        try:
            return await self._images.result_url(order.image_id)
        except BadResult as error:
            # Nothing was submitted, so no attempt is used up.
            raise RefusedForGood(f"The image service has lost the image: {error.message}") from None

    @activity.defn(name=COLLECT_VIDEO)
    async def collect_video(self, watch: VideoWatch) -> Stored:
        """Wait for an accepted video by polling, and store it.

        A callback is a hint: the hinted form polls at once and quickly, and believes the vendor.
        """
        order = watch.order
        check_permit(order.permit, order.gate)
        poll = self._settings.video_poll_seconds

        def pace(waited: float, _percent: int) -> float:
            return min(poll, max(0.05, waited)) if watch.hinted else poll

        async with beating(self._client, order.external_id) as pulse:
            accepted = pulse.accepted or watch.accepted
            pulse.accept(accepted)
            status = await until_ended(
                self._videos,
                accepted,
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
            source_url=url if is_plain(url) else None,
            asset_url=asset_url(self._settings.api_public_url, job_id, order.step),
            asset=asset,
        )


def _is_first_try(order: VideoOrder) -> bool:
    """Whether nobody can have submitted it: first run, first try, too young for a second one.

    The beginning is by the server's clock: one that disagrees with ours costs a look-up, no more.
    """
    info = activity.info()
    age = datetime.now(UTC) - info.started_time
    return not order.repeated and info.attempt == 1 and abs(age) < FIRST_TRY_AGE
