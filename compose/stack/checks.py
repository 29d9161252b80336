"""What is looked at before anything is started, each with what mends it; `make doctor` shows the
same findings."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compose.stack import machine, namespace
from compose.stack.asking import api
from compose.stack.environment import environment_of, keep_secrets, stack_name
from compose.stack.files import digest, write_private
from compose.stack.given import Saved
from compose.stack.output import UNREACHABLE, USAGE, VERDICT, StackError, complain, say
from compose.stack.readiness import Stack, Unit
from compose.stack.services import CALLBACK, MOCKS, SEMAPHORE, WORKER, Service
from compose.stack.settings import Settings
from compose.stack.subprocesses import Outcome
from shared.files import no_room
from shared.settings.common import MOCKED
from shared.texts import spoken

VENDORS_SECONDS = 120.0
OWNER_SECONDS = 60.0
REPLAY_SECONDS = 300.0
ANYWAY = "VENDOR_CHECKS=off goes on all the same"
RECEIVER = "receiver"
STAGES = MOCKED["on"]
_NEXT = {
    True: "their next generations would be real and paid",
    False: "their next generations would come from the mocks",
}
# So many jobs at work are counted.
_MOST = 100
# Of what the runs' code is made; another version of the SDK is another code, too.
_RUNS = ("requirements/services.txt", "shared", "services/worker", "services/semaphore")
_KINDS = {WORKER: "open jobs", SEMAPHORE: "open semaphores"}
_ADVICE = {
    WORKER: "let the jobs end with the code that they run by, or `make up FORCE=1` and they stand"
    " still until they are terminated",
    SEMAPHORE: "`make up FORCE=1` has such a semaphore rebuilt from Temporal",
}


@dataclass(frozen=True)
class Start:
    """What is about to be started: `before` is what runs now, `force` goes on where that is safe.

    With `only_look`, for the doctor, nothing is started or changed, and nothing is known already.
    """

    settings: Settings
    stack: Stack
    before: list[Unit]
    containers: bool
    force: bool = False
    only_look: bool = False

    def has_past(self) -> bool:
        """Whether Temporal may hold what was open; a server of our own that is down is started."""
        if self.settings.own_temporal and not self.before:
            if not (self.settings.data_dir / "temporal" / "temporal.db").exists():
                return False
            self.stack.serve()
        return True


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `needed` tells what is bad from what is merely missing or suspicious."""

    what: str
    good: bool
    found: str
    fix: str = ""
    needed: bool = True
    status: int = VERDICT
    # That mend it.
    commands: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{spoken(self.what)}: {spoken(self.found)}"


def check(start: Start) -> None:
    """Return where all is as it must be; StackError names what isn't. What runs is not touched."""
    for probe in CHECKS:
        refuse(probe(start), "nothing was started or changed")


def refuse(findings: Iterable[Finding], so: str) -> None:
    """Tell of what is suspicious; StackError, in one line and the commands, where it is wrong."""
    bad = [each for each in findings if not each.good]
    for each in bad:
        if not each.needed:
            complain(str(each))
    if wrong := [each for each in bad if each.needed]:
        what = "; ".join(map(str, wrong))
        fixes = "".join(
            f"; {spoken(fix)}" for fix in dict.fromkeys(each.fix for each in wrong) if fix
        )
        commands = "".join(f"\n  {command}" for each in wrong for command in each.commands)
        raise StackError(f"{what}: {spoken(so)}{fixes}{commands}", wrong[0].status)


def open_jobs(start: Start) -> Iterator[Finding]:
    """Other vendors know nothing of what those before have accepted: open jobs would pay again."""
    settings = start.settings
    running = {unit.service for unit in start.before}
    # Where the mocks are another machine's, none of them runs here.
    before = Saved.read(settings.run_dir).mocks | {m.mock for m in MOCKS if m.name in running}
    if running and before != settings.mocks and (reason := _open(settings, before)):
        fix = "let them end, or cancel them; FORCE=1 goes on all the same"
        yield Finding("open jobs", good=False, found=reason, fix=fix, needed=not start.force)


