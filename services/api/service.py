"""What the routes share, made when the app starts."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from temporalio.client import Client

from services.api.dependencies import Dependencies, dependencies_of
from services.api.feed.feed import Feed
from services.api.feed.hub import Hub
from services.api.feed.poll import JobPoll
from services.api.feed.stored import StoredPoll
from services.api.feed.watch import JobWatch
from services.api.jobs.batches import Batches
from services.api.jobs.jobs import Jobs
from services.api.repair.forget import Forgetter
from services.api.repair.reconcile import Reconciler
from services.api.repair.repairer import Repairer
from services.api.repair.unknown import UnknownJobs
from services.api.retention import Retention
from services.api.settings import ApiSettings
from services.api.temporal.client import Temporal
from services.api.temporal.slots import Slots
from services.api.thumbnails.maker import Thumbnails
from shared.semaphore.messages import Gate
from shared.store.assets import Assets
from shared.store.chosen import chosen_store
from shared.store.records import Records, RecordStore


class Background(Protocol):
    """What works as long as the app runs."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Work until the end of the block."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """The parts of a running API."""

    settings: ApiSettings
    client: Client
    dependencies: Dependencies
    feed: Feed
    assets: Assets
    jobs: Jobs
    batches: Batches
    gates: Mapping[Gate, Slots]
    background: tuple[Background, ...]
    thumbnails: Thumbnails = field(default_factory=Thumbnails)

    @property
    def slots(self) -> Slots:
        """The gate that every job passes."""
        return self.gates[Gate.JOB]


def make_service(settings: ApiSettings, client: Client) -> Service:
    """The parts around one client; nothing is started yet."""
    temporal, gates = Temporal(client), {gate: Slots(client, gate) for gate in Gate}
    slots = gates[Gate.JOB]
    assets = Assets(chosen_store(settings))
    dependencies = dependencies_of(settings, client, assets)
    feed = _feed(settings, temporal, slots=slots, assets=assets, dependencies=dependencies)
    repairer = Repairer(feed, temporal, dependencies)
    background: list[Background] = [feed]
    if settings.feed == "files" and not settings.elsewhere:
        background.append(Reconciler(feed, temporal, repairer, dependencies=dependencies))
    if settings.feed == "files" or settings.elsewhere:
        records = Records(assets.store, namespace=client.namespace)
        background.append(Forgetter(feed, records, assets, dependencies=dependencies))
        background.append(UnknownJobs(feed, temporal, repairer, dependencies=dependencies))
    jobs = Jobs(feed, temporal, slots=slots, repairer=repairer, dependencies=dependencies)
    return Service(
        settings=settings,
        client=client,
        dependencies=dependencies,
        feed=feed,
        assets=assets,
        jobs=jobs,
        batches=Batches(feed, jobs),
        gates=gates,
        background=tuple(background),
    )


def _feed(
    settings: ApiSettings,
    temporal: Temporal,
    *,
    slots: Slots,
    assets: Assets,
    dependencies: Dependencies,
) -> Feed:
    """Where jobs are learnt from."""
    hub = Hub(settings.api_max_sockets, per_address=settings.api_sockets_per_address)
    retention, every = Retention(settings.retention_days), settings.pace.times.poll
    namespace = temporal.client.namespace
    if settings.elsewhere:
        return StoredPoll(
            temporal,
            slots,
            hub,
            records=Records(assets.store, namespace=namespace),
            dependencies=dependencies,
            retention=retention,
            every=every,
        )
    if settings.feed == "temporal":
        return JobPoll(temporal, slots, hub, every=every)
    records = RecordStore(settings.data_dir, namespace=namespace)
    return JobWatch(records, hub, retention=retention)
