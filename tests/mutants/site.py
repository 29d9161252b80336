"""Where mutants run: one Temporal server and one pair of mocks for many, and a stack for each."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporalio.client import Client

from compose.stack.machine import free_ports
from loadtest.settings import Settings
from loadtest.wire.http import Http
from shared.http.client import http_client
from shared.jobs.tokens import operator_key
from tests.fixtures.eventually import eventually
from tests.fixtures.processes import Running, running
from tests.fixtures.temporal import Server, Servers, connected, new_namespace
from tests.mutants.forks import Fork, Forks, forking

SECRET = "a-secret-of-more-than-thirty-two-characters"
MOCKS = {"image": ("mock_comfyui", "COMFYUI_PORT"), "video": ("mock_kling", "KLING_PORT")}
PARTS = {
    "semaphore": "SEMAPHORE_HTTP_PORT",
    "callback": "CALLBACK_PORT",
    "api": "API_PORT",
    "worker": "WORKER_HTTP_PORT",
}
# Shorter than the product's own, so that the fallbacks of a broken build show within seconds.
QUICK = {
    "VIDEO_POLL_SECONDS": "0.5",
    "ACCEPT_SECONDS": "2",
    "DRAIN_SECONDS": "30",
    "SHUTDOWN_SECONDS": "0.5",
    "LOG_LEVEL": "WARNING",
}


@dataclass
class Site:
    """A running stack of one mutant, as those who interfere with it see it."""

    settings: Settings
    client: Client
    api: Http
    mocks: dict[str, Http]
    workers: list[Fork]
    processes: list[Fork | asyncio.subprocess.Process]
    """All services, workers and mocks included."""

    async def jobs(self, count: int) -> list[dict[str, Any]]:
        """The jobs in the order of the plan, once the API shows so many."""

        async def listed() -> list[dict[str, Any]]:
            body = (await self.api.get("/jobs")).json()
            return list(body["jobs"]) if isinstance(body, dict) else []

        found = await eventually(listed, lambda jobs: len(jobs) >= count)
        return sorted(found, key=lambda job: int(job["prompt"].rpartition("#")[2]))

    async def generation(
        self, step: str, ours: str, fits: Callable[[dict[str, Any]], bool] = bool
    ) -> dict[str, Any]:
        """The vendor's row of one generation, once there is one that fits."""

        async def row() -> dict[str, Any]:
            found = await self.mocks[step].read("/admin/ledger", {"external_id": ours})
            return dict(found[-1]) if found else {}

        return await eventually(row, lambda found: bool(found) and fits(found))

    async def hurry(self, step: str) -> None:
        """Let this vendor end what it does, and all that follows, at once."""
        await self.mocks[step].put("/admin/config", json={"speed": 50_000})


Json = Mapping[str, Any]
Act = Callable[[Site], Coroutine[Any, Any, None]]


async def nothing(_: Site) -> None:
    """Leave the run alone."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a run consists of. `faults` and `presets` are the mocks', `act` is done beside the jobs.

    `speed` is that of the vendors' clocks, `stall` the seconds of silence that end the run.
    `vendor` configures the video service, `settings` are those of our services. `ends`: how a job
    must end because of what the act does to it, which no book has.
    """

    jobs: int = 3
    seed: str = "1"
    faults: tuple[Json, ...] = ()
    presets: tuple[str, ...] = ()
    on_video_failure: str = "fail"
    priorities: bool = False
    rate: str | None = None
    speed: float = 200
    stall: float = 15
    workers: int = 1
    vendor: Json = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    act: Act = nothing
    ends: Mapping[str, str] = field(default_factory=dict)


