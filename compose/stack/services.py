"""The services by their names; the order is the order of starting."""

import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

from pydantic_settings import BaseSettings

# The folders of services below DATA_DIR.
FOLDERS = ("state", "assets", "callbacks", "temporal", "mocks")
# Variables of the SDK's client configuration; TEMPORAL_PORT and TEMPORAL_UI_PORT are ours.
CLIENT = re.compile(r"TEMPORAL_(ADDRESS|NAMESPACE|API_KEY|TLS|TLS_\w+|GRPC_META_\w+)")


@dataclass(frozen=True)
class Service:
    """`port` is the variable of the published port, `inner` the port in a container. `bind` is the
    variable of the address that the port is opened on, by default loopback. `model` names the class
    of its settings; `client`: it also reads the SDK's variables.

    `mock`: the stage whose vendor it replaces. For a service of another pipeline, `program` is what
    `python -m` starts, and `workflow` names the class whose jobs its worker runs.
    """

    name: str
    port: str
    inner: int
    about: str
    model: str = ""
    mock: str = ""
    client: bool = False
    inside: bool = False
    bind: str = ""
    program: str = ""
    workflow: str = ""

    @property
    def module(self) -> str:
        """What `python -m` starts."""
        return self.program or f"services.{self.name.replace('-', '_')}"

    def settings(self) -> type[BaseSettings]:
        module, _, name = self.model.partition(":")
        kind: type[BaseSettings] = getattr(import_module(module), name)
        return kind

    def reads(self, name: str) -> bool:
        """True if it reads a variable of this name; it gets no others."""
        return name in _fields(self) or (self.client and bool(CLIENT.fullmatch(name)))


@dataclass(frozen=True)
class Unit:
    """A container or process: whether it is ready, its state and its age."""

    service: str
    name: str
    state: str
    ready: bool
    detail: str


@cache
def _fields(service: Service) -> frozenset[str]:
    if service is TEMPORAL:
        ours = {TEMPORAL.port, UI_PORT, "TEMPORAL_UI_URL", "UI_CODEC_ENDPOINT"}
        return frozenset(ours | {"LISTEN_HOST", "DATA_DIR", "ALLOWED_HOSTS"})
    return frozenset(name.upper() for name in service.settings().model_fields)


TEMPORAL = Service("temporal", "TEMPORAL_PORT", 7233, "Temporal gRPC")
IMAGE = Service(
    "mock-comfyui", "COMFYUI_PORT", 6889, "image service (mock ComfyUI)",
    "services.mock_comfyui.settings:ComfyuiSettings", mock="image",
)  # fmt: skip
VIDEO = Service(
    "mock-kling", "KLING_PORT", 16882, "video service (mock Kling proxy)",
    "services.mock_kling.settings:KlingSettings", mock="video",
)  # fmt: skip
SEMAPHORE = Service(
    "semaphore", "SEMAPHORE_HTTP_PORT", 9099, "slot semaphore",
    "services.semaphore.settings:SemaphoreProcessSettings", client=True, inside=True,
)  # fmt: skip
WORKER = Service(
    "worker", "WORKER_HTTP_PORT", 9100, "worker",
    "services.worker.settings.worker:WorkerSettings", client=True, inside=True,
)  # fmt: skip
CALLBACK = Service(
    "callback", "CALLBACK_PORT", 8001, "callback receiver",
    "services.callback.settings:CallbackSettings", client=True, bind="CALLBACK_BIND_ADDRESS",
)  # fmt: skip
API = Service(
    "api", "API_PORT", 8000, "API, WebSocket, dashboard",
    "services.api.settings:ApiSettings", client=True, bind="API_BIND_ADDRESS",
)  # fmt: skip
# Started for one run at a time, and never with the stack.
LOADTEST = Service("loadtest", "", 0, "load test", "loadtest.settings:Settings", client=True)

ALL = (TEMPORAL, IMAGE, VIDEO, SEMAPHORE, WORKER, CALLBACK, API)


@cache
def further(pipelines: str) -> tuple[Service, ...]:
    """Return the services of these pipelines: SERVICES in the module `stack` beside each
    definition.

    A wrong name is reported by the services that read the setting.
    """
    found: list[Service] = []
    for package in _packages(pipelines):
        with suppress(ModuleNotFoundError):
            found += import_module(f"{package}.stack").SERVICES
    return tuple(found)


def overlays(pipelines: str) -> list[Path]:
    """Return the compose files beside the definitions."""
    files = (Path(*package.split(".")) / "compose.yaml" for package in _packages(pipelines))
    return [file for file in files if file.is_file()]


def _packages(pipelines: str) -> list[str]:
    modules = (path.strip().partition(":")[0] for path in pipelines.split(","))
    packages = (module.rpartition(".")[0] for module in modules)
    return [each for each in dict.fromkeys(packages) if all(map(str.isidentifier, each.split(".")))]


UI_PORT = "TEMPORAL_UI_PORT"
UI_INNER = 8080

DEFAULT_PORTS = {service.port: service.inner for service in ALL} | {UI_PORT: UI_INNER}
ABOUT = {service.port: service.about for service in ALL} | {UI_PORT: "Temporal UI"}
NAMES = tuple(service.name for service in ALL)
