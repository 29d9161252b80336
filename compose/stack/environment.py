"""The environment of each service: the settings that its model has a field for, and no others.

Names and meanings are the same in both modes; the addresses of the services differ.
"""

import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from pydantic import ValidationError

from compose.stack.files import write_private
from compose.stack.services import (
    ALL,
    API,
    CALLBACK,
    IMAGE,
    LOADTEST,
    SEMAPHORE,
    TEMPORAL,
    VIDEO,
    WORKER,
    Service,
)
from compose.stack.settings import STACK_NAME, Settings
from shared.http.hosts import is_loopback
from shared.jobs import tokens
from shared.settings.common import CommonSettings, mistakes_of

# How long the worker waits for a real vendor, in seconds, and the minimum with the mocks, whose
# clock runs faster.
PATIENCE = {
    "IMAGE_ATTEMPT_SECONDS": (300, 15),
    "VIDEO_ATTEMPT_SECONDS": (900, 20),
    "IMAGE_GIVE_UP_SECONDS": (3600, 60),
    "VIDEO_GIVE_UP_SECONDS": (3600, 60),
    "IMAGE_LOST_SECONDS": (60, 3),
    "VIDEO_LOST_SECONDS": (300, 5),
    "ACCEPT_SECONDS": (30, 2),
    "DRAIN_SECONDS": (3600, 15),
}
# The slowest clock of the mocks; with a slower one the deadlines would exceed their bounds.
SLOWEST = 0.01
HOST_GATEWAY = "host.docker.internal"
# Addresses that are called from inside of a container.
_CROSSING = frozenset(
    {
        *("IMAGE_SERVICE_URL", "VIDEO_SERVICE_URL", "TEMPORAL_ADDRESS", "VENDOR_PROXY"),
        "STORE_ENDPOINT",
    }
)
# The keys of the video mock, which replace the user's own while it stands in for Kling.
STAND_IN = {
    "KLING_API_KEY": "api-key-kling-mock",
    "KLING_ACCESS_KEY": "",
    "KLING_SECRET_KEY": "",
}
# What any program may need of the user's environment; no key and no proxy.
_INHERITED = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|SSL_CERT_FILE|SSL_CERT_DIR"
)


def environment_of(
    settings: Settings, service: Service, *, containers: bool = False, index: int = 0
) -> dict[str, str]:
    """Return the environment of a service; `index` counts the workers of the local mode from 0."""
    known = patience(settings) | dict(settings.values) | _alike(settings)
    if containers:
        known = {name: value for name, value in known.items() if name not in settings.ports}
    known |= _addresses(settings, containers=containers)
    known |= _inside(settings, service) if containers else _beside(settings, service, index)
    if containers:
        known = dict(_contained(known))
    known |= _reach(settings, known, containers=containers)
    if service is LOADTEST:
        # The load test asks for receipts at our address, wherever vendors call.
        known["CALLBACK_URL"] = known["CALLBACK_SERVICE_URL"]
    if "video" in settings.mocked and known.get("VIDEO_API") == "kling":
        known |= STAND_IN
    return {name: value for name, value in sorted(known.items()) if service.reads(name)}


def _alike(settings: Settings) -> dict[str, str]:
    secret = callback_secret(settings)
    known = {
        "API_PUBLIC_URL": public(settings),
        "TEMPORAL_UI_URL": settings.ui,
        "MOCKS": settings.mocks,
        # In a container the API can't know how far its port is published.
        "API_EXPOSED": "true" if exposed(settings, API, "API_PUBLIC_URL") else "false",
        # A proxy may change a request, so that our own can't be recognized.
        "CALLBACK_GUARDED": "on" if exposed(settings, CALLBACK, "CALLBACK_URL") else "off",
        "CALLBACK_SECRET": secret,
        "OPERATOR_KEY": tokens.operator_key(secret),
        "STACK": stack_name(settings),
        "MOCK_SERVICES": ",".join(each.mock for each in settings.every if each.mock),
        "WORKERS": str(settings.workers),
    }
    if "PAYLOAD_KEY" in settings.values:
        # The address at which a browser decrypts what the Temporal UI shows.
        known["UI_CODEC_ENDPOINT"] = f"{public(settings).rstrip('/')}/codec"
    return known


