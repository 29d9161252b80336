"""Prefect with a server of its own (SQLite): background tasks, a global concurrency limit of 1.

python3 -m venv prefect && prefect/bin/pip install prefect httpx
PREFECT_HOME=$PWD/prefect/home prefect/bin/prefect server database upgrade -y
"""

import sys
from contextlib import suppress

from prefect import task
from prefect.cache_policies import INPUTS
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectAlreadyExists
from prefect.task_worker import serve

from tools.peers import vendors

# How long the place of a task that is gone stays taken; by default five minutes.
LEASE_SECONDS = 60

image = task(persist_result=True, cache_policy=INPUTS)(vendors.image)
start_video = task(persist_result=True, cache_policy=INPUTS)(vendors.start_video)
await_video = task(persist_result=True, cache_policy=INPUTS)(vendors.await_video)


def run(name: str) -> None:
    with concurrency("slot", lease_duration=LEASE_SECONDS, strict=True):
        await_video(name, start_video(name, image(name)))


job = task(run)


def main(verb: str, *names: str) -> None:
    if verb == "work":
        vendors.tell("ready")
        serve(job, limit=1)
    with get_client(sync_client=True) as client:
        limit = GlobalConcurrencyLimitCreate(name="slot", limit=1)
        with suppress(ObjectAlreadyExists):
            client.create_global_concurrency_limit(limit)
    for name in names:
        job.delay(name)


if __name__ == "__main__":
    main(*sys.argv[1:])
