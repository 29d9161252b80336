"""Which environment each service gets; the same names and meanings in both modes."""

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from compose.stack import services
from compose.stack.services import (
    API,
    CALLBACK,
    IMAGE,
    SEMAPHORE,
    TEMPORAL,
    VIDEO,
    WORKER,
    Service,
)
from compose.stack.settings.load import Settings
from compose.stack.settings.read_by import LOADTEST, reads
from compose.stack.settings.secrets import callback_secret, operator_key, stack_name
from compose.stack.settings.stand_in import stand_in

_PORTS = {service.name: service.port for service in services.ALL}
# How long the worker waits for a real vendor, in seconds, and the least that makes sense: the
# mocks' clock runs faster, and what never ends there should not be waited for by ours.
PATIENCE = {
    "IMAGE_ATTEMPT_SECONDS": (300, 15),
    "VIDEO_ATTEMPT_SECONDS": (900, 20),
    "IMAGE_GIVE_UP_SECONDS": (3600, 60),
    "VIDEO_GIVE_UP_SECONDS": (3600, 60),
    "IMAGE_LOST_SECONDS": (60, 3),
    "VIDEO_LOST_SECONDS": (300, 5),
    "IMAGE_ADDRESS_SECONDS": (60, 3),
    "VIDEO_ADDRESS_SECONDS": (300, 5),
    "ACCEPT_SECONDS": (30, 2),
    "DRAIN_SECONDS": (3600, 15),
}
# Of the mocks' clocks; a slower one would have our deadlines beyond what any may be.
SLOWEST = 0.01
_LOOPBACK = re.compile(r"(?<![\w.])(127\.0\.0\.1|localhost|\[::1\])(?=:|/|$)")
_PEM_FILE = re.compile(r"(TEMPORAL_TLS_\w+)_PATH")
HOST_GATEWAY = "host.docker.internal"


def local_service(settings: Settings, name: str, *, index: int = 0) -> dict[str, str]:
    """Settings of one process of the local mode; `index` counts the workers from 0."""
    known = patience(settings) | dict(settings.values) | _addresses(settings) | _codec(settings)
    known |= {port: str(number) for port, number in settings.ports.items()} | stand_in(settings)
    known |= {
        WORKER.port: str(settings.ports[WORKER.port] + (index if name == WORKER.name else 0)),
        "LISTEN_HOST": settings.binds[_PORTS[name]],
    } | _alike(settings)
    return _read(name, known | _reach(settings, known))


def _alike(settings: Settings) -> dict[str, str]:
    """What each mode tells in the same words."""
    return {
        # In a container the API can't tell how far its port is published.
        "API_EXPOSED": "true" if settings.exposed else "false",
        "CALLBACK_GUARDED": callback_guarded(settings),
        "CALLBACK_SECRET": callback_secret(settings),
        "DATA_DIR": str(settings.data_dir),
        "OPERATOR_KEY": operator_key(settings),
        "STACK": stack_name(settings),
        "WORKERS": str(settings.workers),
    }


def local_loadtest(settings: Settings) -> dict[str, str]:
    """Settings of the load test as a process, which sees the stack from outside."""
    known = dict(settings.values) | _addresses(settings)
    known |= {
        "API_URL": settings.url(API.port),
        "WORKER_METRICS_URL": settings.url(WORKER.port),
        "SEMAPHORE_METRICS_URL": settings.url(SEMAPHORE.port),
        "WORKERS": str(settings.workers),
        "CALLBACK_URL": settings.url(CALLBACK.port),
        "OPERATOR_KEY": operator_key(settings),
        "DATA_DIR": str(settings.data_dir),
    }
    return _read(LOADTEST, known)


def _read(name: str, known: Mapping[str, str]) -> dict[str, str]:
    """No more than a service reads, so that a change starts only those again whom it concerns."""
    return {key: value for key, value in known.items() if reads(name, key)}


def _addresses(settings: Settings) -> dict[str, str]:
    """Where the parts of the stack find one another on this machine."""
    image, video = vendors(settings)
    given = settings.values
    return {
        "IMAGE_SERVICE_URL": image or given.get("IMAGE_SERVICE_URL", settings.url(IMAGE.port)),
        "VIDEO_SERVICE_URL": video or given.get("VIDEO_SERVICE_URL", settings.url(VIDEO.port)),
        "TEMPORAL_ADDRESS": given.get(
            "TEMPORAL_ADDRESS", f"{settings.reach(TEMPORAL.port)}:{settings.ports[TEMPORAL.port]}"
        ),
        "CALLBACK_URL": given.get("CALLBACK_URL", settings.url(CALLBACK.port)),
        "CALLBACK_SERVICE_URL": settings.url(CALLBACK.port),
        "MOCKS": "on" if settings.mocks else "off",
        # As short as it can be: the load test prints it.
        "REPORTS_DIR": os.path.relpath(settings.reports_dir, settings.root),
    } | public(settings)


def public(settings: Settings) -> dict[str, str]:
    """Addresses for a person's browser, which is outside of any container."""
    given = settings.values
    return {
        "API_PUBLIC_URL": given.get("API_PUBLIC_URL", settings.url(API.port)),
        "TEMPORAL_UI_URL": given.get("TEMPORAL_UI_URL", settings.url(services.UI_PORT)),
    }


