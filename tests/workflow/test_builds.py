"""Two builds at once: a job ends by the one it began by, the semaphore goes to the current one."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path

import pytest
from temporalio.api.deployment.v1 import WorkerDeploymentInfo
from temporalio.api.enums.v1 import RoutingConfigUpdateState as Spread
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from services.semaphore.deterministic import starts
from services.semaphore.watchdog import end_overdue
from services.semaphore.worker import running_semaphore
from services.worker import builds as looks
from services.worker import worker
from services.worker.builds import Build, builds, move, promote
from services.worker.replay_open import OPEN, UNPINNED, open_jobs
from services.worker.worker import running_worker
from services.worker.workflows import GenVideoWorkflow
from shared.jobs.states import Status
from shared.slot.messages import JOB_GATE, semaphore_id
from shared.temporal.builds import SEMAPHORE, WORKER
from tests.fixtures.eventually import PATIENCE_SECONDS, eventually
from tests.fixtures.semaphore_history import is_drained
from tests.fixtures.server import Server, answers, running_server
from tests.workflow.changed import ChangedWorkflow
from tests.workflow.pipeline import Pipeline, pipeline
from tests.workflow.test_cancelling import LONG, begun

OLD, NEW = "01d", "2e3"


@pytest.fixture(scope="module")
def temporal_server() -> Iterator[Server]:
    """One whose namespaces have the workers of its own that keep the books of builds."""
    with running_server(
        "--headless", "--dynamic-config-value=worker.perNamespaceWorkerCount=1"
    ) as server:
        asyncio.run(answers(server))
        yield server


@pytest.fixture
async def line(client: Client, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with pipeline(client, tmp_path) as line:
        yield line


@asynccontextmanager
async def workers(
    line: Pipeline, build: str, workflow: type = GenVideoWorkflow
) -> AsyncIterator[None]:
    """A worker of a build, whose jobs do this."""
    settings = line.settings.model_copy(update={"release_build": build})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "GenVideoWorkflow", workflow)
        running = running_worker(settings, await another(line.client))
        await running.__aenter__()
    try:
        yield
    finally:
        await running.__aexit__(None, None, None)


@asynccontextmanager
async def semaphores(line: Pipeline, build: str) -> AsyncIterator[None]:
    """A semaphore's process of a build."""
    client = await another(line.client)
    async with running_semaphore(client, shutdown_seconds=0.1, build=build):
        yield


async def another(client: Client) -> Client:
    """Two workers of one queue can't share a client."""
    address = client.service_client.config.target_host
    return await Client.connect(
        address, namespace=client.namespace, data_converter=client.data_converter
    )


async def current(line: Pipeline, build: str, *names: str) -> None:
    wanted = dict.fromkeys(names or (WORKER, SEMAPHORE), build)
    assert await promote(line.client, "", wanted, patience=PATIENCE_SECONDS) == []


async def build_of(line: Pipeline, workflow_id: str) -> str:
    """By which build its last step was made."""
    described = await line.client.get_workflow_handle(workflow_id).describe()
    info = described.raw_description.workflow_execution_info.versioning_info
    return info.deployment_version.build_id


async def breathed(line: Pipeline, job_id: str) -> bool:
    """Whether it did what the changed workflow alone does first."""
    history = await line.job(job_id).fetch_history()
    timers = (each for each in history.events if each.HasField("timer_started_event_attributes"))
    return any(
        each.timer_started_event_attributes.start_to_fire_timeout.ToTimedelta()
        < timedelta(seconds=1)
        for each in timers
    )


async def test_open_jobs_end_by_the_old_one_and_new_ones_begin_by_the_new(line: Pipeline) -> None:
    async with semaphores(line, OLD), workers(line, OLD):
        await current(line, OLD)
        both = {WORKER: OLD, SEMAPHORE: NEW}
        assert await promote(line.client, "", both, patience=0) == [SEMAPHORE]
        await line.change(paused=True)
        before = await line.submit("a fox in the queue")
        await line.slots(lambda view: view.waiting == (before,))
        assert await build_of(line, semaphore_id(JOB_GATE)) == OLD
        async with semaphores(line, NEW), workers(line, NEW, ChangedWorkflow):
            await current(line, NEW)
            after = await line.submit("a fox of the new release")
            await line.slots(lambda view: view.waiting == (before, after))
            await are_open(line, OPEN, 2)
            await are_open(line, UNPINNED, 0)
            await line.change(paused=False)
            for job_id, build, changed in ((before, OLD, False), (after, NEW, True)):
                assert (await line.ended(job_id)).status is Status.SUCCEEDED
                assert await build_of(line, job_id) == build
                assert await breathed(line, job_id) is changed
            # The server tells its queues of the current build only by and by.
            assert await build_of(line, semaphore_id(JOB_GATE)) == NEW
            found = {(each.service, each.build): each for each in await until_nothing_is_open(line)}
    assert found[WORKER, OLD] == Build(WORKER, OLD, current=False, open=0, processes=1)
    assert found[WORKER, NEW].current
    assert found[SEMAPHORE, NEW].current


