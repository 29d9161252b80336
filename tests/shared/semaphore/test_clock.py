"""The server, and the time that it tells, which is the only one."""

import ast
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from temporalio.api.common.v1 import GrpcStatus
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure, NotFoundFailure
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

import services.semaphore
import shared.semaphore
from shared.jobs.slots import JOB_GATE
from shared.semaphore.messages import Closed, RunRef
from shared.semaphore.rebuild import RECENT, find_jobs
from shared.semaphore.server import is_gone, until_closed
from tests.fixtures.eventually import eventually
from tests.shared.semaphore.standins import Jobs

FOLDERS = [Path(each.__path__[0]) for each in (services.semaphore, shared.semaphore)]
SOURCES = [path for folder in FOLDERS for path in sorted(folder.rglob("*.py"))]
CLOCKS = ("now", "utcnow", "today", "time", "time_ns")


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_only_temporals_clock_is_used(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            asked = ast.unparse(node.func)
            assert node.func.attr not in CLOCKS or asked == "workflow.now", asked


async def test_recent_kills_are_judged_by_the_servers_time(jobs: Jobs) -> None:
    """What a run had asked for is judged by the same time, and no other."""
    handle = await jobs.begin("killed")
    await handle.terminate()
    closed = (await handle.describe()).close_time
    assert closed is not None

    async def found(after: timedelta) -> list[str]:
        seen = await find_jobs(jobs.client, JOB_GATE, now=closed + after)
        return [each.request.job_id for each in seen]

    await eventually(lambda: found(timedelta()), lambda jobs: jobs == ["killed"])
    assert await found(RECENT - timedelta(minutes=1)) == ["killed"]
    assert await found(RECENT + timedelta(minutes=1)) == []


def not_found(*details: NamespaceNotFoundFailure | NotFoundFailure) -> RPCError:
    packed = [AnyMessage() for _ in details]
    for into, each in zip(packed, details, strict=True):
        into.Pack(each)
    status = GrpcStatus(code=5, message="not found", details=packed)
    return RPCError("not found", RPCStatusCode.NOT_FOUND, status.SerializeToString())


def test_unknown_namespace_says_nothing_about_a_run() -> None:
    assert is_gone(not_found())
    assert is_gone(not_found(NotFoundFailure()))
    assert not is_gone(not_found(NamespaceNotFoundFailure(namespace="other")))
    assert not is_gone(RPCError("away", RPCStatusCode.UNAVAILABLE, b""))


async def test_server_names_itself(client: Client) -> None:
    for run_id in (str(uuid4()), "no UUID"):
        run = RunRef(job_id="job", run_id=run_id)
        assert await until_closed(client, run) is Closed.UNKNOWN
    run = RunRef(job_id="job", run_id=str(uuid4()))
    elsewhere = Client(client.service_client, namespace=f"no-such-{uuid4().hex}")
    with pytest.raises(RPCError) as refused:
        await until_closed(elsewhere, run)
    assert refused.value.status is RPCStatusCode.NOT_FOUND
    assert not is_gone(refused.value)
