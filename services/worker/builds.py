"""The builds of worker and semaphore, as Temporal knows them: who runs by which, which is current.

No build, `""`, is that of all processes that name none.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from google.protobuf.field_mask_pb2 import FieldMask
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.deployment.v1 import WorkerDeploymentInfo, WorkerDeploymentVersion
from temporalio.api.enums.v1 import RoutingConfigUpdateState as Spread
from temporalio.api.enums.v1 import TaskQueueType as Kind
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflow.v1 import VersioningOverride, WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    DescribeWorkerDeploymentRequest,
    DescribeWorkerDeploymentVersionRequest,
    ListTaskQueuePartitionsRequest,
    SetWorkerDeploymentCurrentVersionRequest,
    UpdateWorkflowExecutionOptionsRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError

from shared.slot.messages import SEMAPHORE_WORKFLOW
from shared.slot.watching import is_gone
from shared.temporal.builds import SEMAPHORE, WORKER, deployment_name
from shared.temporal.client import GENVIDEO_QUEUE, GENVIDEO_WORKFLOW, SEMAPHORE_QUEUE

# The order in which a release is made current: the semaphore understands old jobs and new ones.
SERVICES = (SEMAPHORE, WORKER)
OPEN = "ExecutionStatus = 'Running'"
PINNED = "TemporalWorkflowVersioningBehavior = 'Pinned'"
_RUNS = {
    WORKER: (GENVIDEO_WORKFLOW, GENVIDEO_QUEUE),
    SEMAPHORE: (SEMAPHORE_WORKFLOW, SEMAPHORE_QUEUE),
}
_STEPS, _ACTIVITIES = Kind.TASK_QUEUE_TYPE_WORKFLOW, Kind.TASK_QUEUE_TYPE_ACTIVITY
_BOTH = {_STEPS, _ACTIVITIES}
# A poll lasts for a minute; who has not begun another one since then is gone.
POLL_SECONDS = 75.0
AT_ONCE = 20
PAUSE_SECONDS = 0.2


@dataclass(frozen=True)
class Build:
    """So many runs are open by it, and so many processes poll for it."""

    service: str
    build: str
    current: bool
    open: int
    processes: int


async def builds(client: Client, stack: str) -> list[Build]:
    """Those that are current, have open runs, or processes that poll."""
    found = [each for service in SERVICES for each in await _builds_of(client, stack, service)]
    return [each for each in found if each.current or each.open or each.processes]


async def _builds_of(client: Client, stack: str, service: str) -> list[Build]:
    info, pollers = await _info(client, stack, service), await _pollers(client, service)
    known = ["", *(each.deployment_version.build_id for each in info.version_summaries)]
    return [
        Build(
            service=service,
            build=build,
            current=build == _current(info),
            open=await _open(client, stack, service=service, build=build),
            processes=len({each.identity for each in _polling(pollers, build)}),
        )
        for build in known
    ]


async def _info(client: Client, stack: str, service: str) -> WorkerDeploymentInfo:
    """Empty where no process has ever named a build."""
    name = deployment_name(service, stack)
    try:
        answer = await client.workflow_service.describe_worker_deployment(
            DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=name)
        )
    except RPCError as error:
        if not is_gone(error):
            raise
        return WorkerDeploymentInfo()
    return answer.worker_deployment_info


def _current(info: WorkerDeploymentInfo) -> str:
    return info.routing_config.current_deployment_version.build_id


async def _pollers(client: Client, service: str) -> list[PollerInfo]:
    return list((await _queue(client, _RUNS[service][1], _STEPS)).pollers)


async def _queue(client: Client, name: str, kind: Kind.ValueType) -> DescribeTaskQueueResponse:
    return await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=name), task_queue_type=kind
        )
    )


def _polling(pollers: Iterable[PollerInfo], build: str) -> Iterator[PollerInfo]:
    since = time.time() - POLL_SECONDS
    return (
        each
        for each in pollers
        if each.deployment_options.build_id == build and each.last_access_time.ToSeconds() >= since
    )


async def _open(client: Client, stack: str, *, service: str, build: str) -> int:
    version = f"= '{deployment_name(service, stack)}:{build}'" if build else "IS NULL"
    query = f"WorkflowType = '{_RUNS[service][0]}' AND {OPEN}"
    counted = await client.count_workflows(f"{query} AND TemporalWorkerDeploymentVersion {version}")
    return counted.count


async def promote(
    client: Client, stack: str, wanted: Mapping[str, str], *, patience: float
) -> list[str]:
    """Make these builds, by service, the current ones; the services of whose nobody polls.

    All of them or none: a build that nobody polls for within the patience keeps all back. As long
    again is waited at the most until all queues know of them, which they do in the end.
    """
    deadline = time.monotonic() + patience
    while missing := await _missing(client, stack, wanted):
        if time.monotonic() > deadline:
            return missing
        await asyncio.sleep(PAUSE_SECONDS)
    deadline = time.monotonic() + patience
    for service in filter(wanted.__contains__, SERVICES):
        if await _make_current(client, stack, service=service, build=wanted[service]):
            await _has_spread(
                client, stack, service=service, build=wanted[service], deadline=deadline
            )
    return []


async def _missing(client: Client, stack: str, wanted: Mapping[str, str]) -> list[str]:
    return [
        service
        for service, build in wanted.items()
        if build and not await _is_at_work(client, stack, service=service, build=build)
    ]


async def _is_at_work(client: Client, stack: str, *, service: str, build: str) -> bool:
    """Whether it polls, and the server knows of both its queues; it promotes no build before."""
    version = WorkerDeploymentVersion(
        deployment_name=deployment_name(service, stack), build_id=build
    )
    try:
        known = await client.workflow_service.describe_worker_deployment_version(
            DescribeWorkerDeploymentVersionRequest(
                namespace=client.namespace, deployment_version=version
            )
        )
    except RPCError as error:
        if not is_gone(error):
            raise
        return False
    kinds = {each.type for each in known.version_task_queues}
    return kinds >= _BOTH and any(_polling(await _pollers(client, service), build))


async def _make_current(client: Client, stack: str, *, service: str, build: str) -> bool:
    """Whether it was not yet."""
    if _current(await _info(client, stack, service)) == build:
        return False
    await client.workflow_service.set_worker_deployment_current_version(
        SetWorkerDeploymentCurrentVersionRequest(
            namespace=client.namespace,
            deployment_name=deployment_name(service, stack),
            build_id=build,
            identity=client.identity,
        )
    )
    return True


async def _has_spread(
    client: Client, stack: str, *, service: str, build: str, deadline: float
) -> None:
    """Return when no queue gives a next step to the build before any more, or at the deadline.

    A slow server may lose what ends its own account of that, which then says for good that it is
    in progress (https://github.com/temporalio/temporal/issues/11842): so the queues are asked, too.
    """
    while time.monotonic() < deadline:
        info = await _info(client, stack, service)
        if info.routing_config_update_state != Spread.ROUTING_CONFIG_UPDATE_STATE_IN_PROGRESS:
            return
        # Not every server tells of the parts of its queues.
        with suppress(RPCError):
            if await _all_give_to(client, service, build):
                return
        await asyncio.sleep(PAUSE_SECONDS)


async def _all_give_to(client: Client, service: str, build: str) -> bool:
    """Whether each part of the service's queues says that this build is its current one."""
    parts = await client.workflow_service.list_task_queue_partitions(
        ListTaskQueuePartitionsRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=_RUNS[service][1])
        )
    )
    steps, activities = parts.workflow_task_queue_partitions, parts.activity_task_queue_partitions
    found = [
        await _queue(client, part.key, kind)
        for kind, keys in ((_STEPS, steps), (_ACTIVITIES, activities))
        for part in keys
    ]
    return {each.versioning_info.current_deployment_version.build_id for each in found} == {build}


