"""Check this machine and the vendors, with a fix for each finding; start and submit nothing."""

import ipaddress
import platform
import shlex
import shutil
import stat
import sys
from collections.abc import Iterator

from compose.stack import checks, docker, machine, modes
from compose.stack.checks import Finding, Start
from compose.stack.environment import exposed, service_mistakes
from compose.stack.files import OTHERS
from compose.stack.given import SECRET, dotenv
from compose.stack.local import Local
from compose.stack.output import VERDICT, StackError, padded, paint, say, wide
from compose.stack.services import ABOUT, API
from compose.stack.settings import DEFAULT_BASE_IMAGE, LOOPBACK, Mode, Settings
from shared.texts import localized

DISK_GIB = 3


def doctor(settings: Settings) -> int:
    """Print every finding; return 1 if something needed is wrong."""
    findings = [*_machine(settings), *_exposure(settings), *_stack(settings)]
    width = max(wide(localized(finding.what)) for finding in findings)
    bad = [finding for finding in findings if finding.needed and not finding.good]
    for each in findings:
        word, style = ("bad", "bad") if each in bad else ("-", "warn")
        if each.good:
            word, style = "ok", "good"
        fix = "" if each.good else " && ".join(each.commands) or localized(each.fix)
        mark = paint(padded(localized(word), wide(localized("bad"))), style)
        what, found = padded(localized(each.what), width), localized(each.found)
        say(f"{mark} {what}  {found}{f'  ->  {fix}' if fix else ''}")
    if bad:
        say(paint("something needs fixing", "bad"))
        return VERDICT
    say(paint("everything needed is here", "good"))
    return 0


def _machine(settings: Settings) -> Iterator[Finding]:
    yield Finding("Python", good=True, found=f"{platform.python_version()} ({sys.executable})")
    needed = settings.mode is Mode.DOCKER
    version, tool = machine.engine_version(), machine.compose()
    fix = "apt-get install docker.io docker-cli and start it, or go on without: MODE=local"
    found = version or "does not answer"
    yield Finding("Docker engine", version is not None, found, fix, needed)
    fix = "apt-get install docker-compose (2.21 or newer)"
    found = f"{tool[1]} ({' '.join(tool[0])})" if tool else "missing"
    yield Finding("Docker Compose", tool is not None, found, fix, needed)
    reason = machine.missing()
    if version and tool and reason:
        yield Finding("containers", False, reason, "newer packages, or MODE=local", needed)
    if reason is None:
        yield base_image(settings)
    # Only the owner should be able to read the keys in `.env`.
    path = settings.root / ".env"
    keys = sorted(name for name in dotenv(path)[0] if SECRET.fullmatch(name))
    if keys and (mode := stat.S_IMODE(path.stat().st_mode)) & OTHERS:
        found = f"others on this machine can read {', '.join(keys)} (mode {mode:o})"
        command = f"chmod 600 {shlex.quote(str(path))}"
        yield Finding(".env", False, found, needed=False, commands=(command,))
    folder = next(path for path in (settings.data_dir, *settings.data_dir.parents) if path.exists())
    free = shutil.disk_usage(folder).free / 2**30
    fix = f"free {DISK_GIB} GiB, or move DATA_DIR"
    yield Finding("disk", free >= DISK_GIB, f"{free:.1f} GiB free", fix)


def base_image(settings: Settings) -> Finding:
    """Check the base image; a named one is never replaced."""
    wanted = settings.base_image
    places = [wanted] + ([docker.LOCAL_BASE_IMAGE] if wanted == DEFAULT_BASE_IMAGE else [])
    if here := next(filter(docker.present, places), None):
        return Finding("base image", good=True, found=here)
    fix = "make up fetches it"
    if wanted == DEFAULT_BASE_IMAGE:
        fix = "make up fetches it, or makes one with mmdebstrap (apt-get install mmdebstrap)"
    return Finding("base image", good=False, found=f"{wanted} is not here", fix=fix, needed=False)


def _exposure(settings: Settings) -> Iterator[Finding]:
    local = Mode.LOCAL in (settings.mode, settings.running) or machine.missing() is not None
    ports = machine.wanted_ports(settings, containers=not local, running=())
    about = ABOUT | {each.port: each.about for each in settings.further}
    fix = f"set API_TOKEN, or set {API.bind} and API_PUBLIC_URL to this machine"
    open_api = "API_TOKEN" not in settings.values and exposed(settings, API, "API_PUBLIC_URL")
    for port, name in sorted(ports.items()):
        address = ipaddress.ip_address(settings.binds[name])
        every = " (every address of this machine)" if address.is_unspecified else ""
        who = f"every machine that reaches {address}{every}"
        if address.is_loopback:
            who = "loopback only" if str(address) == LOOPBACK else f"loopback only ({address})"
        missing = name == API.port and open_api
        found = f"{about[name]}: {who}" + (", without API_TOKEN" if missing else "")
        yield Finding(f"port {port}", good=not missing, found=found, fix=fix)


def _stack(settings: Settings) -> Iterator[Finding]:
    """Run the checks of `make up` that start nothing."""
    mistakes = service_mistakes(settings)
    for each in mistakes:
        yield Finding("settings", good=False, found=each)
    url = settings.values.get("STORE_URL", "file:")
    if url != "file:" and not mistakes:
        yield Finding("store", good=True, found=f"{url} checks the conditions of writes")
    stack: modes.Stack = Local(settings)
    try:
        if settings.running or settings.real or not settings.own_temporal:
            stack = modes.running_or_prepared(settings)
        before = stack.units() if settings.running else []
    except StackError as error:
        yield Finding("stack", good=False, found=f"it can't be checked ({error})")
        return
    containers = settings.running != Mode.LOCAL
    start = Start(settings, stack, before, containers=containers, only_look=True)
    for probe in (checks.ports, checks.temporal, checks.vendors):
        yield from probe(start)
