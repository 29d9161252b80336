"""The two modes: which one is used, what must run in it, and the wait until all of it is ready."""

import time
from collections import Counter

from compose.stack import machine
from compose.stack.docker import Docker, base_image
from compose.stack.files import locked
from compose.stack.given import SAVED
from compose.stack.local import Local
from compose.stack.output import UNREACHABLE, StackError, paint, say
from compose.stack.services import WORKER, Unit
from compose.stack.settings import Mode, Settings, again

Stack = Docker | Local
PATIENCE = 90.0
POLL_SECONDS = 0.1


def chosen(settings: Settings) -> Stack:
    """Return the stack in the mode it runs in, or in the requested one, or in one that works."""
    mode = settings.running or settings.mode
    if mode == Mode.LOCAL:
        return Local(settings)
    if reason := machine.missing():
        if settings.running:
            raise StackError(
                f"the stack runs in containers, but {reason}: nothing was started or changed; if"
                f" there will be none any more, remove {settings.run_dir / SAVED}",
                UNREACHABLE,
            )
        if mode == Mode.DOCKER:
            raise StackError(f"MODE=docker: {reason}; MODE=local needs none", UNREACHABLE)
        say(f"{reason}: running the services as processes (MODE=local)")
        return Local(settings)
    return Docker(settings)


def prepared(settings: Settings) -> Stack:
    """Return a stack that can run the load test, for commands that need no running one."""
    with locked(settings.run_dir):
        stack = to_start(again(settings))
        stack.prepare()
    return stack


def running_or_prepared(settings: Settings) -> Stack:
    """Return the running stack, or one that could run; raise StackError if neither is possible."""
    return chosen(settings) if settings.running else prepared(settings)


def to_start(settings: Settings) -> Stack:
    """Return the stack with its base image; if there can be none, `auto` uses processes."""
    if settings.running and settings.mode not in (Mode.AUTO, settings.running):
        raise StackError(f"the stack runs with MODE={settings.running}; `make down` first")
    stack = chosen(settings)
    if isinstance(stack, Local):
        return stack
    stack.refuse_others()
    try:
        return Docker(settings, base_image(settings))
    except StackError as error:
        if settings.mode is not Mode.AUTO or settings.running:
            raise
        say(f"{error}")
        say("running the services as processes (MODE=local)")
        return Local(settings)


def expected(settings: Settings) -> Counter[str]:
    return Counter({s.name: settings.workers if s is WORKER else 1 for s in settings.parts})


def _missing(settings: Settings, units: list[Unit]) -> Counter[str]:
    return expected(settings) - Counter(unit.service for unit in units if unit.ready)


def all_ready(settings: Settings, units: list[Unit]) -> bool:
    extra = Counter(unit.service for unit in units) - expected(settings)
    return not _missing(settings, units) and not extra


def wait(settings: Settings, stack: Stack) -> None:
    """Report each service as it becomes ready; give up, with reasons, if none has for PATIENCE
    seconds."""
    began = latest = time.monotonic()
    reported: set[str] = set()
    while True:
        units = stack.units()
        lacking = _missing(settings, units)
        for name in [each for each in expected(settings) if each not in {*lacking, *reported}]:
            reported.add(name)
            latest = time.monotonic()
            say(f"  {paint('ready', 'good')}  {name:<13} {latest - began:5.1f} s")
        if not lacking:
            return
        if time.monotonic() - latest > PATIENCE:
            details = {
                each.service: f"{each.state}, {each.detail}" for each in units if not each.ready
            }
            said = "; ".join(f"{name} ({details.get(name, 'not there')})" for name in lacking)
            raise StackError(
                f"not ready after {time.monotonic() - began:.0f} s: {said};"
                f" see make logs S={next(iter(lacking))}",
                UNREACHABLE,
            )
        time.sleep(POLL_SECONDS)
