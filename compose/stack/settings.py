"""The stack's own settings; either all of them are right, or one line names every wrong one."""

import contextlib
import ipaddress
import os
import re
from collections.abc import Iterator, Mapping, Set
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
)

from compose.stack.given import Saved, dotenv, mistakes_of, raise_wrong, refused, wrong_settings
from compose.stack.output import complain, shown
from compose.stack.services import (
    ALL,
    CLIENT,
    DEFAULT_PORTS,
    NAMES,
    TEMPORAL,
    UI_PORT,
    WORKER,
    Service,
    further,
)
from shared.http.hosts import is_loopback
from shared.http.mistakes import DIGITS
from shared.settings.common import MOCKED, Mocks

LOOPBACK = "127.0.0.1"
DEFAULT_BASE_IMAGE = "python:3.13-slim"
MOST_WORKERS, MOST_PORT = 64, 65535
STACK_NAME = "[a-z0-9-]{1,40}"
# The settings that identify a stack.
NAMING = {"COMPOSE_PROJECT_NAME", "DATA_DIR"}
# The folders that are made by default, below the project.
FOLDERS = {"DATA_DIR": "data", "REPORTS_DIR": "reports"}
# Another way to the mocks for the workers only, such as a wire that can be disturbed.
WIRED = ("IMAGE_SERVICE_URL", "VIDEO_SERVICE_URL")
# What parts on different machines must share, and who uses it.
_IN_COMMON = {"CALLBACK_SECRET": {"worker", "callback", "api"}, "STACK": {"worker", "semaphore"}}
# How the SDK reads TEMPORAL_TLS.
_FLAGS = ("true", "false", "1", "0")
# What make's command line may name besides settings: options of commands, and what tools read.
OPTIONS = {
    *("ARGS", "CONCURRENCY", "DAYS", "DECK", "FOLLOW", "FORCE", "HISTORIES", "KINDS", "LINES"),
    *("MINUTES", "NAME", "ON_VIDEO_FAILURE", "ONLY", "PIPELINE", "PRESET", "PRIORITIES", "PROMPT"),
    *("RATE", "RESET", "RULE", "RUN", "RUNS", "S", "SEED", "STALL", "STYLE", "THRESHOLDS"),
    *("TIMEOUT", "YES"),
    *("CI", "COLUMNS", "LANG", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "NO_COLOR", "PYTHON", "TERM"),
}


class Mode(StrEnum):
    """How the services run; `auto` asks the machine."""

    AUTO = "auto"
    DOCKER = "docker"
    LOCAL = "local"