class Lane:
    """A Temporal server and both mocks; a namespace, a folder and four services for each mutant."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._servers = Servers()
        self._up = AsyncExitStack()
        self._mocks: dict[str, Running] = {}
        self._forks: Forks

    async def __aenter__(self) -> "Lane":
        self.folder.mkdir(parents=True)
        self._forks = await self._up.enter_async_context(forking())
        self._up.callback(self._servers.end)
        for step, (module, port) in MOCKS.items():
            log, environment = self.folder / f"{module}.log", {"LOG_LEVEL": "WARNING"}
            mock = running(f"services.{module}", port, environment=environment, log=log)
            self._mocks[step] = await self._up.enter_async_context(mock)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._up.aclose()

    @asynccontextmanager
    async def site(self, name: str, code: Path, scene: Scene) -> AsyncIterator[Site]:
        """The stack of this code for as long as the block runs."""
        server = await asyncio.to_thread(self._servers.latest)
        client = await self._namespace(server)
        folder = self.folder / name
        folder.mkdir()
        ports = dict(zip(PARTS.values(), free_ports(len(PARTS) + scene.workers - 1), strict=False))
        found = self._addresses(folder, ports, client)
        environment = {**found, **QUICK, **scene.settings}
        async with AsyncExitStack() as up:
            mocks = {
                step: await up.enter_async_context(Http(mock.base, timeout=60))
                for step, mock in self._mocks.items()
            }
            for step, http in mocks.items():
                kling = {"duplicates": "reject", **scene.vendor} if step == "video" else {}
                await _fresh(http, {"speed": scene.speed, **kling})

            def started(part: str, place: int = 0) -> Awaitable[Fork]:
                name, port = PARTS[part], ports[PARTS[part]] + place
                log = folder / f"{part}-{place}.log"
                own = {**environment, name: str(port)}
                fork = self._forks.running(
                    f"services.{part}", port, environment=own, log=log, code=code
                )
                return up.enter_async_context(fork)

            parts = [started(part) for part in PARTS if part != "worker"]
            processes = await asyncio.gather(
                *parts, *(started("worker", place) for place in range(scene.workers))
            )
            await asyncio.gather(*map(_ready, processes))
            reached = _reached(environment, ports, scene)
            api = await up.enter_async_context(Http(reached.api_url, timeout=30))
            workers = processes[len(parts) :]
            mocking = (mock.process for mock in self._mocks.values())
            every: list[Fork | asyncio.subprocess.Process] = [*mocking, *processes]
            yield Site(reached, client, api, mocks, workers, every)

    async def _namespace(self, server: Server) -> Client:
        self._servers.namespaces += 1
        return await connected(server.address, await new_namespace(server.address))

    def _addresses(self, folder: Path, ports: Mapping[str, int], client: Client) -> dict[str, str]:
        callback = f"http://127.0.0.1:{ports['CALLBACK_PORT']}"
        return {name: str(port) for name, port in ports.items()} | {
            "TEMPORAL_ADDRESS": client.service_client.config.target_host,
            "TEMPORAL_NAMESPACE": client.namespace,
            "DATA_DIR": str(folder / "data"),
            "REPORTS_DIR": str(folder / "reports"),
            "IMAGE_SERVICE_URL": self._mocks["image"].base,
            "VIDEO_SERVICE_URL": self._mocks["video"].base,
            "CALLBACK_URL": callback,
            "CALLBACK_SERVICE_URL": callback,
            "API_PUBLIC_URL": f"http://127.0.0.1:{ports['API_PORT']}",
            "CALLBACK_SECRET": SECRET,
            "OPERATOR_KEY": operator_key(SECRET),
        }


async def _fresh(mock: Http, config: dict[str, Any]) -> None:
    """Let a mock forget the mutant before, and its faults."""
    await mock.delete("/admin/faults")
    await mock.post("/admin/reset")
    answer = await mock.put("/admin/config", json=config)
    answer.raise_for_status()


async def _ready(process: Fork) -> None:
    async with http_client(process.base) as http:

        async def answers() -> bool:
            return (await http.get("/readyz")).is_success

        await eventually(answers)


def _reached(environment: Mapping[str, str], ports: Mapping[str, int], scene: Scene) -> Settings:
    """The stack as a load test reaches it."""

    def at(port: str) -> str:
        return f"http://127.0.0.1:{ports[port]}"

    known = {name.lower(): value for name, value in environment.items()}
    return Settings.model_validate(
        {name: value for name, value in known.items() if name in Settings.model_fields}
        | {
            "api_url": at("API_PORT"),
            "worker_url": at("WORKER_HTTP_PORT"),
            "semaphore_url": at("SEMAPHORE_HTTP_PORT"),
            "workers": scene.workers,
            "store_url": "file:",
        }
    )