def _open(settings: Settings, mocks: frozenset[str]) -> str:
    """How many jobs are open, and what they would lose with other mocks than these; or nothing."""
    try:
        # By its record, which says at once that a job has ended.
        working = len(api(settings, f"/jobs?status=running&limit={_MOST}")["jobs"])
        waiting = api(settings, "/slots")["waiting_count"]
    except StackError as error:
        return f"how many there are isn't known: {error}"
    if not working + waiting:
        return ""
    real = bool(mocks - settings.mocks)
    before = "the mocks" if real else "the vendors"
    return (
        f"{working + waiting} ({working} at work, {waiting} waiting): {_NEXT[real]}, and what"
        f" {before} had accepted would count as lost"
    )


def ports(start: Start) -> Iterator[Finding]:
    """The ports that starting would take; running services have theirs."""
    running = [unit.service for unit in start.before]
    needed = machine.wanted_ports(start.settings, containers=start.containers, running=running)
    binds = start.settings.binds
    taken = {port: name for port, name in needed.items() if not machine.is_free(binds[name], port)}
    for port, name in taken.items():
        yield Finding(
            f"port {port}",
            good=False,
            found=f"{name} is in use by somebody else",
            fix="stop what uses it, or move ours with that setting",
            status=USAGE,
        )
    if not taken:
        yield Finding("ports", good=True, found="ours" if running else "free")


def disk(start: Start) -> Iterator[Finding]:
    """A disk that takes no more would show as services that don't become ready."""
    data = start.settings.data_dir
    folder = next(each for each in (data, *data.parents) if each.exists())
    if not start.before and (reason := no_room(folder)):
        fix = "make room, or move DATA_DIR"
        yield Finding("disk", good=False, found=f"{folder}: {reason}", fix=fix, status=USAGE)


def temporal(start: Start) -> Iterator[Finding]:
    """A server elsewhere must have the namespace and our search attributes, which are added where
    we may. One that does not answer is waited for by whoever is started."""
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


def vendors(start: Start) -> Iterator[Finding]:
    """Real vendors, before a job can be submitted to them; mocks only where they run."""
    real = start.settings.real
    if start.only_look:
        if start.before or real:
            yield from examine(
                start.stack,
                STAGES if start.before else real,
                receiver=_has_receiver(start.before),
            ).findings
    elif asks_vendors(start):
        start.stack.prepare()
        found = examine(start.stack, real, receiver=False).findings
        yield from found
        if all(each.good or not each.needed for each in found):
            _vendors_note(start.settings).write()


def asks_vendors(start: Start) -> bool:
    """Not mocks, nor those of a stack that runs and has asked them with the same settings."""
    settings = start.settings
    known = bool(start.before) and _vendors_note(settings).holds
    return settings.vendor_checks and bool(settings.real) and not known


def _vendors_note(settings: Settings) -> "Note":
    worker = json.dumps(environment_of(settings, WORKER), sort_keys=True)
    return Note(settings, "vendors", hashlib.sha256(worker.encode()).hexdigest())


def _has_receiver(units: Iterable[Unit]) -> bool:
    return any(unit.service == CALLBACK.name and unit.ready for unit in units)


@dataclass(frozen=True)
class Examination:
    """What the worker's doctor found, and by stage what a generation is made with."""

    findings: list[Finding]
    offers: Mapping[str, str]


def examine(stack: Stack, stages: Sequence[str] = STAGES, *, receiver: bool) -> Examination:
    """Look at the vendors of these stages, for nothing, with the code and environment of a worker,
    after `prepare`; `receiver`: ours runs, and is looked for, too."""
    words = [] if len(stages) > 1 else ["--only", *stages]
    words += ["--receiver"] if receiver else []
    answer = stack.ask(WORKER, f"{WORKER.module}.doctor", *words, timeout=VENDORS_SECONDS)
    # It prints all findings also if one is wrong, which is its status then.
    said = replace(answer, status=0).found if answer.status in (0, VERDICT) else None
    if said is None:
        reason = f"they can't be looked at ({answer.last_line})"
        return Examination([Finding("vendors", good=False, found=reason, fix=ANYWAY)], {})
    findings = [
        Finding(
            what=each["check"],
            good=each["verdict"] == "ok",
            found=each["says"],
            fix=ANYWAY if each["verdict"] == "wrong" else "",
            needed=each["verdict"] == "wrong",
        )
        for each in said["findings"]
    ]
    return Examination(findings, said["offers"])


def tell_of_callbacks(stack: Stack) -> None:
    """Report what shows only once the receiver runs: whether it answers at CALLBACK_URL."""
    for each in examine(stack, receiver=True).findings:
        if each.what == RECEIVER and not each.good:
            complain(f"{each}; until then polling finds the end of each video")


