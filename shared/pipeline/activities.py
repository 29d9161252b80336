"""The activities of a job; each may run again at any point, and none pays twice."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import TypeVar

import structlog
from temporalio import activity

from services.worker.acting.heartbeat import Pulse, beating, check_run
from services.worker.acting.polling import Ended, asked_by, end_of, image_pace, until_ended
from services.worker.acting.records import StateActivities
from services.worker.acting.submitting import Send, begin, check_current
from services.worker.dependencies import Dependencies
from services.worker.models import (
    COLLECT_VIDEO,
    FETCH_VIDEO,
    GEN_IMAGE,
    REQUEST_VIDEO,
    Accepted,
    Order,
    Stored,
    VideoOrder,
    VideoWatch,
)
from services.worker.policies import AT_ONCE_SECONDS
from services.worker.results import storage
from services.worker.vendors.vendor import Picture, Vendor
from shared.errors import (
    BadResult,
    GenvideoError,
    NeverDelivered,
    OutcomeUnknown,
    RecordStands,
    RefusedForGood,
    VendorError,
)
from shared.jobs.assets import asset_url
from shared.jobs.genvideo import VIDEO
from shared.jobs.messages import Asset
from shared.jobs.tokens import callback_url
from shared.redact import is_plain
from shared.telemetry import tracing

log = structlog.get_logger(__name__)

T = TypeVar("T")


class StageActivities:
    """The two stages: what is asked of the vendors, awaited and stored."""

    def __init__(self, parts: Dependencies, state: StateActivities) -> None:
        self._state = state
        self._settings = parts.settings
        self._client = parts.client
        self._images = parts.images
        self._videos = parts.videos
        self._storage = parts.storage
        # By our id: set when the video that is polled for was fetched meanwhile.
        self._fetched: dict[str, asyncio.Event] = {}

    @activity.defn(name=GEN_IMAGE)
    async def gen_image(self, order: Order) -> Stored:
        """Make the image of one attempt, or go on with the one that was begun, and store it."""
        check_run(order.request.run_id)
        images, ours, job = self._images, order.external_id, order.job

        async def send() -> str:
            return await images.submit(ours, order.token, prompt=job.prompt, style=job.style)

        async def stop(vendor_id: str) -> None:
            with suppress(VendorError):
                await images.cancel(vendor_id)

        async with beating(self._client, ours, submits=True) as pulse:
            accepted = await self._begun(order, pulse, images, send)
            pulse.accept(accepted)
            end = await until_ended(
                images,
                ours,
                accepted,
                pulse=pulse,
                patience=self._settings.patience(order),
                pace=image_pace,
                stop=stop,
            )
            return await self._store(order, end, vendor=images)

    async def _begun(self, order: Order, pulse: Pulse, vendor: Vendor, send: Send) -> Accepted:
        """What this try, or the last one, has the vendor working at."""
        return pulse.accepted or await begin(
            order,
            pulse,
            client=self._client,
            vendor=vendor,
            accept_seconds=self._settings.accept_seconds,
            send=send,
            write=lambda: self._write(order),
        )

    async def _write(self, order: Order) -> None:
        """Write the order's version of the record; RecordStands where it takes nothing."""
        if order.record is None:
            return
        found = await self._state.record_state(order.record)
        if found.stands or found.own:
            raise RecordStands("The record has ended, is another run's, or is later than this.")

    @activity.defn(name=REQUEST_VIDEO)
    async def request_video(self, order: VideoOrder) -> Accepted:
        """Submit one video task, or adopt the one that an earlier try submitted."""
        check_run(order.request.run_id)
        async with beating(self._client, order.external_id, submits=True) as pulse:
            return await self._begun(order, pulse, self._videos, lambda: self._submit_video(order))

    async def _submit_video(self, order: VideoOrder) -> str:
        secret = self._settings.callback_secret.get_secret_value()
        return await self._videos.submit(
            order.external_id,
            order.token,
            prompt=order.job.prompt,
            picture=Picture(
                fitted=lambda bounds: self._in_time(
                    self._storage.fitted(order.request.job_id, bounds)
                ),
                address=lambda: self._in_time(self._image_url(order)),
            ),
            callback_url=callback_url(
                self._settings.callback_url, secret, order.external_id, VIDEO.callback
            ),
        )

    async def _in_time(self, prepared: Awaitable[T]) -> T:
        """What had to be prepared before the submit; that may have taken longer than the server's
        word on this try is good for."""
        result = await prepared
        await check_current(self._client)
        return result

    async def _image_url(self, order: VideoOrder) -> str:
        """The image's address; asked for anew where it may be good for a while alone."""
        if self._settings.links and (ours := await self._storage.address(order.request.job_id)):
            return ours
        if order.image_url is not None:
            return order.image_url
        try:
            return await self._images.result_url(order.image_id)
        except BadResult as error:
            # Nothing was submitted, so no attempt is used up.
            raise RefusedForGood(f"The image service has lost the image: {error.message}") from None
        except OutcomeUnknown as error:
            raise NeverDelivered(f"The image's address is not known: {error.message}") from None

    @activity.defn(name=COLLECT_VIDEO)
    async def collect_video(self, watch: VideoWatch) -> Stored | None:
        """Wait for an accepted video by polling; None as soon as it is there to be fetched.

        The hinted form polls at once and quickly, believes the vendor, and stores the video:
        whoever waits is seldom heard of, and whoever fetches is to be taken over quickly.
        """
        order = watch.order
        check_run(order.request.run_id)
        poll = self._settings.video_poll_seconds

        def pace(waited: float, _percent: int) -> float:
            return min(poll, max(0.05, waited)) if watch.hinted else poll

        async with beating(self._client, order.external_id) as pulse:
            accepted = pulse.accepted or watch.accepted
            pulse.accept(accepted)
            ended = until_ended(
                self._videos,
                order.external_id,
                accepted,
                pulse=pulse,
                patience=self._settings.patience(order),
                pace=pace,
            )
            if watch.hinted:
                return await self._store(order, await ended, vendor=self._videos)
            await self._unless_fetched(order.external_id, ended)
            return None

    async def _unless_fetched(self, ours: str, waiting: Awaitable[Ended]) -> None:
        """Wait until a video has ended.

        Where it is fetched meanwhile, poll no more and stay silent: the run is about to close, and
        one more event would have it do its last task again.
        """
        fetched = self._fetched[ours] = asyncio.Event()
        tasks = [asyncio.ensure_future(waiting), asyncio.ensure_future(fetched.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if fetched.is_set():
                tasks[0].cancel()
                await asyncio.Event().wait()
            await tasks[0]
        finally:
            for task in tasks:
                task.cancel()
            if self._fetched.get(ours) is fetched:
                del self._fetched[ours]

    @activity.defn(name=FETCH_VIDEO)
    async def fetch_video(self, watch: VideoWatch) -> Stored | None:
        """Store a video that is said to have ended; None where it is not to be had at once,
        whatever the reason: the hinted form of the wait finds that out.

        A local activity, so that no task queue stands between the callback and the end of the job.
        """
        try:
            async with asyncio.timeout(AT_ONCE_SECONDS):
                stored = await self._fetch_at_once(watch)
        except (GenvideoError, TimeoutError) as error:
            log.info(
                "not to be had at once", external_id=watch.order.external_id, reason=str(error)
            )
            return None
        waiting = self._fetched.get(watch.order.external_id)
        if stored is not None and waiting is not None:
            waiting.set()
        return stored

    async def _fetch_at_once(self, watch: VideoWatch) -> Stored | None:
        order, accepted = watch.order, watch.accepted
        check_run(order.request.run_id)
        tracing.note(
            external_id=order.external_id,
            attempt=order.attempt,
            vendor_task_id=accepted.vendor_id,
        )
        known = accepted.vendor_id
        asked = asked_by(self._videos, order.external_id, known) or known
        end = await end_of(self._videos, asked, known=known)
        if end is None:
            return None
        asset = await self._storage.store_at_once(
            end.url, order.request.job_id, step=order.step, vendor=self._videos
        )
        return self._stored(order, end, asset=asset)

    async def _store(self, order: Order, end: Ended, *, vendor: Vendor) -> Stored:
        job_id = order.request.job_id
        asset = await self._storage.store(end.url, job_id, step=order.step, vendor=vendor)
        return self._stored(order, end, asset=asset)

    def _stored(self, order: Order, end: Ended, *, asset: Asset) -> Stored:
        job_id = order.request.job_id
        storage.count(order.step, end.units)
        return Stored(
            vendor_id=end.vendor_id,
            source_url=end.url if is_plain(end.url) else None,
            asset_url=asset_url(self._settings.api_public_url, job_id, order.step),
            asset=asset,
            units={order.external_id: end.units} if end.units is not None else {},
        )
