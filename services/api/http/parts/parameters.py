"""What several routes take: the service's parts, a job's id."""

from typing import Annotated

from fastapi import Depends, Path
from starlette.requests import HTTPConnection

from services.api.models import EXAMPLE_ID
from services.api.service import Service


async def _service(connection: HTTPConnection) -> Service:
    # Not a plain function: that would be run in a thread for each request.
    service = connection.app.state.service
    assert isinstance(service, Service)  # noqa: S101 - the lifespan sets it before any request
    return service


ServiceDep = Annotated[Service, Depends(_service)]
JobId = Annotated[str, Path(examples=[EXAMPLE_ID])]


def address_of(connection: HTTPConnection) -> str:
    """The address that the caller comes from; empty where there is none."""
    return "" if connection.client is None else connection.client.host
