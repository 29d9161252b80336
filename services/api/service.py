"""What the routes share, made when the app starts."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from temporalio.client import Client

from services.api.feed.feed import Feed
from services.api.feed.hub import Hub
from services.api.feed.poll import JobPoll
from services.api.feed.stored import StoredPoll
from services.api.feed.watch import JobWatch
from services.api.jobs.batches import Batches
from services.api.jobs.jobs import Jobs
from services.api.repair.forget import Forgetter
from services.api.repair.reconcile import Reconciler
from services.api.retention import Retention
from services.api.settings import ApiSettings
from services.api.temporal.client import Temporal
from services.api.temporal.slots import Slots
from services.api.thumbnails.maker import Thumbnails
from shared.slot.messages import Gate
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
    feed, background = _feed(settings, temporal, slots=slots, assets=assets)
    jobs = Jobs(feed, temporal, slots=slots)
    return Service(
        settings=settings,
        client=client,
        feed=feed,
        assets=assets,
        jobs=jobs,
        batches=Batches(feed, jobs),
        gates=gates,
        background=background,
    )


def _feed(
    settings: ApiSettings, temporal: Temporal, *, slots: Slots, assets: Assets
) -> tuple[Feed, tuple[Background, ...]]:
    """Where jobs are learnt from, and what keeps it so."""
    hub = Hub(settings.api_max_sockets, per_address=settings.api_sockets_per_address)
    retention, every = Retention(settings.retention_days), settings.pace.times.poll
    if settings.elsewhere:
        shared = Records(assets.store)
        stored = StoredPoll(temporal, slots, hub, records=shared, retention=retention, every=every)
        return stored, (stored, Forgetter(stored, shared, assets))
    if settings.feed == "temporal":
        poll = JobPoll(temporal, slots, hub, every=every)
        return poll, (poll,)
    records = RecordStore(settings.data_dir)
    watch = JobWatch(records, hub, retention=retention)
    forgetter = Forgetter(watch, records, assets)
    return watch, (watch, Reconciler(watch, temporal), forgetter)