def _address(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError("is not an IP address") from None


def _names(value: str, info: ValidationInfo) -> frozenset[str]:
    known = [*NAMES, *(each.name for each in further(info.data["pipelines"]))]
    names = frozenset(filter(None, map(str.strip, value.split(","))))
    if unknown := sorted(names.difference(known)):
        raise ValueError(f"names {', '.join(unknown)}; known are {', '.join(known)}")
    return names


def _folder(path: Path) -> Path:
    # Supervisor and Compose give these a meaning of their own.
    if re.search(r'["%:;#$\\]', str(path)):
        raise ValueError(f"can't be used: {shown(str(path))} has one of \" % : ; # $ \\ in it")
    if not next(each for each in (path, *path.parents) if os.path.lexists(each)).is_dir():
        raise ValueError("is not a folder")
    return path


def _file(path: str) -> str:
    if os.path.isdir(path) or not os.access(path, os.R_OK):
        raise ValueError("is not a file that can be read")
    return path


def _url(value: str) -> str:
    with contextlib.suppress(ValueError):
        # The parser raises its own ValueError for an invalid port, and for half of a bracket.
        _ = urlsplit(value).port
        if re.fullmatch(r"https?://[^\s/]+(/\S*)?", value):
            return value
    raise ValueError("is not an http(s) address")


def _server(value: str) -> str:
    # A port out of bounds makes a client fail later.
    with contextlib.suppress(ValueError):
        if re.fullmatch(r"([^\s/:]+|\[[0-9a-fA-F:]+\]):\d+", value) and urlsplit(f"//{value}").port:
            return value
    raise ValueError("is not host:port")


# A description says what is wrong with any other value.
Address = Annotated[str, AfterValidator(_address)]
Folder = Annotated[Path, AfterValidator(_folder)]
File = Annotated[str, AfterValidator(_file)]
Url = Annotated[str, AfterValidator(_url)]


class Settings(BaseModel):
    """`values` are all given settings, `overrides` those saved until `make down`, `mistakes` the
    wrong ones.

    The services' own models check what is passed on to them; see `environment`.
    """

    model_config = ConfigDict(frozen=True)

    root: Path
    running: str = ""
    values: Mapping[str, str] = {}
    origins: Mapping[str, str] = {}
    overrides: Mapping[str, str] = {}
    # From the environment alone.
    given: Mapping[str, str] = {}
    unknown: tuple[str, ...] = ()
    # Names on make's command line that nothing reads.
    misnamed: tuple[str, ...] = ()
    mistakes: tuple[str, ...] = ()
    # Whether it is certain which stack this is.
    is_found: bool = True
    # Each published port, by its variable.
    ports: Mapping[str, int]
    # The same of the running stack.
    held: Mapping[str, int] = {}

    mode: Mode = Mode.AUTO
    workers: Annotated[int, DIGITS] = Field(
        1, ge=1, le=MOST_WORKERS, description=f"is not a whole number from 1 to {MOST_WORKERS}"
    )
    pipelines: str = ""
    roles: Annotated[frozenset[str], BeforeValidator(_names)] = frozenset()
    mocks: Mocks = "on"
    vendor_checks: Literal["on", "off"] = "on"
    comfyui_url: Url | None = None
    kling_url: Url | None = None
    data_dir: Folder
    reports_dir: Folder
    compose_project_name: str = Field(
        "genvideo", pattern=r"^[a-z0-9][a-z0-9_-]*$", description="is not a project name"
    )
    base_image: str = DEFAULT_BASE_IMAGE
    stack: str = Field(
        "x", pattern=f"^{STACK_NAME}$", description="is not 1 to 40 characters of a-z, 0-9 and -"
    )
    comfyui_workflow: File | None = None
    bind_address: Address = LOOPBACK
    api_bind_address: Address | None = None
    callback_bind_address: Address | None = None
    temporal_address: Annotated[str, AfterValidator(_server)] = "host:1"

    @property
    def further(self) -> tuple[Service, ...]:
        """The services of other pipelines than genvideo."""
        return further(self.pipelines)

    @property
    def every(self) -> tuple[Service, ...]:
        """Each service that a stack of these pipelines may have, in the order of starting."""
        return (*ALL, *self.further)

    @property
    def whole(self) -> tuple[Service, ...]:
        """The services that this stack runs, without those that another service replaces."""
        ours = (
            each
            for each in ALL
            if (not each.mock or each.mock in self.mocked)
            and (self.own_temporal or each is not TEMPORAL)
        )
        return (*ours, *(each for each in self.further if self.mocked or not each.mock))

    @property
    def parts(self) -> tuple[Service, ...]:
        """The services that run here, in the order of starting."""
        return tuple(each for each in self.whole if not self.roles or each.name in self.roles)

    @property
    def own_temporal(self) -> bool:
        return "TEMPORAL_ADDRESS" not in self.values

    @property
    def mocked(self) -> tuple[str, ...]:
        """The stages whose vendors are mocks."""
        return MOCKED[self.mocks]

    @property
    def real(self) -> tuple[str, ...]:
        """The stages whose vendors are real."""
        return tuple(stage for stage in MOCKED["on"] if stage not in self.mocked)

    @property
    def run_dir(self) -> Path:
        """The folder in which the stack finds its own processes again."""
        return self.data_dir / "run"

    @property
    def workflow_copy(self) -> Path:
        """A copy of `comfyui_workflow`, which containers read."""
        return self.run_dir / "workflow.json"

    @property
    def log_dir(self) -> Path:
        """Logs of the local mode and of image builds."""
        return self.data_dir / "logs"

    @property
    def binds(self) -> dict[str, str]:
        """The address that each port is opened on: loopback, except for two services."""
        given = {each.port: getattr(self, each.bind.lower()) for each in ALL if each.bind}
        return dict.fromkeys(self.ports, LOOPBACK) | {
            port: bind or self.bind_address for port, bind in given.items()
        }

    def reach(self, port: str) -> str:
        """Return the host of a published port on this machine, by its variable."""
        anywhere = {"0.0.0.0": LOOPBACK, "::": "[::1]"}  # noqa: S104
        bind = self.binds[port]
        return anywhere.get(bind, f"[{bind}]" if ":" in bind else bind)

    def url(self, port: str) -> str:
        """Return the address of a published port, by its variable."""
        return f"http://{self.reach(port)}:{self.ports[port]}"

    @property
    def server(self) -> str:
        """The address of Temporal for the user's own programs."""
        own = f"{self.reach(TEMPORAL.port)}:{self.ports[TEMPORAL.port]}"
        return self.values.get("TEMPORAL_ADDRESS", own)

    @property
    def ui(self) -> str:
        """The address of Temporal's UI for a browser."""
        return self.values.get("TEMPORAL_UI_URL", self.url(UI_PORT))

    def refused(self, name: str, reason: str) -> str:
        return refused(name, reason, self.values, self.origins)

    def conflicts(self) -> Iterator[str]:
        owners: dict[int, str] = {}
        for name, port in self.ports.items():
            if port in owners:
                yield self.refused(name, f"is also the port of {owners[port]}")
            owners.setdefault(port, name)
        most = MOST_PORT - self.workers + 1
        if self.ports[WORKER.port] > most:
            yield self.refused(WORKER.port, f"is not a whole number from 1 to {most}")
        addresses = {"image": "COMFYUI_URL", "video": "KLING_URL"}
        for stage, name in addresses.items():
            url = getattr(self, name.lower())
            if stage not in self.mocked and url is None and name not in self.values:
                yield f"MOCKS={self.mocks} needs {name}, which is not set"
            elif url and ("?" in url or "#" in url):
                # A query is often a key.
                origin = self.origins[name]
                yield f"{name} ({origin}) has a query or a fragment: routes are appended to it"
        yield from self._wrong_roles()
        yield from self._wrong_client()

    def _wrong_roles(self) -> Iterator[str]:
        if away := sorted(self.roles - {each.name for each in self.whole}):
            yield self.refused(
                "ROLES", f"names {', '.join(away)}, which is elsewhere according to the settings"
            )
        clients = {each.name for each in self.whole if each.client}
        if self.own_temporal and TEMPORAL.name not in self.roles and self.roles & clients:
            yield self.refused("ROLES", "needs TEMPORAL_ADDRESS unless temporal is one of them")
        # On one machine each is made once for all; on several machines each would make its own.
        host = self.values.get("TEMPORAL_ADDRESS", "localhost:0").rpartition(":")[0].strip("[]")
        for name, users in _IN_COMMON.items():
            if not is_loopback(host) and name not in self.values and self.roles & users:
                yield (
                    f"ROLES with a server elsewhere needs {name}, the same for all parts of the"
                    " stack"
                )

    def _wrong_client(self) -> Iterator[str]:
        """Check the SDK's variables, which our services do not check."""
        on = [name for name, value in self.values.items() if value.lower() not in ("false", "0")]
        for name in on if self.own_temporal else ():
            # These two are useful only with another server.
            if name.startswith(("TEMPORAL_API_KEY", "TEMPORAL_TLS")):
                yield self.refused(name, "is only for another server: set TEMPORAL_ADDRESS")
        # The SDK takes any other word for TLS, such as "off".
        if self.values.get("TEMPORAL_TLS", "false").lower() not in _FLAGS:
            yield self.refused("TEMPORAL_TLS", f"is not one of: {', '.join(_FLAGS)}")
        unchecked = "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION"
        if unchecked in on:
            yield self.refused(
                unchecked, "is not supported: set the certificate's name in …_SERVER_NAME"
            )


def load(root: Path, environ: Mapping[str, str]) -> Settings:
    """Load the settings: from the environment, then as saved at `up`, then `.env`, then the
    defaults.

    Raise StackError with every mistake, including those of the services.
    """
    settings = read(root, environ)
    if settings.mistakes:
        # Imported here, because it needs the models of all services.
        from compose.stack.environment import service_mistakes

        raise_wrong([*settings.mistakes, *service_mistakes(settings)])
    return settings


def again(settings: Settings) -> Settings:
    """Load the settings again, because the stack may have been started or stopped meanwhile."""
    fresh = read(settings.root, settings.given)
    raise_wrong([each for each in fresh.mistakes if each not in settings.mistakes])
    return fresh.model_copy(update={"mode": settings.mode})


def load_for_down(root: Path, environ: Mapping[str, str]) -> Settings:
    """Load the settings, but print mistakes and use what is right, so that a typo in `.env` can't
    keep a stack running.

    Raise StackError if it is not certain which stack this is.
    """
    settings = read(root, environ)
    if not settings.is_found:
        raise_wrong(settings.mistakes)
    if settings.mistakes:
        complain(str(wrong_settings(settings.mistakes)))
    return settings


def read(root: Path, environ: Mapping[str, str]) -> Settings:
    """Return all values, and the mistakes; a wrong value counts as missing."""
    example = (root / ".env.example").read_text(encoding="utf-8")
    documented = {*re.findall(r"^#([A-Z][A-Z0-9_]*)=", example, re.MULTILINE), *WIRED}
    lines, unread = dotenv(root / ".env")
    data_dir = root / (environ.get("DATA_DIR") or lines.get("DATA_DIR") or FOLDERS["DATA_DIR"])
    past = Saved.read(data_dir / "run")
    given = [dict(environ), past.overrides, lines]
    brought = further(next((each["PIPELINES"] for each in given if "PIPELINES" in each), ""))
    for service in brought:
        documented |= {name.upper() for name in service.settings().model_fields}

    def known(values: Mapping[str, str]) -> dict[str, str]:
        """Return our settings that have a value; an empty one counts as missing."""
        return {k: v for k, v in values.items() if v and (k in documented or CLIENT.fullmatch(k))}

    def unknown(names: Set[str]) -> tuple[str, ...]:
        return tuple(sorted(names - known(dict.fromkeys(names, "x")).keys()))

    in_file, given_now = known(lines), known(environ)
    overrides = {**past.overrides, **given_now}
    values = in_file | overrides
    if "COMFYUI_WORKFLOW" in values:
        values["COMFYUI_WORKFLOW"] = str((root / values["COMFYUI_WORKFLOW"]).absolute())
    origins = dict.fromkeys(in_file, ".env") | dict.fromkeys(overrides, "environment")
    wrong: dict[str, str] = {}
    ports = DEFAULT_PORTS | {each.port: each.inner for each in brought}
    for name in [each for each in ports if each in values]:
        text = values[name]
        if re.fullmatch("[0-9]{1,9}", text) and 1 <= int(text) <= MOST_PORT:
            ports[name] = int(text)
        else:
            reason = f"is not a whole number from 1 to {MOST_PORT}"
            wrong[name] = refused(name, reason, values, origins)
    own = {name.lower(): value for name, value in values.items()} | {
        "data_dir": data_dir,
        "reports_dir": root / (FOLDERS | values)["REPORTS_DIR"],
    }
    named = set(environ.get("MAKE_NAMES", "").split())
    context = {
        "root": root,
        "running": past.mode,
        "held": past.ports,
        "values": values,
        "origins": origins,
        "overrides": overrides,
        "given": given_now,
        "unknown": unknown(lines.keys()),
        "misnamed": tuple(
            f"{shown(name)} (make's command line) is not a setting, and no command's option"
            for name in unknown(named - OPTIONS)
        ),
        "ports": ports,
    }
    try:
        settings = Settings.model_validate(own | context)
    except ValidationError as error:
        wrong |= mistakes_of(error, Settings, FOLDERS | values, origins)
        good = {name: value for name, value in own.items() if name.upper() not in wrong}
        # The project itself may be in a folder that can't be used.
        folders = dict.fromkeys(("data_dir", "reports_dir"), Path("/"))
        settings = Settings.model_validate(folders | good | context)
    named_wrong = any(name in line for name in NAMING for line in unread.values())
    return settings.model_copy(
        update={
            "mistakes": (
                *settings.misnamed,
                *unread,
                *wrong.values(),
                *settings.conflicts(),
            ),
            "is_found": not (named_wrong or NAMING & wrong.keys()),
        }
    )