def _addresses(settings: Settings, *, containers: bool) -> dict[str, str]:
    """Return the addresses of the services: on this machine, or by names and inner ports."""
    here = {
        each: f"http://{each.name}:{each.inner}" if containers else settings.url(each.port)
        for each in settings.every
    }
    image, video = vendors(settings)
    given = settings.values
    # A real vendor calls from outside.
    receiver = here[CALLBACK] if "video" in settings.mocked else settings.url(CALLBACK.port)
    services = [each for each in settings.further if each in settings.whole]
    brought = {f"{each.mock.upper()}_SERVICE_URL": here[each] for each in services if each.mock}
    return {
        "IMAGE_SERVICE_URL": image or given.get("IMAGE_SERVICE_URL", here[IMAGE]),
        "VIDEO_SERVICE_URL": video or given.get("VIDEO_SERVICE_URL", here[VIDEO]),
        "CALLBACK_SERVICE_URL": here[CALLBACK],
        "CALLBACK_URL": given.get("CALLBACK_URL", receiver),
        "API_URL": here[API],
        "WORKER_URL": here[WORKER],
        "SEMAPHORE_URL": here[SEMAPHORE],
        # Not by the other way that the workers may have.
        "MOCK_COMFYUI_URL": here[IMAGE],
        "MOCK_KLING_URL": here[VIDEO],
        # The vendors of other pipelines, where no mock stands in for them, are named by the user.
        **{name: given.get(name, url) for name, url in brought.items()},
        "PIPELINE_SERVICES": json.dumps({each.name: here[each] for each in services}),
    }


def _beside(settings: Settings, service: Service, index: int) -> dict[str, str]:
    ports = {name: str(number) for name, number in settings.ports.items()}
    ports[WORKER.port] = str(settings.ports[WORKER.port] + (index if service is WORKER else 0))
    return ports | {
        "LISTEN_HOST": settings.binds.get(service.port, ""),
        "DATA_DIR": str(settings.data_dir),
        # As short as possible, because the load test prints it.
        "REPORTS_DIR": os.path.relpath(settings.reports_dir, settings.root),
        "TEMPORAL_ADDRESS": settings.server,
    }


def _inside(settings: Settings, service: Service) -> dict[str, str]:
    given = settings.values
    names = [service.name, *([HOST_GATEWAY] if service.mock else [])]
    more = filter(None, [given.get("ALLOWED_HOSTS")])
    reached = sorted({settings.reach(each.port).strip("[]") for each in (API, CALLBACK)})
    return {
        "LISTEN_HOST": "0.0.0.0",  # noqa: S104 - a container's own
        "ALLOWED_HOSTS": ",".join([*names, *more, *reached]),
        "DATA_DIR": "/data",
        "REPORTS_DIR": "reports",
        "LOG_FORMAT": given.get("LOG_FORMAT", "json"),
        "TEMPORAL_ADDRESS": given.get("TEMPORAL_ADDRESS", f"{TEMPORAL.name}:{TEMPORAL.inner}"),
        **({"COMFYUI_WORKFLOW": "/comfyui/workflow.json"} if "COMFYUI_WORKFLOW" in given else {}),
    }


