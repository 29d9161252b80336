"""The stack's own settings; either all of them are right, or one line names every wrong one."""

import ipaddress
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from compose.stack.errors import StackError
from compose.stack.output import complain
from compose.stack.services import ALL, API, DEFAULT_PORTS, WORKER, Service, wanted
from compose.stack.settings import dotenv, saved
from compose.stack.settings.checks import Checks
from compose.stack.settings.profile import (
    FILE,
    PROFILE,
    check_for_elsewhere,
    settings_of_profile,
)
from compose.stack.settings.read_by import CLIENT
from compose.stack.settings.roles import roles

LOOPBACK = "127.0.0.1"
DEFAULT_BASE_IMAGE = "python:3.13-slim"
MOST_WORKERS = 64
# Another way to the mocks for the workers alone, such as a wire that can be disturbed.
WIRED = ("IMAGE_SERVICE_URL", "VIDEO_SERVICE_URL")
# A client certificate and its key, and what the SDK of another language reads and ours doesn't.
CLIENT_PEM, PAIR = "TEMPORAL_TLS_CLIENT", ("CERT", "KEY")
UNCHECKED = "TEMPORAL_TLS_DISABLE_HOST_VERIFICATION"
# By which a stack is found.
NAMING = ("COMPOSE_PROJECT_NAME", "DATA_DIR")
STACK_NAME = "[a-z0-9-]{1,40}"
WORKFLOW = "COMFYUI_WORKFLOW"


class Mode(StrEnum):
    """Where the services run; `auto` asks the machine."""

    AUTO = "auto"
    DOCKER = "docker"
    LOCAL = "local"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Checked settings; `values` is everything given, `overrides` what is saved until `make down`.

    `ports` and `binds` are the ports and the addresses that they are opened on, by the port's name.
    Those that are handed on are the services' to check; see `preflight`.
    """

    root: Path
    mode: Mode
    running: str
    project: str
    ports: Mapping[str, int]
    binds: Mapping[str, str]
    workers: int
    mocks: bool
    vendor_checks: bool
    data_dir: Path
    reports_dir: Path
    base_image: str
    values: Mapping[str, str]
    origins: Mapping[str, str]
    overrides: Mapping[str, str]
    unknown: tuple[str, ...]
    # Which services run here, by name; none: all of them.
    roles: frozenset[str] = frozenset()

    @property
    def own_temporal(self) -> bool:
        """Whether the stack brings a server of its own."""
        return "TEMPORAL_ADDRESS" not in self.values

    @property
    def parts(self) -> tuple[Service, ...]:
        """The services that run here, in the order of starting."""
        whole = wanted(mocks=self.mocks, server=self.own_temporal)
        return tuple(each for each in whole if not self.roles or each.name in self.roles)

    @property
    def run_dir(self) -> Path:
        """Where the stack keeps what it needs to find its own processes again."""
        return self.data_dir / "run"

    @property
    def log_dir(self) -> Path:
        """Logs of the local mode and of image builds."""
        return self.data_dir / "logs"

    @property
    def exposed(self) -> bool:
        """Whether the API is open to other machines."""
        return not ipaddress.ip_address(self.binds[API.port]).is_loopback

    def reach(self, port: str) -> str:
        """The host under which a published port answers on this machine, by its variable."""
        anywhere = {"0.0.0.0": LOOPBACK, "::": "[::1]"}  # noqa: S104
        bind = self.binds[port]
        return anywhere.get(bind, f"[{bind}]" if ":" in bind else bind)

    def url(self, port: str) -> str:
        """The address of a published port, by its variable."""
        return f"http://{self.reach(port)}:{self.ports[port]}"


def load_for_down(root: Path, environ: Mapping[str, str]) -> Settings:
    """Those alone by which a stack is found, where another one is wrong, which is told: one that
    runs must not run on for a slip in `.env`. StackError where it can't be told which stack it is.
    """
    try:
        return load(root, environ)
    except StackError as error:
        with suppress(StackError):
            found = load(root, environ, only=NAMING)
            complain(str(error))
            return found
        raise


def load(
    root: Path, environ: Mapping[str, str], *, only: Collection[str] | None = None
) -> Settings:
    """The environment before what was saved at `up`, before `.env`, before a profile of Temporal's,
    before the defaults; all others where `only` some names count."""
    documented = dotenv.documented_names(root / ".env.example")
    lines, wrong_lines = dotenv.read(root / ".env", only=only)
    lines, environ = _among(lines, only), _among(environ, only)
    in_file = _known(lines, documented)
    given = _known(environ, documented)
    data_dir = root / (given.get("DATA_DIR") or in_file.get("DATA_DIR") or "data")
    past = saved.read(data_dir / "run")
    overrides = {**_among(past.overrides, only), **given}
    values = _with_files(root, in_file | overrides)
    origins = dict.fromkeys(in_file, ".env") | dict.fromkeys(overrides, "environment")
    checks = Checks(values, origins)
    checks.wrong.extend(wrong_lines)
    check_for_elsewhere(checks, values)
    values |= (named := settings_of_profile(checks, values, environ, root))
    origins |= dict.fromkeys(named, "the profile")
    workers = checks.whole("WORKERS", 1, most=MOST_WORKERS)
    mocks = _mocks(checks)
    settings = Settings(
        root=root,
        mode=Mode(checks.choice("MODE", Mode.AUTO, tuple(Mode))),
        running=past.mode,
        project=checks.fits(
            "COMPOSE_PROJECT_NAME", "genvideo", "[a-z0-9][a-z0-9_-]*", what="a project name"
        ),
        ports=_ports(checks, workers),
        binds=_binds(checks),
        workers=workers,
        mocks=mocks,
        roles=roles(checks, values, mocks=mocks),
        vendor_checks=checks.choice("VENDOR_CHECKS", "on", ("on", "off")) == "on",
        data_dir=data_dir,
        reports_dir=root / values.get("REPORTS_DIR", "reports"),
        base_image=values.get("BASE_IMAGE", DEFAULT_BASE_IMAGE),
        values={name: each for name, each in values.items() if name not in (PROFILE, FILE)},
        origins=origins,
        overrides=overrides,
        unknown=tuple(set(lines) - set(_known(dict.fromkeys(lines, "given"), documented))),
    )
    checks.fits("STACK", "x", STACK_NAME, what="1 to 40 characters of a-z, 0-9 and -")
    checks.files(WORKFLOW)
    checks.folder("DATA_DIR", settings.data_dir)
    checks.folder("REPORTS_DIR", settings.reports_dir)
    _check_client(checks, values)
    checks.raise_if_wrong()
    return settings


def _among(values: Mapping[str, str], names: Collection[str] | None) -> dict[str, str]:
    return {k: v for k, v in values.items() if names is None or k in names}


def _known(values: Mapping[str, str], documented: frozenset[str]) -> dict[str, str]:
    """Those of our settings that have a value; an empty one counts as not set."""
    known = documented.union(WIRED)
    return {k: v for k, v in values.items() if v and (k in known or CLIENT.fullmatch(k))}


def _with_files(root: Path, values: Mapping[str, str]) -> dict[str, str]:
    """With the path of a file that is read elsewhere, or mounted, as it is from anywhere."""
    found = dict(values)
    if WORKFLOW in found:
        found[WORKFLOW] = str((root / found[WORKFLOW]).absolute())
    return found


def _ports(checks: Checks, workers: int) -> dict[str, int]:
    """Each port that is published; further workers have the ones above the first one's."""
    room = {WORKER.port: workers - 1}
    ports = {
        name: checks.whole(name, port, most=65535 - room.get(name, 0))
        for name, port in DEFAULT_PORTS.items()
    }
    owners: dict[int, str] = {}
    for name, port in ports.items():
        if port in owners:
            checks.refuse(name, f"is the port of {owners[port]}, too")
        owners.setdefault(port, name)
    return ports


