"""The parts that the routes share, made when the app starts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from temporalio.client import Client

from services.api.feed import Feed, Listeners, Retention
from services.api.follow import Follower
from services.api.jobs import Jobs
from services.api.parts import Parts, dependencies_of
from services.api.repair import ROUND_SECONDS, Repairer, periodically
from services.api.settings import ApiSettings
from services.api.slots import Slots
from services.api.temporal import Temporal
from shared.files import forget_partials
from shared.jobs.slots import JOB_GATE, semaphores_of
from shared.store.assets import Assets
from shared.store.chosen import chosen_store
from shared.store.records import Records

# A start waits at most this long until all records are known; the rest is read later.
START_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Service(Parts):
    settings: ApiSettings
    client: Client
    assets: Assets
    gates: dict[str, Slots]
    repairer: Repairer
    jobs: Jobs
    follower: Follower

    @property
    def slots(self) -> Slots:
        """The gate that every job passes."""
        return self.gates[JOB_GATE]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the jobs and repair records, until the end of the block."""
        with suppress(TimeoutError, OSError):
            if not self.settings.elsewhere:
                folder = self.settings.data_dir / "state" / "jobs"
                await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
                await asyncio.to_thread(forget_partials, folder)
            await asyncio.wait_for(self.follower.sweep(), START_SECONDS)
        every = self.settings.pace.times.poll.total_seconds()
        async with AsyncExitStack() as working:
            for work, pause in (
                (self.follower.sweep, self.follower.pause),
                (self.follower.look, lambda: every),
                (self.repairer.end_unknown, lambda: ROUND_SECONDS),
                (self.repairer.remove_expired, lambda: ROUND_SECONDS),
            ):
                await working.enter_async_context(periodically(work, pause))
            yield


def make_service(settings: ApiSettings, client: Client) -> Service:
    """Make the parts around one client; nothing is started yet."""
    known = settings.known
    assets = Assets(chosen_store(settings))
    shared = Parts(
        feed=Feed(
            Listeners(settings.api_max_sockets), retention=Retention(settings.retention_days)
        ),
        records=Records(assets.store, namespace=client.namespace),
        temporal=Temporal(client, known.values()),
        dependencies=dependencies_of(settings, client, assets),
    )
    gates = {name: Slots(client, name) for name in semaphores_of(known.values())}
    repairer = Repairer(shared)
    return Service(
        **vars(shared),
        settings=settings,
        client=client,
        assets=assets,
        gates=gates,
        repairer=repairer,
        jobs=Jobs(shared, repairer, slots=gates, pipelines=known),
        follower=Follower(shared, gates[JOB_GATE], repairer),
    )