async def move(client: Client, stack: str, build: str) -> int:
    """Have the open jobs of other builds go on by this one; how many there were.

    Their histories must replay by it. Without a build they go to whatever is current.
    """
    name = deployment_name(WORKER, stack)
    query = f"WorkflowType = '{GENVIDEO_WORKFLOW}' AND {OPEN} AND {PINNED}"
    if build:
        query += f" AND TemporalWorkerDeploymentVersion != '{name}:{build}'"
    jobs = [job async for job in client.list_workflows(query)]
    options = WorkflowExecutionOptions(versioning_override=_override(name, build))
    at_once = asyncio.Semaphore(AT_ONCE)

    async def one(job_id: str, run_id: str) -> None:
        async with at_once:
            await _update(client, WorkflowExecution(workflow_id=job_id, run_id=run_id), options)

    await asyncio.gather(*(one(job.id, job.run_id) for job in jobs))
    return len(jobs)


def _override(name: str, build: str) -> VersioningOverride:
    if not build:
        return VersioningOverride(auto_upgrade=True)
    return VersioningOverride(
        pinned=VersioningOverride.PinnedOverride(
            behavior=VersioningOverride.PINNED_OVERRIDE_BEHAVIOR_PINNED,
            version=WorkerDeploymentVersion(deployment_name=name, build_id=build),
        )
    )


async def _update(
    client: Client, run: WorkflowExecution, options: WorkflowExecutionOptions
) -> None:
    """A run that has closed meanwhile needs nothing."""
    try:
        await client.workflow_service.update_workflow_execution_options(
            UpdateWorkflowExecutionOptionsRequest(
                namespace=client.namespace,
                workflow_execution=run,
                workflow_execution_options=options,
                update_mask=FieldMask(paths=["versioning_override"]),
            )
        )
    except RPCError as error:
        if not is_gone(error):
            raise