def _binds(checks: Checks) -> dict[str, str]:
    """The address that each port is opened on: loopback, whatever is said, but for two of them."""
    usual = checks.address("BIND_ADDRESS", LOOPBACK)
    return dict.fromkeys(DEFAULT_PORTS, LOOPBACK) | {
        service.port: checks.address(service.bind, usual) for service in ALL if service.bind
    }


def _mocks(checks: Checks) -> bool:
    if checks.choice("MOCKS", "on", ("on", "off")) == "on":
        return True
    for name in ("COMFYUI_URL", "KLING_URL"):
        if checks.url(name) is None:
            checks.wrong.append(f"MOCKS=off needs {name}, which is not set")
    return False


def _check_client(checks: Checks, values: Mapping[str, str]) -> None:
    """What the SDK reads in each service, and no service of ours looks at."""
    checks.files(r"TEMPORAL_TLS_\w+_PATH")
    pair = [any(name.startswith(f"{CLIENT_PEM}_{part}_") for name in values) for part in PAIR]
    if len(set(pair)) > 1:
        checks.wrong.append(f"{CLIENT_PEM}_CERT_PATH and {CLIENT_PEM}_KEY_PATH need one another")
    if values.get(UNCHECKED, "false").lower() not in ("false", "0"):
        checks.refuse(UNCHECKED, "can't be: name what the certificate has in …_SERVER_NAME")
    checks.fits(
        "TEMPORAL_ADDRESS", "host:1", r"[^\s/:]+:\d+|\[[0-9a-fA-F:]+\]:\d+", what="host:port"
    )
