"""The product's own classes on simulated ground; what depends on the slot's protocol is here."""

from collections.abc import Callable, Container, Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast

from pydantic import SecretStr

from services.semaphore.abandoned import begin_anew
from services.semaphore.activities import SemaphoreActivities
from services.semaphore.deterministic.queue import turn
from services.semaphore.models import SemaphoreRules
from services.semaphore.watchdog import watch_over
from services.semaphore.workflows import SemaphoreWorkflow
from services.worker.acting.draining import DrainActivities
from services.worker.acting.records import StateActivities
from services.worker.acting.requests import Requests
from services.worker.activities import StageActivities
from services.worker.dependencies import Dependencies
from services.worker.results.disk import Disk
from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.service.images import ImageService
from services.worker.vendors.service.videos import VideoService
from services.worker.workflows import GenVideoWorkflow
from shared.slot.messages import SEMAPHORE_WORKFLOW, Gate, semaphore_id
from shared.temporal.client import GENVIDEO_QUEUE, GENVIDEO_WORKFLOW, SEMAPHORE_QUEUE
from tests.simulation.client import SimulatedClient
from tests.simulation.plan import Options
from tests.simulation.server import Server
from tests.simulation.stubs import Records, Store
from tests.simulation.vendors import Vendor
from tests.simulation.worker import Worker, new_worker

NOWHERE = Path("nowhere")


def _settings(options: Options) -> WorkerSettings:
    return _settings_of(
        image_attempt_seconds=options.image_seconds,
        video_attempt_seconds=options.video_seconds,
        job_seconds=options.job_seconds,
        drain_seconds=options.drain_seconds,
        image_give_up_seconds=options.give_up_seconds,
        video_give_up_seconds=options.give_up_seconds,
        gates=options.gates,
    )


@cache
def _settings_of(**fields: float | str) -> WorkerSettings:
    """Made once for all histories that set the same: the environment is read each time."""
    secret = SecretStr("a-secret-of-32-characters-or-more")
    return WorkerSettings.model_validate({"callback_secret": secret, "data_dir": NOWHERE, **fields})


def job_worker(
    server: Server,
    name: str,
    options: Options,
    *,
    images: Vendor,
    videos: Vendor,
    records: Records,
) -> Worker:
    """A process that runs jobs, as `services.worker.worker` puts it together."""
    worker = new_worker(
        server, name, GENVIDEO_QUEUE, workflows={GENVIDEO_WORKFLOW: GenVideoWorkflow}
    )
    client: Any = SimulatedClient(server, worker)
    settings = _settings(options)
    parts = Dependencies(
        settings=settings,
        client=client,
        images=ImageService(cast(Any, images.at(worker))),
        videos=VideoService(cast(Any, videos.at(worker))),
        storage=cast(Any, Store(server.world)),
    )
    requests = Requests(client)
    state = StateActivities(settings, Disk(NOWHERE), requests=requests)
    drain = DrainActivities(parts)
    for each in (state, drain):
        each._records = cast(Any, records)
    _install(
        worker,
        StageActivities(parts),
        drain,
        state,
        requests,
    )
    return worker


def semaphore_worker(server: Server, name: str, options: Options) -> Worker:
    """The semaphore's process, with the care that a semaphore runs for each gate in use."""
    worker = new_worker(
        server, name, SEMAPHORE_QUEUE, workflows={SEMAPHORE_WORKFLOW: SemaphoreWorkflow}
    )
    client: Any = SimulatedClient(server, worker)
    worker.fails_runs = True
    rules = SemaphoreRules(max_history=options.max_history)
    activities = SemaphoreActivities(client, rules)
    _install(worker, activities)

    async def care() -> None:
        await begin_anew(client, gates(options))
        watches = activities.watches
        await watch_over(
            client, SEMAPHORE_QUEUE, rules=rules, watches=watches, gates=gates(options)
        )

    worker.begin(care())
    return worker


def gates(options: Options) -> list[Gate]:
    """The gates that a semaphore is run for."""
    return [Gate.JOB, *(Gate(name) for name in options.gates.split(",") if name)]


def _install(worker: Worker, *holders: object) -> None:
    for holder in holders:
        for name, function in _activities(holder):
            worker.functions[name] = function


def _activities(holder: object) -> Iterator[tuple[str, Callable[..., Any]]]:
    for attribute in vars(type(holder)).values():
        definition = getattr(attribute, "__temporal_activity_definition", None)
        if definition is not None:
            yield definition.name, getattr(holder, attribute.__name__)


class SemaphoreBook:
    """A semaphore's workflow as it stands in a cache: who holds, who waits."""

    def __init__(self, semaphore: Any) -> None:
        self._permits = semaphore._permits
        # Whether it knows who holds and who waits.
        self.ready: bool = semaphore._ready

    @property
    def limit(self) -> int:
        return int(self._permits.settings.limit)

    def held(self) -> dict[str, bool]:
        """The runs that hold, and whether each is draining."""
        return {run_id: holder.drain is not None for run_id, holder in self._permits.held.items()}

    def waiting(self) -> list[tuple[int, Any, str]]:
        """Priority, key of the turn and run of each waiter."""
        return [_turn(request) for request in self._permits.queue]

    def turns(self) -> dict[str, tuple[int, Any, str]]:
        """The same of those who hold."""
        return {run_id: _turn(holder.request) for run_id, holder in self._permits.held.items()}

    def busy(self, broken: Container[str]) -> str:
        """Who is in the book still; empty at the end of all.

        A job whose code fails for ever, and which never held, waits on until somebody ends it.
        """
        queue = self._permits.queue
        waiting = [request.run_id for request in queue if request.job_id not in broken]
        parts = {"held": list(self.held()), "waiting": waiting}
        return ", ".join(f"{name}: {who}" for name, who in parts.items() if who)


def _turn(request: Any) -> tuple[int, Any, str]:
    return request.priority, turn(request), request.run_id


def semaphore_of(gate: Gate) -> str:
    """Its workflow id."""
    return semaphore_id(gate)
