"""Requests to every route of the four services, made from their OpenAPI documents and against them.

No answer is a failure that was not asked for, and each has a status, a media type and a form that
the document names.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import jwt
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance
from temporalio.client import Client

from services.api.app import create_app as create_api
from services.api.settings import ApiSettings
from services.callback.app import create_app as create_callback
from services.mock_kling.settings import DEFAULT_SECRET_KEY
from shared.jobs.genvideo import IMAGE
from shared.jobs.ids import external_id, new_job_id
from shared.jobs.states import Status
from shared.jobs.tokens import callback_token, operator_key
from tests.fixtures.processes import serving
from tests.fixtures.records import RecordStore
from tests.services.api.conftest import ended
from tests.services.callback.conftest import SECRET, settings_for
from tests.services.mock_core.serving import comfyui, kling, served
from tests.shared.standins import asset_path, sample_record, standing_in

Connected = Callable[[], Awaitable[Client]]
T = TypeVar("T")


@dataclass
class Service:
    """Where it answers; `known` are values of parameters, by their names, that lead somewhere."""

    base: str
    app: Any
    known: Mapping[str, str]

    def headers(self, path: str = "") -> dict[str, str]:
        """What a caller that may come in there sends."""
        return {}

    def shape(self, case: Any, *, known: bool) -> None:
        """Let a generated request be about something that is there, where it is to be `known`."""
        for part in (case.path_parameters, case.query):
            for name in part or {}:
                if known and name in self.known:
                    part[name] = self.known[name]

    def forget(self) -> None:
        """Undo what the last request has armed."""


class _Callback(Service):
    def shape(self, case: Any, *, known: bool) -> None:
        """The address of a task carries its token."""
        super().shape(case, known=known)
        if known and case.path == "/callback/kling":
            case.query = {name: self.known[name] for name in ("task", "token")}
            if isinstance(case.body, dict):
                case.body.pop("task_info", None)

    def headers(self, path: str = "") -> dict[str, str]:
        return {"Authorization": f"Bearer {operator_key(SECRET)}"}


class _Mock(Service):
    def headers(self, path: str = "") -> dict[str, str]:
        claims = {"iss": "mock-access-key", "exp": int(time.time()) + 1800}
        token = jwt.encode(claims, DEFAULT_SECRET_KEY, algorithm="HS256")
        return {"Authorization": f"Bearer {token}"}

    def forget(self) -> None:
        """What a generated plan asks for is no failure of the next request."""
        self.app.state.mock.plan.clear()


@contextmanager
def running(name: str, connected: Connected, folder: Path) -> Iterator[Service]:
    """One of the services, with something in it to ask for."""
    with in_thread(lambda: _OPENED[name](connected, folder)) as service:
        yield service


@asynccontextmanager
async def _api(connected: Connected, folder: Path) -> AsyncIterator[Service]:
    """Its streams end at once."""
    known = _some_jobs(folder)
    client = await connected()
    app = create_api(ApiSettings(data_dir=folder), client)
    async with standing_in(client), serving(app) as base:
        app.state.service.feed.listeners.close()
        yield Service(base, app, known)


def _some_jobs(folder: Path) -> dict[str, str]:
    """Jobs in different states; the one that is asked for has a picture."""
    ids = []
    for status in (Status.SUCCEEDED, Status.FAILED, Status.DEGRADED, Status.CANCELLED):
        record = ended(sample_record(new_job_id()), status)
        RecordStore(folder).write(record)
        ids.append(record.job_id)
    picture = asset_path(folder, ids[0], IMAGE)
    picture.parent.mkdir(parents=True)
    picture.write_bytes(bytes(range(256)) * 40)
    return {"job_id": ids[0]}


@asynccontextmanager
async def _callback(connected: Connected, folder: Path) -> AsyncIterator[Service]:
    client = await connected()
    RecordStore(folder).write(sample_record(job_id := new_job_id()))
    task = external_id(job_id, "video", 1)
    app = create_callback(settings_for(folder), client)
    known = {"task": task, "token": callback_token(SECRET, task)}
    async with standing_in(client), serving(app) as base:
        yield _Callback(base, app, known)


@asynccontextmanager
async def _image(connected: Connected, folder: Path) -> AsyncIterator[Service]:
    app = comfyui()
    async with served(app) as base, httpx.AsyncClient(base_url=base) as http:
        plain = (await http.post("/img/submit", json={"prompt": "a fox"})).json()["job_id"]
        yield _Mock(base, app, {"job_id": plain, "name": f"{plain}.png"})


@asynccontextmanager
async def _video(connected: Connected, folder: Path) -> AsyncIterator[Service]:
    app = kling()
    async with served(app) as base, httpx.AsyncClient(base_url=base) as http:
        body = {"image_url": "http://127.0.0.1:1/picture.png", "prompt": "a fox"}
        task = (await http.post("/video/submit", json=body)).json()["job_id"]
        yield _Mock(base, app, {"job_id": task, "any_id": task})


_OPENED: Mapping[str, Callable[[Connected, Path], AbstractAsyncContextManager[Service]]] = {
    "api": _api,
    "callback": _callback,
    "image": _image,
    "video": _video,
}
NAMES = tuple(_OPENED)


@contextmanager
def in_thread(opened: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """What is opened, in a loop of its own: the requests come from code that waits."""
    found: list[T] = []
    started, stop = threading.Event(), asyncio.Event()

    async def run() -> None:
        try:
            async with opened() as value:
                found.append(value)
                started.set()
                await stop.wait()
        finally:
            started.set()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    started.wait()
    try:
        assert found, "it did not start"
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance]
# Operation and status of each answer, and how often.
Seen = Counter[tuple[str, int]]


def explore(
    service: Service, *, examples: int, always_the_same: bool
) -> tuple[Seen, list[BaseException]]:
    """So many requests to each operation, half of them against the document where that can be.

    How they were answered, and the first wrong answer of each operation.
    """
    seen: Seen = Counter()
    wrong: list[BaseException] = []
    schema = schemathesis.openapi.from_url(f"{service.base}/openapi.json")
    found: list[Any] = list(schema.get_all_operations())
    for operation in [result.ok() for result in found]:
        tried = settings(
            max_examples=examples,
            deadline=None,
            database=None,
            # Few at random may all be refusals: the gate tries the same ones each time.
            derandomize=always_the_same,
            suppress_health_check=list(HealthCheck),
        )
        check = tried(_checked(service, operation, seen))
        try:
            given(case=_cases(operation), known=st.integers(0, 2))(check)()
        except (AssertionError, Failure, FailureGroup) as error:
            wrong.append(error)
    return seen, wrong


def _cases(operation: Any) -> st.SearchStrategy[Any]:
    fitting: st.SearchStrategy[Any] = operation.as_strategy()
    if not (operation.query or operation.body or operation.headers):
        return fitting
    bent = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    return st.one_of(fitting, bent)


def _checked(service: Service, operation: Any, seen: Seen) -> Callable[..., None]:
    documented = operation.definition.raw["responses"]

    def check(case: Any, known: int) -> None:
        service.shape(case, known=known > 0)
        reply = case.call(headers=service.headers(case.path), timeout=60)
        service.forget()
        seen[operation.label, reply.status_code] += 1
        what = (operation.label, reply.status_code, reply.content[:300])
        assert str(reply.status_code) in documented, what
        case.validate_response(reply, checks=CHECKS)

    return check
