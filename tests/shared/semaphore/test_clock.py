"""The server, and the time that it tells, which is the only one."""

import ast
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

import services.semaphore
import shared.semaphore
from shared.semaphore.messages import Closed, RunRef
from shared.semaphore.server import is_gone, until_closed

FOLDERS = [Path(each.__path__[0]) for each in (services.semaphore, shared.semaphore)]
SOURCES = [path for folder in FOLDERS for path in sorted(folder.rglob("*.py"))]
CLOCKS = ("now", "utcnow", "today", "time", "time_ns")


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_only_temporals_clock_is_used(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            asked = ast.unparse(node.func)
            assert node.func.attr not in CLOCKS or asked == "workflow.now", asked


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
