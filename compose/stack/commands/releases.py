"""Makes a build the current one; waits until an old one has no open job any more."""

import time
from collections.abc import Mapping, Sequence

from compose.stack.errors import USAGE, VERDICT, StackError
from compose.stack.machine.lock import locked
from compose.stack.modes import choice
from compose.stack.modes.stack import Askable
from compose.stack.output import say, table
from compose.stack.preflight import builds, replay
from compose.stack.preflight.builds import Answer, Build
from compose.stack.private import private_folder
from compose.stack.services import SEMAPHORE, WORKER, Service
from compose.stack.settings.builds import build
from compose.stack.settings.load import Settings

PAUSE = 5.0
NONE = "none"


def promote(settings: Settings, environ: Mapping[str, str]) -> None:
    """Make the builds of this source the current ones, and show what there is.

    What goes on by them is replayed before. MOVE=1: so do the open jobs of other builds.
    """
    if not settings.pinned and not environ.get("MOVE"):
        raise StackError(
            "nothing to promote: RELEASES=pinned is not set; with MOVE=1 all goes on without builds"
        )
    move = environ.get("MOVE") == "1"
    private_folder(settings.run_dir)
    with locked(settings.run_dir):
        stack = choice.with_base_image(settings, choice.chosen(settings))
        stack.prepare()
        if environ.get("FORCE") != "1":
            replay.refuse(stack, {SEMAPHORE: (), WORKER: () if move else ("--unpinned",)})
        answer = _make_current(settings, stack, (SEMAPHORE, WORKER), move=move)
    _tell(settings, answer)
    say(table([("SERVICE", "BUILD", "STATE", "OPEN", "PROCESSES"), *map(_row, answer.builds)]))


def settle(settings: Settings, stack: Askable) -> None:
    """After `up`: the semaphore that it starts is current at once, and so are the workers where it
    has started everything; then nobody is left by whom the open jobs of other builds could end."""
    parts = (SEMAPHORE,) if settings.roles else (SEMAPHORE, WORKER)
    here = [service for service in parts if service in settings.parts]
    if here and (settings.pinned or builds.noted(settings)):
        _tell(settings, _make_current(settings, stack, here, move=not settings.roles))
    builds.note(settings)


def drain(settings: Settings) -> None:
    """Return when no open job is left to the build of the workers here."""
    was = builds.noted(settings)
    if not was:
        raise StackError("DRAIN=1 waits for a build, and the workers here name none", USAGE)
    stack = choice.prepared(settings)
    before = 0
    while (found := builds.ask(stack).workers_of(was)).open:
        if found.current:
            raise StackError(
                f"build {was} is current, and new jobs begin by it: promote another one first",
                VERDICT,
            )
        if found.open != before:
            say(f"{builds.jobs(found.open)} with build {was}")
        before = found.open
        time.sleep(PAUSE)


def _make_current(
    settings: Settings, stack: Askable, services: Sequence[Service], *, move: bool
) -> Answer:
    wanted = {service.name: build(settings, service.name) for service in services}
    words = [f"{name}={each}" for name, each in wanted.items()]
    answer = builds.ask(stack, *words, *(["--move"] if move else []))
    if answer.missing:
        nobody = " and ".join(f"{name} of build {wanted[name]}" for name in answer.missing)
        raise StackError(
            f"no {nobody} is at work: nothing was promoted; `make up` starts it, with ROLES where"
            " only that is to run here",
            VERDICT,
        )
    return answer


def _tell(settings: Settings, answer: Answer) -> None:
    if answer.moved:
        now = build(settings, WORKER.name) or NONE
        say(f"open jobs of other builds that go on by build {now}: {answer.moved}")


def _row(each: Build) -> tuple[str, ...]:
    state = "current" if each.current else "draining" if each.open else "drained"
    return each.service, each.build or NONE, state, str(each.open), str(each.processes)
