"""The activities of a stage; each may run again at any point, and none pays twice."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from functools import wraps
from typing import Any

import structlog
from temporalio import activity

from shared.errors import (
    BadResult,
    GenvideoError,
    NeverDelivered,
    OutcomeUnknown,
    RecordStands,
    RefusedForGood,
    ResultNotAllowed,
    VendorError,
)
from shared.jobs.ids import asset_url
from shared.jobs.messages import Asset
from shared.jobs.tokens import callback_url
from shared.pipeline.definition import Stage
from shared.pipeline.heartbeat import Pulse, beating, check_run
from shared.pipeline.hosts import may_reach
from shared.pipeline.messages import Accepted, Order, Source, Stored, Watch
from shared.pipeline.policies import AT_ONCE_SECONDS
from shared.pipeline.polling import Ended, asked_by, end_of, share_pace, until_ended
from shared.pipeline.records import StateActivities
from shared.pipeline.storage import Parts, count, count_from_none
from shared.pipeline.submitting import begin, in_time
from shared.pipeline.vendor import SourceFile
from shared.redact import is_plain

log = structlog.get_logger(__name__)


class StageActivities:
    """The activities of one stage: submit, wait, fetch and store."""

    def __init__(self, parts: Parts, stage: Stage, state: StateActivities) -> None:
        count_from_none(stage)
        self._state = state
        self._parts = parts
        self._settings = parts.settings
        self._client = parts.client
        self._storage = parts.storage
        self._stage = stage
        self._vendor = parts.vendor(stage.name)

    def all(self) -> list[Callable[..., Any]]:
        name = self._stage.name
        if not self._stage.called_back:
            return [_named(f"gen_{name}", self.gen)]
        return [
            _named(f"request_{name}", self.request),
            _named(f"collect_{name}", self.collect),
            _named(f"fetch_{name}", self.fetch),
        ]

    async def gen(self, order: Order) -> Stored:
        """Make the result of one attempt, or continue an earlier try, and store it."""

        async def stop(vendor_id: str) -> None:
            with suppress(VendorError):
                await self._vendor.cancel(vendor_id)

        async with self._beating(order, submits=True) as pulse:
            accepted = await self._generation(order, pulse)
            pulse.accept(accepted)
            end = await until_ended(
                self._vendor,
                order.external_id,
                accepted,
                pulse=pulse,
                limits=order.limits,
                pace=share_pace,
                stop=stop,
            )
            return await self._store(order, end)

    async def request(self, order: Order) -> Accepted:
        """Submit one generation, or adopt the one that an earlier try submitted."""
        async with self._beating(order, submits=True) as pulse:
            return await self._generation(order, pulse)

    async def collect(self, watch: Watch) -> Stored | None:
        """Poll until an accepted generation has ended; return None once it can be fetched.

        The hinted form polls at once and quickly, and stores the result. The plain form has a long
        heartbeat time-out because it only waits; a fetch has a short one, so that another worker
        takes it over quickly.
        """
        order, poll = watch.order, watch.order.limits.poll

        def pace(waited: float, _percent: int) -> float:
            return min(poll, max(0.05, waited)) if watch.hinted else poll

        async with self._beating(order) as pulse:
            accepted = pulse.accepted or watch.accepted
            pulse.accept(accepted)
            ended = await until_ended(
                self._vendor,
                order.external_id,
                accepted,
                pulse=pulse,
                limits=order.limits,
                pace=pace,
            )
            return await self._store(order, ended) if watch.hinted else None

    async def fetch(self, watch: Watch) -> Stored | None:
        """Store a result that is said to have ended; return None if that is not possible at once.

        The hinted form of the wait then finds the reason. This is a local activity, so that no task
        queue delays the end of the job after the callback.
        """
        order, known = watch.order, watch.accepted.vendor_id
        ours = order.external_id
        try:
            async with asyncio.timeout(AT_ONCE_SECONDS):
                check_run(order.request.run_id)
                asked = asked_by(self._vendor, ours, known) or known
                end = await end_of(self._vendor, asked, known=known)
                return end and await self._store(order, end, self._storage.store_at_once)
        except (GenvideoError, TimeoutError) as error:
            log.info("not available at once", external_id=ours, reason=str(error))
            return None

    def _beating(
        self, order: Order, *, submits: bool = False
    ) -> AbstractAsyncContextManager[Pulse]:
        check_run(order.request.run_id)
        points = self._stage.points
        return beating(self._client, order.external_id, points=points, submits=submits)

    async def _generation(self, order: Order, pulse: Pulse) -> Accepted:
        return pulse.accepted or await begin(
            order,
            pulse,
            client=self._client,
            vendor=self._vendor,
            accept_seconds=self._settings.accept_seconds,
            send=lambda: self._submit(order),
            write=lambda: self._write(order),
        )

    async def _write(self, order: Order) -> None:
        if order.record is None:
            return
        if (await self._state.record_state(order.record)).present is not None:
            raise RecordStands("The record has ended, is another run's, or is later than this.")

    async def _submit(self, order: Order) -> str:
        given: dict[str, Any] = dict(order.inputs)
        if (source := order.source) is not None:
            job_id, stage, client = order.request.job_id, source.stage, self._client
            given["source"] = SourceFile(
                fitted=lambda bounds: in_time(client, self._storage.fitted(job_id, stage, bounds)),
                address=lambda kinds: in_time(client, self._address(job_id, source, kinds)),
            )
        if self._stage.called_back:
            secret = self._settings.callback_secret.get_secret_value()
            base, vendor = self._settings.callback_url, self._stage.callback
            given["callback_url"] = callback_url(base, secret, order.external_id, vendor)
        return await self._vendor.submit(order.external_id, order.token, **given)

    async def _address(self, job_id: str, source: Source, kinds: Mapping[str, bytes]) -> str:
        """Return an address of the source that gives a file of these kinds: its vendor's, or else
        the API's.

        It is looked at before the submit, because a vendor that can't fetch its source uses up an
        attempt.
        """
        settings, storage = self._settings, self._storage
        try:
            theirs = source.url or await self._new_address(source)
            await storage.look(theirs, kinds)
            return theirs
        except (BadResult, ResultNotAllowed, NeverDelivered, RefusedForGood) as error:
            ours = asset_url(settings.api_public_url, job_id, source.stage)
            if may_reach(ours, settings.vendor_addresses()[self._stage.vendor]):
                with suppress(BadResult, NeverDelivered):
                    await storage.look(ours, kinds, ours=True)
                    return ours
            if isinstance(error, NeverDelivered):
                raise
            who = f"The {self._stage.name} service can't fetch our copy, either (API_PUBLIC_URL)."
            raise RefusedForGood(f"{error.message} {who}") from None

    async def _new_address(self, source: Source) -> str:
        vendor = self._parts.vendor(source.stage)
        try:
            status = await vendor.status(source.vendor_id)
            url = None if status is None else await vendor.address(status)
        except OutcomeUnknown as error:
            what = f"The address of the {source.stage} is not known"
            raise NeverDelivered(f"{what}: {error.message}") from None
        if url is None:
            # Nothing was submitted, so no attempt is used up.
            raise RefusedForGood(f"The {source.stage} service has lost the {source.stage}.")
        return url

    async def _store(
        self, order: Order, end: Ended, store: Callable[..., Awaitable[Asset]] | None = None
    ) -> Stored:
        store = store or self._storage.store
        asset = await store(end.url, order.request.job_id, self._stage, vendor=self._vendor)
        count(order.stage, end.units)
        return Stored(
            vendor_id=end.vendor_id,
            source_url=end.url if is_plain(end.url) else None,
            asset_url=asset_url(self._settings.api_public_url, order.request.job_id, order.stage),
            asset=asset,
            units={order.external_id: end.units} if end.units is not None else {},
        )


def _named(name: str, method: Callable[[Any], Awaitable[Any]]) -> Callable[..., Any]:
    @wraps(method)
    async def run(argument: Any) -> Any:
        return await method(argument)

    return activity.defn(name=name)(run)