def _contained(known: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Replace certificate paths by the certificates, because no user folder is mounted, and
    loopback by the gateway."""
    loopback = re.compile(r"(?<![\w.])(127\.0\.0\.1|localhost|\[::1\])(?=:|/|$)")
    for name, value in known.items():
        if pem := re.fullmatch(r"(TEMPORAL_TLS_\w+)_PATH", name):
            yield f"{pem[1]}_DATA", Path(value).read_text(encoding="utf-8")
        elif name in _CROSSING:
            yield name, loopback.sub(HOST_GATEWAY, value)
        else:
            yield name, value


def _reach(settings: Settings, known: Mapping[str, str], *, containers: bool) -> dict[str, str]:
    """Return the hosts that the video mock may call: receiver, image service, API, and the user's
    hosts."""

    def hosts(name: str, urls: Iterable[str]) -> str:
        ours = [_parts(url).netloc.rpartition("@")[2] for url in urls]
        return ",".join([*filter(None, [settings.values.get(name)]), *dict.fromkeys(ours)])

    api = known["API_URL"] if containers else known["API_PUBLIC_URL"]
    pictures = [known["IMAGE_SERVICE_URL"], api]
    return {
        "MOCK_CALLBACK_HOSTS": hosts("MOCK_CALLBACK_HOSTS", [known["CALLBACK_URL"]]),
        "MOCK_PICTURE_HOSTS": hosts("MOCK_PICTURE_HOSTS", pictures),
    }


def public(settings: Settings) -> str:
    """Return the API's address for a browser outside of any container."""
    return settings.values.get("API_PUBLIC_URL", settings.url(API.port))


def exposed(settings: Settings, service: Service, address: str) -> bool:
    """True if a service is open to other machines: by its port, or by a proxy in front of it at the
    address that this setting names."""
    host = _parts(settings.values.get(address, "//localhost")).hostname or ""
    return not (is_loopback(settings.binds[service.port]) and is_loopback(host))


def _parts(url: str) -> SplitResult:
    """Return the parts of an address; empty for an invalid one, which the service refuses."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def vendors(settings: Settings) -> tuple[str | None, str | None]:
    """Return the addresses of the real image and video services; None for a mocked one."""
    real = {"image": settings.comfyui_url, "video": settings.kling_url}
    image, video = (
        None if stage in settings.mocked else (url or "").rstrip("/") for stage, url in real.items()
    )
    return image, video


def patience(settings: Settings) -> dict[str, str]:
    """Return the worker's deadlines, scaled to the mocks' clock; those of real vendors are
    unchanged."""
    try:
        speed = float(settings.values.get("MOCK_SPEED", "100"))
    except ValueError:
        speed = 0
    # The mocks refuse any other speed before anything is started.
    if not speed >= SLOWEST:
        return {}
    common = ("ACCEPT", "DRAIN") if settings.real else ()
    its_own = (*common, *(stage.upper() for stage in settings.real))
    return {
        name: f"{max(least, real / speed):g}"
        for name, (real, least) in PATIENCE.items()
        if not name.startswith(its_own)
    }


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a process gets besides its settings."""
    return {name: value for name, value in environ.items() if _INHERITED.fullmatch(name)}


def for_compose(settings: Settings) -> dict[str, str]:
    """Return the variables of the compose files; they hold no secret."""
    binds = {each.bind: settings.binds[each.port] for each in ALL if each.bind}
    return {
        "COMPOSE_PROJECT_NAME": settings.compose_project_name,
        "COMPOSE_PROFILES": "server" if settings.own_temporal else "",
        "COMPOSE_IGNORE_ORPHANS": "false",
        "API_KEEPS_RESULTS": "false" if "RETENTION_DAYS" in settings.values else "true",
        "COMFYUI_WORKFLOW": str(settings.workflow_copy) if settings.comfyui_workflow else "",
        "DATA_DIR": str(settings.data_dir),
        "REPORTS_DIR": str(settings.reports_dir),
        **{name: f"[{bind}]" if ":" in bind else bind for name, bind in binds.items()},
        **{name: str(port) for name, port in settings.ports.items()},
    }


def callback_secret(settings: Settings) -> str:
    """Return the callback secret: the user's, or the one in the folder."""
    made = settings.data_dir / "secrets" / "callback_secret"
    new = secrets.token_urlsafe(32)
    return settings.values.get("CALLBACK_SECRET") or _made_once(made, r"\S{32,}", new)


def stack_name(settings: Settings) -> str:
    """Return the stack's name in Temporal: the user's, or the one in the data folder."""
    if given := settings.values.get("STACK"):
        return given
    return _made_once(settings.data_dir / "secrets" / "stack", STACK_NAME, secrets.token_hex(4))


def keep_secrets(settings: Settings) -> None:
    """Write the operator's key for its owner, and keep the stack's name across `make down`."""
    kept = {
        "operator_key": tokens.operator_key(callback_secret(settings)),
        "stack": stack_name(settings),
    }
    for name, text in kept.items():
        path = settings.data_dir / "secrets" / name
        if not path.is_file() or path.read_text(encoding="utf-8").strip() != text:
            write_private(path, text)


def _made_once(path: Path, form: str, new: str) -> str:
    """Return what a file holds; a new text where it holds none of the form, as when it was cut."""
    if not path.is_file() or not re.fullmatch(form, path.read_text("utf-8", "replace").strip()):
        write_private(path, new)
    return path.read_text(encoding="utf-8").strip()


def service_mistakes(settings: Settings) -> list[str]:
    """Return the mistakes that the models of all services to be started report, each once."""
    # Secrets that are made once are made later; the stack's name was checked with the options.
    given = {"CALLBACK_SECRET": "-" * 32, **settings.values, "STACK": "x"}
    settings = settings.model_copy(update={"values": given})
    by_name: dict[str, str] = {}
    together: set[str] = set()
    for service in settings.parts:
        for name, reason in _refusals(settings, service) if service.model else ():
            if name:
                by_name.setdefault(name, settings.refused(name, f"is refused: {reason}"))
            else:
                together.add(reason)
    return sorted([*by_name.values(), *together])


def _refusals(settings: Settings, service: Service) -> Iterator[tuple[str, str]]:
    """Return name and reason of each refusal; no name for one about several settings."""
    with _environ(inherited(os.environ) | environment_of(settings, service)):
        try:
            found = service.settings()()
        except ValidationError as error:
            yield from mistakes_of(error)
            return
        if isinstance(found, CommonSettings) and (refusal := found.refusal(away=True)):
            name, _, why = refusal.partition(": ")
            yield name, why


@contextmanager
def _environ(only: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(only)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
