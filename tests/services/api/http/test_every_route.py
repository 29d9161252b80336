"""Generated requests to every route of the OpenAPI file: no failure, and answers as documented.

More of them by hand: `python -m tests.services.api.http.test_every_route 1000`.
"""

import asyncio
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from temporalio.client import Client

from services.api.app import create_app
from services.api.settings import ApiSettings
from shared.assets import asset_path
from shared.ids import new_job_id
from shared.records import RecordStore
from shared.states import Status, Step
from tests.fixtures.temporal import NewClient
from tests.services.api.conftest import ended
from tests.shared.serving import serving
from tests.shared.standins import sample_record, standing_in

EXAMPLES = 15
Connected = Callable[[], Awaitable[Client]]
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def some_jobs(folder: Path) -> list[str]:
    """Jobs in different states, one with a picture."""
    ids = []
    for status in (Status.SUCCEEDED, Status.FAILED, Status.DEGRADED, Status.CANCELLED):
        record = ended(sample_record(new_job_id()), status)
        RecordStore(folder).write(record)
        ids.append(record.job_id)
    picture = asset_path(folder, ids[0], Step.IMAGE)
    picture.parent.mkdir(parents=True)
    picture.write_bytes(bytes(range(256)) * 40)
    return ids


@contextmanager
def api_in_thread(connected: Connected, folder: Path) -> Iterator[str]:
    """An API with a real server behind it, in a loop of its own; its streams end at once."""
    started, bases = threading.Event(), list[str]()
    stop = asyncio.Event()

    async def serve() -> None:
        client = await connected()
        app = create_app(ApiSettings(data_dir=folder, api_rate=0), client)
        async with standing_in(client), serving(app) as base:
            app.state.service.feed.hub.close()
            bases.append(base)
            started.set()
            await stop.wait()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(20)
    try:
        yield bases[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def test_no_route_fails(new_client: NewClient, tmp_path: Path) -> None:
    seen = fuzz(new_client, tmp_path, examples=EXAMPLES)
    assert len({name for name, _ in seen}) == len(list(_operations(create_app(ApiSettings()))))
    # Not only refusals: what is generated also gets as far as doing something.
    assert seen["POST /batches", 202] > 0
    assert seen["POST /jobs", 202] > 0
    assert seen["GET /jobs/{job_id}", 200] > 0


def _operations(app: Any) -> Iterator[tuple[str, str]]:
    for path, calls in app.openapi()["paths"].items():
        for method in calls:
            yield method, path


def fuzz(connected: Connected, folder: Path, *, examples: int) -> Counter[tuple[str, int]]:
    """How often each operation gave each status."""
    jobs = some_jobs(folder)
    seen: Counter[tuple[str, int]] = Counter()
    with api_in_thread(connected, folder) as base:
        schema = schemathesis.openapi.from_url(f"{base}/openapi.json")
        found: list[Any] = list(schema.get_all_operations())
        for result in found:
            operation = result.ok()
            _try_many(operation, jobs, note=seen, examples=examples)
    return seen


def _try_many(
    operation: Any, jobs: list[str], *, note: Counter[tuple[str, int]], examples: int
) -> None:
    @given(case=operation.as_strategy(), known=st.none() | st.sampled_from(jobs))
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        # Few at random may all be refusals: the gate tries the same ones each time.
        derandomize=examples == EXAMPLES,
        suppress_health_check=list(HealthCheck),
    )
    def check(case: Any, known: str | None) -> None:
        if known is not None and "job_id" in (case.path_parameters or {}):
            case.path_parameters["job_id"] = known
        _smaller(case.body)
        reply = case.call(timeout=30)
        note[operation.label, reply.status_code] += 1
        case.validate_response(reply, checks=CHECKS)

    check()


def _smaller(body: Any) -> None:
    """Hundreds of jobs at once show no more than a few."""
    if isinstance(body, dict) and isinstance(body.get("count"), int) and 9 < body["count"] <= 1000:
        body["count"] = 9


def main(examples: int) -> None:
    """A larger run by hand, with a server of its own."""
    from tests.fixtures import temporal

    with asyncio.Runner() as runner, tempfile.TemporaryDirectory() as folder:
        server = runner.run(temporal._start())
        try:
            address = server.client.service_client.config.target_host

            async def connected() -> Client:
                namespace = await temporal._new_namespace(address)
                return await temporal._connect(address, namespace)

            seen = fuzz(connected, Path(folder), examples=examples)
        finally:
            runner.run(server.shutdown())
    sys.stdout.write("\n".join(f"{n:6d}  {s}  {name}" for (name, s), n in sorted(seen.items())))
    sys.stdout.write(f"\n{seen.total():6d}  requests, none failed\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