def other_stacks(start: Start) -> Iterator[Finding]:
    """Two stacks in one namespace would share slot, queues and jobs: the second isn't started.

    Left out where it can't have changed: with a server of our own, or while the stack runs.
    """
    settings, ours = start.settings, stack_name(start.settings)
    names = ("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE")
    note = Note(settings, "alone", json.dumps([ours, *map(settings.values.get, names)]))
    if not (note.holds and (start.before or settings.own_temporal)) and start.has_past():
        start.stack.prepare()
        outcome = start.stack.ask(SEMAPHORE, f"{SEMAPHORE.module}.owner", timeout=OWNER_SECONDS)
        if outcome.status == UNREACHABLE:
            say("Temporal does not answer: whether another stack uses it was not asked")
            return
        answer = outcome.found or {"unreadable": outcome.last_line}
        if reason := answer.get("unreadable"):
            found = f"can't tell whether one uses this namespace ({reason})"
            fix = "`make up FORCE=1` goes on all the same"
            yield Finding("other stacks", False, found, fix, needed=not start.force)
            if not start.force:
                return
        elif (other := answer["stack"]) not in ("", ours):
            found = f"another one, {other}, uses Temporal's namespace {answer['namespace']}"
            fix = (
                "take one of your own with TEMPORAL_NAMESPACE=…, or, if it is this very stack,"
                f" say `make up STACK={other}`"
            )
            yield Finding("other stacks", False, found, fix, status=USAGE)
            return
    keep_secrets(settings)
    note.write()


def replayed(start: Start) -> Iterator[Finding]:
    """New code must not stop what is open, which is replayed by it before anything is replaced;
    nothing is where it ran by this code."""
    if start.force or code_note(start.settings).holds or not start.has_past():
        return
    start.stack.prepare()
    with ThreadPoolExecutor() as pool:
        asked = {
            service: pool.submit(
                start.stack.ask, service, f"{service.module}.replay_open", timeout=REPLAY_SECONDS
            )
            for service in start.settings.parts
            if service in _KINDS
        }
    outcomes = {service: answer.result() for service, answer in asked.items()}
    if any(outcome.status == UNREACHABLE for outcome in outcomes.values()):
        say("Temporal does not answer: what is open there was not replayed")
        return
    found = {service: _replay_of(outcome) for service, outcome in outcomes.items()}
    if failing := [service for service, said in found.items() if said["failures"]]:
        what = " and ".join(_failing(service, found[service]) for service in failing)
        fix = "; ".join(_ADVICE[service] for service in failing)
        yield Finding("replay", False, f"this code does not replay {what}", fix)


def code_note(settings: Settings) -> "Note":
    """By which code what is open is run."""
    return Note(settings, "replayed", digest(settings.root, _RUNS))


def _replay_of(outcome: Outcome) -> dict[str, Any]:
    """What the program printed last; one that can't be run would not run in a service either."""
    if (found := outcome.found) is not None:
        return found
    raise StackError(
        f"this code can't replay what is open ({outcome.last_line}): nothing was started or"
        " changed; `make up FORCE=1` goes on all the same",
        VERDICT,
    )


def _failing(service: Service, said: Mapping[str, Any]) -> str:
    """`2 of 14 open jobs (job-…: why)`; where not all were replayed, of how many."""
    failures: dict[str, str] = said["failures"]
    first, why = next(iter(failures.items()))
    some = "" if said["replayed"] == said["open"] else f"the {said['replayed']} replayed of "
    reason = " ".join(why.split())[:160]
    return f"{len(failures)} of {some}{said['open']} {_KINDS[service]} ({first}: {reason})"


@dataclass(frozen=True)
class Note:
    """For what a check has passed last; it outlives `make down`."""

    settings: Settings
    name: str
    text: str

    @property
    def _path(self) -> Path:
        return self.settings.run_dir / self.name

    @property
    def holds(self) -> bool:
        """Whether it has passed for this."""
        return self._path.is_file() and self._path.read_text(encoding="utf-8") == self.text

    def write(self) -> None:
        """It has passed for this."""
        write_private(self._path, self.text)


# In this order: what needs no program of the new code comes first.
CHECKS: tuple[Callable[[Start], Iterator[Finding]], ...] = (
    open_jobs,
    ports,
    disk,
    temporal,
    vendors,
    other_stacks,
    replayed,
)
