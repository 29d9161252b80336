"""What the routes share, made when the app starts and handed to them by one dependency."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection
from temporalio.client import Client

from services.api.jobs import Jobs
from services.api.reconcile import Reconciler
from services.api.settings import ApiSettings
from services.api.slots import Slots
from services.api.temporal import Temporal
from services.api.watch import JobWatch
from shared.records import RecordStore


@dataclass(frozen=True, kw_only=True)
class Service:
    """The parts of a running API."""

    settings: ApiSettings
    client: Client
    feed: JobWatch
    jobs: Jobs
    slots: Slots
    reconciler: Reconciler


def make_service(settings: ApiSettings, client: Client) -> Service:
    """The parts around one client; nothing is started yet."""
    feed = JobWatch(RecordStore(settings.data_dir))
    temporal = Temporal(client)
    return Service(
        settings=settings,
        client=client,
        feed=feed,
        jobs=Jobs(feed, temporal),
        slots=Slots(client),
        reconciler=Reconciler(feed, temporal),
    )


def _service(connection: HTTPConnection) -> Service:
    service = connection.app.state.service
    assert isinstance(service, Service)  # noqa: S101 - the lifespan sets it before any request
    return service


ServiceDep = Annotated[Service, Depends(_service)]
