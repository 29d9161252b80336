"""The checks before anything is started, each with its fix; `make doctor` shows the same
findings."""

import errno
import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compose.stack import machine, namespace
from compose.stack.asking import api
from compose.stack.environment import environment_of, keep_secrets, stack_name
from compose.stack.files import write_private
from compose.stack.modes import Stack
from compose.stack.output import UNREACHABLE, USAGE, VERDICT, StackError, complain, reason_of, say
from compose.stack.services import CALLBACK, SEMAPHORE, TEMPORAL, WORKER, Unit
from compose.stack.settings import Settings
from shared.files import digest
from shared.texts import localized

VENDORS_SECONDS = 120.0
OWNER_SECONDS = 60.0
REPLAY_SECONDS = 300.0
ANYWAY = "VENDOR_CHECKS=off skips this check"
# At most this many open jobs are counted.
_MOST = 100
# The packages that the runs' code depends on; another version of the SDK is other code, too.
_RUNS = ("requirements/services.txt", "shared", "services/worker", "services/semaphore")
_SERVER = ("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE")
# The verdicts on a vendor that stop a start, with its exit status.
_STOPS = {"wrong": VERDICT, "away": UNREACHABLE}
_KINDS = {WORKER: "open jobs", SEMAPHORE: "open semaphores"}
_ADVICE = {
    WORKER: "let the jobs end with their old code, or run `make up FORCE=1`: they then stand still"
    " until they are terminated",
    SEMAPHORE: "`make up FORCE=1` rebuilds such a semaphore from Temporal",
}


@dataclass(frozen=True)
class Start:
    """What is about to start. `before` is what runs now; `force` overrides checks where that is
    safe.

    With `only_look`, for the doctor, nothing is started or changed, and no earlier result is used.
    """

    settings: Settings
    stack: Stack
    before: list[Unit]
    containers: bool
    force: bool = False
    only_look: bool = False

    def has_past(self) -> bool:
        """True if Temporal may hold open runs; start our own server if it is down."""
        if self.settings.own_temporal and not self.before:
            if not _database(self.settings).exists():
                return False
            self.stack.serve()
        return True


@dataclass(frozen=True)
class Finding:
    """The result of a check. `needed`: it stops the start; otherwise it is a warning. `commands`
    fix it."""

    what: str
    good: bool
    found: str
    fix: str = ""
    needed: bool = True
    status: int = VERDICT
    commands: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{localized(self.what)}: {localized(self.found)}"


@dataclass(frozen=True)
class Note:
    """A file that records that a check has passed for `text`; it survives `make down`."""

    settings: Settings
    name: str
    text: str

    @property
    def is_written(self) -> bool:
        """True if an earlier start has written a note of this name."""
        return (self.settings.run_dir / self.name).is_file()

    def holds(self) -> bool:
        path = self.settings.run_dir / self.name
        return self.is_written and path.read_text(encoding="utf-8") == self.text

    def write(self) -> None:
        write_private(self.settings.run_dir / self.name, self.text)


def check(start: Start) -> None:
    """Run the checks; raise StackError with all that is wrong. Nothing that runs is changed."""
    for probe in CHECKS:
        refuse(probe(start), "nothing was started or changed")


def refuse(findings: Iterable[Finding], so: str) -> None:
    """Print warnings; raise StackError, in one line with the commands, for a wrong finding."""
    bad = [each for each in findings if not each.good]
    for each in bad:
        if not each.needed:
            complain(str(each))
    if wrong := [each for each in bad if each.needed]:
        what = "; ".join(map(str, wrong))
        fixes = "".join(
            f"; {localized(fix)}" for fix in dict.fromkeys(each.fix for each in wrong) if fix
        )
        commands = "".join(f"\n  {command}" for each in wrong for command in each.commands)
        raise StackError(f"{what}: {localized(so)}{fixes}{commands}", wrong[0].status)


def ports(start: Start) -> Iterator[Finding]:
    """Check the ports that a start would use, except those of running services."""
    running = [unit.service for unit in start.before]
    needed = machine.wanted_ports(start.settings, containers=start.containers, running=running)
    usable = True
    for port, name in needed.items():
        bind = start.settings.binds[name]
        error = machine.refusal(bind, port)
        # The engine may open what its user may not.
        if error is None or (start.containers and error.errno == errno.EACCES):
            continue
        usable = False
        if error.errno == errno.EADDRINUSE:
            found = f"{name} is in use by another program"
            fix = "stop that program, or use another port with that setting"
        else:
            found = f"{name} can't be opened on {bind}: {reason_of(error)}"
            fix = "use another port, or another BIND_ADDRESS"
        yield Finding(f"port {port}", False, found, fix, status=USAGE)
    if usable:
        yield Finding("ports", good=True, found="ours" if running else "free")


