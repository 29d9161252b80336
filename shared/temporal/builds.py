"""Builds side by side: which one a process is of, and who stays with the one it began by."""

from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import WorkerDeploymentConfig

WORKER, SEMAPHORE = "worker", "semaphore"
# What the histories say where releases replace one another. Told nothing, the SDK would read the
# code of every module there is at each start.
UNNAMED = "unnamed"
_STAYS = {
    WORKER: VersioningBehavior.PINNED,
    SEMAPHORE: VersioningBehavior.AUTO_UPGRADE,
}


def deployment_name(service: str, stack: str) -> str:
    """What the builds of a service are called together in Temporal."""
    return f"{service}-{stack}" if stack else service


def deployment(service: str, stack: str, *, build: str) -> WorkerDeploymentConfig | None:
    """By which build a process says that it works; None: by none, and it gets all there is.

    A job stays with the build that it began by, a semaphore goes to the current one at once.
    """
    if not build:
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(deployment_name(service, stack), build),
        use_worker_versioning=True,
        default_versioning_behavior=_STAYS[service],
    )


def name_in_histories(build: str) -> str | None:
    """What a worker is to give the SDK beside its deployment, which has a name of its own."""
    return None if build else UNNAMED