def _reach(settings: Settings, known: Mapping[str, str]) -> dict[str, str]:
    """Whom the video mock may call: receiver, image service and API, and whom the user names."""

    def hosts(name: str, *urls: str) -> str:
        ours = [urlsplit(url).netloc.rpartition("@")[2] for url in urls]
        return ",".join([*filter(None, [settings.values.get(name)]), *dict.fromkeys(ours)])

    image, api = known["IMAGE_SERVICE_URL"], known["API_PUBLIC_URL"]
    return {
        "MOCK_CALLBACK_HOSTS": hosts("MOCK_CALLBACK_HOSTS", known["CALLBACK_URL"]),
        "MOCK_PICTURE_HOSTS": hosts("MOCK_PICTURE_HOSTS", image, api, *_store(known)),
    }


def _store(known: Mapping[str, str]) -> list[str]:
    """Where an address of the store's leads that is given to whoever makes the video."""
    endpoint = known.get("STORE_ENDPOINT", "")
    return [endpoint] if endpoint and known.get("STORE_LINKS") == "on" else []


def callback_guarded(settings: Settings) -> str:
    """`on` where others than this machine can reach the callback port: by itself, or by a proxy.

    A proxy may change every word that a request has, so that it can't be told from one of ours.
    """
    proxied = urlsplit(settings.values.get("CALLBACK_URL", "//localhost")).hostname or ""
    return "off" if _is_loopback(settings.binds[CALLBACK.port]) and _is_loopback(proxied) else "on"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _codec(settings: Settings) -> dict[str, str]:
    """Where a browser has what the Temporal UI shows decrypted, while there is a key."""
    if "PAYLOAD_KEY" not in settings.values:
        return {}
    return {"UI_CODEC_ENDPOINT": f"{public(settings)['API_PUBLIC_URL'].rstrip('/')}/codec"}


def patience(settings: Settings) -> dict[str, str]:
    """The worker's deadlines by the mocks' clock; by the worker's own defaults without mocks."""
    if not settings.mocks:
        return {}
    try:
        speed = float(settings.values.get("MOCK_SPEED", "100"))
    except ValueError:
        speed = 0
    # The mocks refuse any other speed before anything is started.
    if not speed >= SLOWEST:
        return {}
    return {name: f"{max(least, real / speed):g}" for name, (real, least) in PATIENCE.items()}


def vendors(settings: Settings) -> tuple[str | None, str | None]:
    """The real image and video services, or None twice while the mocks stand in for them."""
    if settings.mocks:
        return None, None
    return settings.values["COMFYUI_URL"].rstrip("/"), settings.values["KLING_URL"].rstrip("/")


def for_compose(settings: Settings) -> dict[str, str]:
    """What the compose files interpolate; addresses are spelt as containers see them."""
    env = {k: from_container(k, v) for k, v in _without_files(settings.values).items()}
    image, video = vendors(settings)
    env = patience(settings) | env | public(settings) | _codec(settings) | stand_in(settings)
    env |= {
        "COMPOSE_PROJECT_NAME": settings.project,
        "COMPOSE_PROFILES": "server" if settings.own_temporal else "",
        "COMPOSE_IGNORE_ORPHANS": "false",
        "API_BIND_ADDRESS": _published(settings, API),
        "CALLBACK_BIND_ADDRESS": _published(settings, CALLBACK),
        "ALLOWED_HOSTS": _allowed_hosts(settings),
        "API_KEEPS_RESULTS": "false" if "RETENTION_DAYS" in settings.values else "true",
        "REPORTS_DIR": str(settings.reports_dir),
        "MOCKS": "on" if settings.mocks else "off",
    } | _alike(settings)
    env |= {port: str(number) for port, number in settings.ports.items()}
    inside = {service.name: f"http://{service.name}:{service.inner}" for service in services.ALL}
    env |= _reach(
        settings,
        {
            "CALLBACK_URL": env.get("CALLBACK_URL", inside[CALLBACK.name]),
            "IMAGE_SERVICE_URL": env.get("IMAGE_SERVICE_URL", inside[IMAGE.name]),
            "API_PUBLIC_URL": inside[API.name],
        }
        | {name: env[name] for name in ("STORE_ENDPOINT", "STORE_LINKS") if name in env},
    )
    if image and video:
        env.setdefault("CALLBACK_URL", settings.url(CALLBACK.port))
        env["IMAGE_SERVICE_URL"] = from_container("IMAGE_SERVICE_URL", image)
        env["VIDEO_SERVICE_URL"] = from_container("VIDEO_SERVICE_URL", video)
    return env


def _published(settings: Settings, service: Service) -> str:
    """The address of a published port as Compose reads it."""
    bind = settings.binds[service.port]
    return f"[{bind}]" if ":" in bind else bind


def _allowed_hosts(settings: Settings) -> str:
    """What was given, and the addresses that a container can't know it is asked by."""
    reached = {settings.reach(service.port).strip("[]") for service in (API, CALLBACK)}
    return ",".join(filter(None, (settings.values.get("ALLOWED_HOSTS"), *sorted(reached))))


_CROSSING = frozenset(
    {
        *("IMAGE_SERVICE_URL", "VIDEO_SERVICE_URL", "TEMPORAL_ADDRESS", "VENDOR_PROXY"),
        *("STORE_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    }
)


def from_container(name: str, value: str) -> str:
    """An address that a container calls, with this machine's loopback replaced by its gateway."""
    return _LOOPBACK.sub(HOST_GATEWAY, value) if name in _CROSSING else value


def _without_files(values: Mapping[str, str]) -> dict[str, str]:
    """Certificates go into containers by value, since no folder of the user's is mounted there."""
    env = dict(values)
    for name, path in values.items():
        if match := _PEM_FILE.fullmatch(name):
            del env[name]
            env[f"{match[1]}_DATA"] = Path(path).read_text(encoding="utf-8")
    return env