def temporal(start: Start) -> Iterator[Finding]:
    """Check namespace and search attributes of another server, and add missing attributes if
    allowed. The services wait for a server that does not answer."""
    if start.settings.own_temporal:
        return
    start.stack.prepare()
    found = namespace.look(start.settings, start.stack, "look" if start.only_look else "add")
    there = f"{start.settings.server} has the namespace and our search attributes"
    yield Finding(
        "Temporal",
        good=not found.wrong or (found.away and not start.only_look),
        found=found.wrong or there,
        commands=tuple(found.commands),
    )


def restored(start: Start) -> Iterator[Finding]:
    """Refuse an older copy of our own server's database: its semaphores would grant beside what
    runs at the vendors by now.

    Each start and stop is counted in the database, and beside it. A server that starts alone is
    prepared.
    """
    settings, what = start.settings, "Temporal's database"
    runs = any(unit.service == TEMPORAL.name for unit in start.before)
    if start.only_look or runs or not settings.own_temporal:
        return
    if not _database(settings).exists():
        # The server makes one that has counted nothing.
        Note(settings, "starts", "0").write()
        return
    try:
        note = _counted(settings)
        if note.is_written and not note.holds() and settings.roles != {TEMPORAL.name}:
            fix = "follow docs/recovery.md; FORCE=1 overrides"
            found = "it is a copy that was restored"
            yield Finding(what, False, found, fix, needed=not start.force)
            if not start.force:
                return
        _count(note)
    except sqlite3.Error as error:
        found, fix = f"it can't be used: {error}", "put a copy in its place by docs/recovery.md"
        yield Finding(what, False, found, fix)


def count_stop(settings: Settings) -> None:
    """Count that the server was stopped, because a copy may have been made while it ran."""
    if settings.own_temporal and _database(settings).exists():
        with suppress(sqlite3.Error):
            if (note := _counted(settings)).holds():
                _count(note)


def _database(settings: Settings) -> Path:
    return settings.data_dir / "temporal" / "temporal.db"


def _counted(settings: Settings) -> Note:
    """Return the note that fits the database; raise sqlite3.Error."""
    with closing(sqlite3.connect(_database(settings))) as database:
        [number] = database.execute("PRAGMA user_version").fetchone()
    return Note(settings, "starts", str(number))


def _count(note: Note) -> None:
    number = int(note.text) + 1
    with closing(sqlite3.connect(_database(note.settings))) as database:
        database.execute(f"PRAGMA user_version = {number}")
    replace(note, text=str(number)).write()


def open_jobs(start: Start) -> Iterator[Finding]:
    """Refuse other vendors than those of the last start while jobs are open, because they would
    generate and charge again."""
    note = vendors_note(start.settings)
    if not note.is_written or note.holds() or not start.has_past():
        return
    try:
        count = _count_open(start)
    except StackError as error:
        found = f"their number is not known: {error}"
    else:
        if not count:
            return
        then = "their next generations would come from the mocks"
        if start.settings.real:
            then = "their next generations would be real and paid"
        found = f"{count}: {then}, and what other vendors had accepted would count as lost"
    fix = "let them end, or cancel them; FORCE=1 overrides"
    yield Finding("open jobs", False, found, fix, needed=not start.force)


def _count_open(start: Start) -> int:
    if start.before:
        # By its record, which shows at once that a job has ended.
        working = len(api(start.settings, f"/jobs?status=running&limit={_MOST}")["jobs"])
        return int(working + api(start.settings, "/slots")["waiting_count"])
    start.stack.prepare()
    outcome = start.stack.ask(WORKER, f"{WORKER.module}.replay_open", timeout=REPLAY_SECONDS)
    if outcome.found is None:
        raise StackError(outcome.last_line)
    return int(outcome.found["open"])


def vendors_note(settings: Settings) -> Note:
    """Return the note of the real vendors that may have generations of open jobs."""
    urls = {"IMAGE_API": settings.comfyui_url, "VIDEO_API": settings.kling_url}
    real = {
        name: [settings.values.get(name, "service"), str(url).rstrip("/")]
        for name, url in urls.items()
        if name.removesuffix("_API").lower() in settings.real
    }
    return Note(settings, "used", json.dumps(real))


def vendors(start: Start) -> Iterator[Finding]:
    """Check real vendors before a job can be submitted to them, unless a running stack has checked
    them with the same settings; mocks only if they run."""
    settings, real = start.settings, start.settings.real
    if start.only_look:
        if start.before or real:
            receiver = any(unit.service == CALLBACK.name and unit.ready for unit in start.before)
            yield from examine(start.stack, () if start.before else real, receiver=receiver)[0]
        return
    worker = json.dumps(environment_of(settings, WORKER), sort_keys=True)
    note = Note(settings, "vendors", hashlib.sha256(worker.encode()).hexdigest())
    if settings.vendor_checks == "on" and real and not (start.before and note.holds()):
        start.stack.prepare()
        found, _ = examine(start.stack, real, receiver=False)
        yield from found
        if all(each.good or not each.needed for each in found):
            note.write()


