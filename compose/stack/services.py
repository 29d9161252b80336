"""The services by the one name that each has everywhere; the order is the order of starting."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Service:
    """`port` is the variable of its published port, `inner` its port in a container.

    `bind` is the variable of the address that the port is opened on; without one it is loopback.
    """

    name: str
    port: str
    inner: int
    about: str
    mock: bool = False
    inside: bool = False
    bind: str = ""

    @property
    def module(self) -> str:
        """What `python -m` starts."""
        return f"services.{self.name.replace('-', '_')}"


TEMPORAL = Service("temporal", "TEMPORAL_PORT", 7233, "Temporal gRPC")
IMAGE = Service("mock-comfyui", "COMFYUI_PORT", 6889, "image service (mock ComfyUI)", mock=True)
VIDEO = Service("mock-kling", "KLING_PORT", 16882, "video service (mock Kling proxy)", mock=True)
SEMAPHORE = Service("semaphore", "SEMAPHORE_HTTP_PORT", 9099, "slot semaphore", inside=True)
WORKER = Service("worker", "WORKER_HTTP_PORT", 9100, "worker", inside=True)
CALLBACK = Service(
    "callback", "CALLBACK_PORT", 8001, "callback receiver", bind="CALLBACK_BIND_ADDRESS"
)
API = Service("api", "API_PORT", 8000, "API, WebSocket, dashboard", bind="API_BIND_ADDRESS")

ALL = (TEMPORAL, IMAGE, VIDEO, SEMAPHORE, WORKER, CALLBACK, API)
MOCKS = (IMAGE, VIDEO)
UI_PORT = "TEMPORAL_UI_PORT"
UI_INNER = 8080

DEFAULT_PORTS = {service.port: service.inner for service in ALL} | {UI_PORT: UI_INNER}
ABOUT = {service.port: service.about for service in ALL} | {UI_PORT: "Temporal UI"}
NAMES = tuple(service.name for service in ALL)


def wanted(*, mocks: bool, server: bool) -> tuple[Service, ...]:
    """Those that are ours to run; mocks and server are left away where others do their work."""
    return tuple(s for s in ALL if (mocks or not s.mock) and (server or s is not TEMPORAL))
