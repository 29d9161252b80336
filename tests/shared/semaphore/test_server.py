"""Whether a run is gone is the server's word on that run, and on nothing else."""

from uuid import uuid4

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from temporalio.api.common.v1 import GrpcStatus
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure, NotFoundFailure
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from shared.semaphore.messages import Closed, RunRef
from shared.semaphore.server import close_status, is_gone, until_closed


def not_found(*details: NamespaceNotFoundFailure | NotFoundFailure) -> RPCError:
    packed = [AnyMessage() for _ in details]
    for into, each in zip(packed, details, strict=True):
        into.Pack(each)
    status = GrpcStatus(code=5, message="not found", details=packed)
    return RPCError("not found", RPCStatusCode.NOT_FOUND, status.SerializeToString())


def test_a_namespace_that_is_not_known_tells_nothing_of_a_run() -> None:
    assert is_gone(not_found())
    assert is_gone(not_found(NotFoundFailure()))
    assert not is_gone(not_found(NamespaceNotFoundFailure(namespace="other")))
    assert not is_gone(RPCError("away", RPCStatusCode.UNAVAILABLE, b""))


async def test_the_server_says_which_it_is(client: Client) -> None:
    for run_id in (str(uuid4()), "no UUID"):
        run = RunRef(job_id="job", run_id=run_id)
        assert await until_closed(client, run) is Closed.UNKNOWN
        assert await close_status(client, run) is Closed.UNKNOWN
    run = RunRef(job_id="job", run_id=str(uuid4()))
    elsewhere = Client(client.service_client, namespace=f"no-such-{uuid4().hex}")
    for look in (until_closed, close_status):
        with pytest.raises(RPCError) as refused:
            await look(elsewhere, run)
        assert refused.value.status is RPCStatusCode.NOT_FOUND
        assert not is_gone(refused.value)