def examine(
    stack: Stack, stages: Sequence[str] = (), *, receiver: bool
) -> tuple[list[Finding], Mapping[str, str]]:
    """Check the vendors of these stages, by default of all, with free calls, in a worker's
    environment.

    Return the findings and, by stage, what a generation is made with. Call `prepare` first.
    `receiver`: the stack's receiver runs, and is checked, too.
    """
    words = ["--only", *stages] if len(stages) == 1 else []
    words += ["--receiver"] if receiver else []
    answer = stack.ask(WORKER, f"{WORKER.module}.doctor", *words, timeout=VENDORS_SECONDS)
    # It prints all findings also if one is wrong, which is its exit status then.
    said = replace(answer, status=0).found if answer.status in (0, VERDICT) else None
    if said is None:
        reason = f"they can't be checked ({answer.last_line})"
        return [Finding("vendors", good=False, found=reason, fix=ANYWAY)], {}
    findings = [
        Finding(
            what=each["check"],
            good=each["verdict"] == "ok",
            found=each["says"],
            fix=ANYWAY if each["verdict"] in _STOPS else "",
            needed=each["verdict"] in _STOPS,
            status=_STOPS.get(each["verdict"], VERDICT),
        )
        for each in said["findings"]
    ]
    return findings, said["offers"]


def other_stacks(start: Start) -> Iterator[Finding]:
    """Refuse a second stack in a namespace, because both would share slot, queues and jobs.

    Skipped if it can't have changed: with a server of our own, or while the stack runs.
    """
    settings, ours = start.settings, stack_name(start.settings)
    note = Note(settings, "alone", json.dumps([ours, *map(settings.values.get, _SERVER)]))
    if not (note.holds() and (start.before or settings.own_temporal)) and start.has_past():
        start.stack.prepare()
        outcome = start.stack.ask(SEMAPHORE, namespace.PROGRAM, "look", timeout=OWNER_SECONDS)
        if outcome.status == UNREACHABLE:
            say("Temporal does not answer: not checked whether another stack uses it")
            return
        answer = outcome.found or {"unreadable": outcome.last_line}
        if reason := answer["unreadable"] or ("" if answer["there"] else answer["wrong"]):
            found = f"can't check whether another stack uses this namespace ({reason})"
            fix = "`make up FORCE=1` overrides"
            if not answer["unreadable"]:
                fix = "`make namespace` creates it, or prints the commands"
            yield Finding("other stacks", False, found, fix, needed=not start.force)
            if not start.force:
                return
        elif (other := answer["stack"]) not in ("", ours):
            found = f"stack {other} uses Temporal's namespace {answer['namespace']}"
            fix = (
                "use another namespace with TEMPORAL_NAMESPACE=…, or, if it is this stack,"
                f" `make up STACK={other}`"
            )
            yield Finding("other stacks", False, found, fix, status=USAGE)
            return
    keep_secrets(settings)
    note.write()


def replayed(start: Start) -> Iterator[Finding]:
    """Replay open histories with the new code before anything is replaced, unless this code ran
    last."""
    if start.force or code_note(start.settings).holds() or not start.has_past():
        return
    start.stack.prepare()
    services = [service for service in start.settings.parts if service in _KINDS]
    with ThreadPoolExecutor() as pool:
        asked = {
            service: pool.submit(
                start.stack.ask, service, f"{service.module}.replay_open", timeout=REPLAY_SECONDS
            )
            for service in services
        }
    outcomes = {service: answer.result() for service, answer in asked.items()}
    if any(outcome.status == UNREACHABLE for outcome in outcomes.values()):
        say("Temporal does not answer: what is open there was not replayed")
        return
    failing = []
    for service, outcome in outcomes.items():
        if (said := outcome.found) is None:
            # One that can't run would not run in a service either.
            raise StackError(
                f"this code can't replay what is open ({outcome.last_line}): nothing was started or"
                " changed; `make up FORCE=1` overrides",
                VERDICT,
            )
        if said["failures"]:
            failing.append((service, said))
    if failing:
        what = " and ".join(_failing(_KINDS[service], said) for service, said in failing)
        fix = "; ".join(_ADVICE[service] for service, _ in failing)
        yield Finding("replay", False, f"this code does not replay {what}", fix)


def code_note(settings: Settings) -> Note:
    """Return the note of the code that runs what is open at this server."""
    server = map(settings.values.get, _SERVER)
    return Note(settings, "replayed", json.dumps([digest(settings.root, _RUNS), *server]))


def _failing(kind: str, said: Mapping[str, Any]) -> str:
    """Return `2 of 14 open jobs (job-…: why)`; with the total if not all were replayed."""
    failures: dict[str, str] = said["failures"]
    first, why = next(iter(failures.items()))
    some = "" if said["replayed"] == said["open"] else f"the {said['replayed']} replayed of "
    reason = " ".join(why.split())[:160]
    return f"{len(failures)} of {some}{said['open']} {kind} ({first}: {reason})"


# In this order, because the first checks need no program of the new code.
CHECKS: tuple[Callable[[Start], Iterator[Finding]], ...] = (
    ports,
    temporal,
    restored,
    open_jobs,
    vendors,
    other_stacks,
    replayed,
)
