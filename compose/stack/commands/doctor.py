"""Says what is wrong with this machine, with the fix beside it, and with the vendors; it starts
nothing, and submits nothing."""

import ipaddress
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from compose.stack.errors import VERDICT, StackError
from compose.stack.machine import engine, images, ports
from compose.stack.modes import choice
from compose.stack.modes.stack import Stack
from compose.stack.output import padded, paint, say, wide
from compose.stack.preflight import exposure, namespace, vendors
from compose.stack.services import ABOUT, API, CALLBACK
from compose.stack.settings.load import DEFAULT_BASE_IMAGE, LOOPBACK, Mode, Settings
from shared.texts import spoken

DISK_GIB = 3
# Of the disk; where less is free it is soon full.
DISK_SHARE = 0.05
MEMORY_GIB = 2
STORE_PATIENCE = 60.0


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `needed` tells what is bad from what is merely missing."""

    what: str
    good: bool
    found: str
    fix: str = ""
    needed: bool = True


def doctor(settings: Settings) -> int:
    """Print every finding; 1 where something that is needed is wrong."""
    findings = list(_findings(settings))
    width = max(wide(spoken(finding.what)) for finding in findings)
    for finding in findings:
        say(_line(finding, width))
    bad = any(finding.needed and not finding.good for finding in findings)
    say(
        paint("something needs fixing", "bad")
        if bad
        else paint("all that is needed is here", "good")
    )
    return VERDICT if bad else 0


def _line(finding: Finding, width: int) -> str:
    word, style = (
        ("ok", "good") if finding.good else ("bad", "bad") if finding.needed else ("-", "warn")
    )
    fix = "" if finding.good or not finding.fix else f"  ->  {spoken(finding.fix)}"
    what, found = padded(spoken(finding.what), width), spoken(finding.found)
    return f"{paint(padded(spoken(word), wide(spoken('bad'))), style)} {what}  {found}{fix}"


def _findings(settings: Settings) -> Iterator[Finding]:
    containers = engine.missing() is None
    local_needed = settings.mode is Mode.LOCAL or not containers
    yield Finding("Python", True, f"{platform.python_version()} ({sys.executable})")
    yield from _engine(settings)
    if containers:
        yield _base(settings)
    yield from _ports(settings)
    yield from _open(settings, local=local_needed or settings.running == Mode.LOCAL)
    yield from _disk(settings)
    yield _memory()
    yield from _temporal(settings)
    yield from _store(settings)
    yield from _vendors(settings)


def _engine(settings: Settings) -> Iterator[Finding]:
    needed = settings.mode is Mode.DOCKER
    version = engine.engine_version()
    fix = "apt-get install docker.io docker-cli and start it, or go on without: MODE=local"
    yield Finding("Docker engine", version is not None, version or "does not answer", fix, needed)
    tool = engine.compose()
    fix = "apt-get install docker-compose (2.20 or newer)"
    found = f"{tool[1]} ({' '.join(tool[0])})" if tool else "missing"
    yield Finding("Docker Compose", tool is not None, found, fix, needed)
    if version and tool and (reason := engine.missing()):
        yield Finding("containers", False, reason, "newer packages, or MODE=local", needed)


def _base(settings: Settings) -> Finding:
    wanted = settings.base_image
    if images.present(wanted):
        return Finding("base image", True, wanted)
    fix = "make up fetches it"
    if wanted == DEFAULT_BASE_IMAGE:
        # Nothing takes the place of one that was named.
        if images.present(images.LOCAL_BASE_IMAGE):
            return Finding("base image", True, images.LOCAL_BASE_IMAGE)
        fix = "make up fetches it, or makes one with mmdebstrap (apt-get install mmdebstrap)"
    return Finding("base image", False, f"{wanted} is not here", fix, needed=False)


def _ports(settings: Settings) -> Iterator[Finding]:
    units = choice.chosen(settings).units() if settings.running else []
    running = [unit.service for unit in units]
    needed = ports.wanted(settings, containers=settings.running != Mode.LOCAL, running=running)
    taken = {
        port: name for port, name in needed.items() if not ports.free(settings.binds[name], port)
    }
    for port, name in taken.items():
        yield Finding(f"port {port}", False, "in use by somebody else", f"stop that, or set {name}")
    if not taken:
        yield Finding("ports", True, "ours" if running else "free")


def _open(settings: Settings, *, local: bool) -> Iterator[Finding]:
    """For each port that there would be: who can reach it."""
    for port, name in sorted(ports.wanted(settings, containers=not local, running=()).items()):
        bind = settings.binds[name]
        who = "loopback only" if bind == LOOPBACK else _who(bind)
        good = name != API.port or not exposure.is_missing_token(settings)
        found = f"{ABOUT[name]}: {who}" + ("" if good else ", without API_TOKEN")
        yield Finding(f"port {port}", good, found, exposure.WAYS_OUT)


def _who(bind: str) -> str:
    address = ipaddress.ip_address(bind)
    if address.is_loopback:
        return f"loopback only ({bind})"
    every = " (every address of this machine)" if address.is_unspecified else ""
    return f"whoever reaches {bind}{every}"


def _disk(settings: Settings) -> Iterator[Finding]:
    folder = next(path for path in (settings.data_dir, *settings.data_dir.parents) if path.exists())
    usage = shutil.disk_usage(folder)
    free, share = usage.free / 2**30, usage.free / usage.total
    fix = f"free {DISK_GIB} GiB, or move DATA_DIR"
    yield Finding("disk", free >= DISK_GIB, f"{free:.1f} GiB free", fix)
    fix = "set RETENTION_DAYS, make room, or move DATA_DIR"
    good = share >= DISK_SHARE
    yield Finding("share of the disk", good, f"{share:.1%} free", fix, needed=False)


def _memory() -> Finding:
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        free = int(fields["MemAvailable"].split()[0]) / 2**20
    else:
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return Finding(
        "memory", free >= MEMORY_GIB, f"{free:.1f} GiB available", f"free {MEMORY_GIB} GiB"
    )


def _stack(settings: Settings) -> Stack:
    """The running one, or what one would be; StackError where there can be none."""
    return choice.chosen(settings) if settings.running else choice.prepared(settings)


def _temporal(settings: Settings) -> Iterator[Finding]:
    """Whether a server elsewhere has the namespace and what we need in it, and what mends it."""
    if settings.own_temporal:
        return
    try:
        stack = _stack(settings)
    except StackError as error:
        yield Finding("Temporal", False, f"it can't be looked at ({error})")
        return
    found = namespace.look(settings, stack, "look")
    fix = " && ".join(found.commands)
    there = f"{namespace.address(settings)} has the namespace and our search attributes"
    yield Finding("Temporal", not found.wrong, found.wrong or there, fix)


def _store(settings: Settings) -> Iterator[Finding]:
    """Whether a store elsewhere can be relied on, as a service finds it at its start."""
    url = settings.values.get("STORE_URL", "file:")
    if url == "file:":
        return
    try:
        stack = _stack(settings)
    except StackError as error:
        yield Finding("store", False, f"it can't be looked at ({error})")
        return
    answer = stack.ask(CALLBACK, CALLBACK.module, "--check", timeout=STORE_PATIENCE)
    found = f"{url} checks the conditions of writes" if answer.good else answer.last_line
    yield Finding("store", answer.good, found)


def _vendors(settings: Settings) -> Iterator[Finding]:
    """What the worker's doctor finds; mocks are there to be asked while the stack runs."""
    if settings.mocks and not settings.running:
        return
    try:
        stack = _stack(settings)
        units = stack.units() if settings.running else []
    except StackError as error:
        yield Finding("vendors", False, f"they can't be looked at ({error})")
        return
    receiver = any(unit.service == CALLBACK.name and unit.ready for unit in units)
    for each in vendors.examine(stack, receiver=receiver).findings:
        good, needed = each.verdict == "ok", each.verdict == "wrong"
        yield Finding(each.check, good, each.says, needed=needed)
