"""What the routes share, made when the app starts and handed to them by one dependency."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends
from starlette.requests import HTTPConnection
from temporalio.client import Client

from services.api.batches import Batches
from services.api.feed import Feed
from services.api.hub import Hub
from services.api.jobs import Jobs
from services.api.poll import JobPoll
from services.api.reconcile import Reconciler
from services.api.settings import ApiSettings
from services.api.slots import Slots
from services.api.temporal import Temporal
from services.api.watch import JobWatch
from shared.records import RecordStore
from shared.slots import Gate


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
    jobs: Jobs
    batches: Batches
    gates: Mapping[Gate, Slots]
    background: tuple[Background, ...]

    @property
    def slots(self) -> Slots:
        """The gate that every job passes."""
        return self.gates[Gate.JOB]


def make_service(settings: ApiSettings, client: Client) -> Service:
    """The parts around one client; nothing is started yet."""
    temporal, gates = Temporal(client), {gate: Slots(client, gate) for gate in Gate}
    slots = gates[Gate.JOB]
    feed, background = _feed(settings, temporal, slots=slots)
    jobs = Jobs(feed, temporal, slots=slots)
    return Service(
        settings=settings,
        client=client,
        feed=feed,
        jobs=jobs,
        batches=Batches(feed, jobs),
        gates=gates,
        background=background,
    )


def _feed(
    settings: ApiSettings, temporal: Temporal, *, slots: Slots
) -> tuple[Feed, tuple[Background, ...]]:
    """Where jobs are learnt from, and what keeps it so."""
    hub = Hub(settings.api_max_sockets)
    if settings.feed == "temporal":
        poll = JobPoll(temporal, slots, hub)
        return poll, (poll,)
    watch = JobWatch(RecordStore(settings.data_dir), hub)
    return watch, (watch, Reconciler(watch, temporal))


async def _service(connection: HTTPConnection) -> Service:
    # Not a plain function: that would be run in a thread for each request.
    service = connection.app.state.service
    assert isinstance(service, Service)  # noqa: S101 - the lifespan sets it before any request
    return service


ServiceDep = Annotated[Service, Depends(_service)]