@pytest.fixture
def spreads_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's account of who knows of a build is never closed, as happens to a slow one:
    https://github.com/temporalio/temporal/issues/11842"""
    told = looks._info

    async def info(client: Client, stack: str, service: str) -> WorkerDeploymentInfo:
        found = await told(client, stack, service)
        found.routing_config_update_state = Spread.ROUTING_CONFIG_UPDATE_STATE_IN_PROGRESS
        return found

    monkeypatch.setattr(looks, "_info", info)


@pytest.mark.usefixtures("spreads_for_good")
async def test_what_all_queues_know_has_spread_whatever_the_account_says(line: Pipeline) -> None:
    async with semaphores(line, NEW), workers(line, OLD), asyncio.timeout(PATIENCE_SECONDS):
        wanted = {SEMAPHORE: NEW, WORKER: OLD}
        assert await promote(line.client, "", wanted, patience=inf) == []
        assert (await line.run()).status is Status.SUCCEEDED


@pytest.mark.usefixtures("spreads_for_good")
async def test_what_not_all_queues_know_is_waited_for_within_the_patience(
    line: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(client: Client, service: str, build: str) -> bool:
        """As by a server that keeps the parts of its queues to itself."""
        raise RPCError("not for you", RPCStatusCode.PERMISSION_DENIED, b"")

    monkeypatch.setattr(looks, "_all_give_to", refused)
    async with workers(line, OLD), asyncio.timeout(PATIENCE_SECONDS):
        await eventually(
            lambda: promote(line.client, "", {WORKER: OLD}, patience=1), lambda missing: not missing
        )
        assert Build(WORKER, OLD, current=True, open=0, processes=1) in await builds(
            line.client, ""
        )


async def test_without_a_build_nobody_reads_all_code_at_the_start(
    line: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read() -> str:
        raise AssertionError("the code of every module was read")

    monkeypatch.setattr("temporalio.worker._worker.load_default_build_id", read)
    async with semaphores(line, ""), workers(line, ""):
        assert (await line.run()).status is Status.SUCCEEDED


async def are_open(line: Pipeline, query: str, number: int) -> None:
    """Return when so many jobs would be replayed."""
    await eventually(lambda: open_jobs(line.client, query), lambda found: found.total == number)


async def until_nothing_is_open(line: Pipeline) -> list[Build]:
    """The builds as soon as the list of jobs shows that none is open."""
    return await eventually(
        lambda: builds(line.client, ""),
        lambda found: not any(each.open for each in found if each.service == WORKER),
    )


async def test_whose_workers_are_gone_is_ended_by_the_watchdog_or_moved(
    line: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starts, "DRAIN_HOLD_SECONDS", 0.3)
    await line.videos.arm({**LONG, "match": {"prompt": "bad"}})
    async with semaphores(line, NEW):
        async with workers(line, OLD):
            await current(line, NEW, SEMAPHORE)
            await current(line, OLD, WORKER)
            holder = await line.submit("bad")
            await begun(line.videos, f"{holder}.video.1")
            waiter = await line.submit("good")
            await line.slots(lambda view: view.waiting == (waiter,))
        async with workers(line, NEW):
            await current(line, NEW, WORKER)
            with monkeypatch.context() as patch:
                # So that those who polled just now count as gone.
                patch.setattr(looks, "POLL_SECONDS", -1)
                assert Build(WORKER, OLD, current=False, open=2, processes=0) in await builds(
                    line.client, ""
                )
            late = datetime.now(UTC) + timedelta(days=2)
            [ended] = await end_overdue(line.client, JOB_GATE, now=late)
            assert ended.job_id == holder
            # By a worker that there is.
            await is_drained(line.client, holder)
            await line.videos.hurry()
            # The other one may have asked, and hold the slot, with nobody who would go on with it.
            await line.slots(lambda view: all(each.job_id != holder for each in view.holders))
            assert await move(line.client, "", NEW) == 1
            assert (await line.ended(waiter)).status is Status.SUCCEEDED
            assert await build_of(line, waiter) == NEW


async def test_jobs_of_a_build_go_on_by_none(line: Pipeline) -> None:
    """Switched on with open jobs that know no build, and off again."""
    async with semaphores(line, ""):
        async with workers(line, ""):
            await line.change(paused=True)
            first = await line.submit("before any build")
            await line.slots(lambda view: view.waiting == (first,))
            await are_open(line, UNPINNED, 1)
        async with workers(line, NEW):
            await current(line, NEW, WORKER)
            await line.change(paused=False)
            assert (await line.ended(first)).status is Status.SUCCEEDED
            assert await build_of(line, first) == NEW
            await line.change(paused=True)
            second = await line.submit("of a build")
            await line.slots(lambda view: view.waiting == (second,))
        async with workers(line, ""):
            await current(line, "", WORKER)
            assert await move(line.client, "", "") == 1
            await line.change(paused=False)
            assert (await line.ended(second)).status is Status.SUCCEEDED
