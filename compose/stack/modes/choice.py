"""Which mode the stack runs in: that of the running one, the one asked for, or what works."""

from dataclasses import replace

from compose.stack.errors import UNREACHABLE, StackError
from compose.stack.machine import engine, images
from compose.stack.machine.lock import locked
from compose.stack.modes.docker import Docker
from compose.stack.modes.local import Local
from compose.stack.modes.stack import Stack
from compose.stack.output import say
from compose.stack.private import private_folder
from compose.stack.settings.load import Mode, Settings


def chosen(settings: Settings) -> Docker | Local:
    """The stack in the mode it runs in; where it doesn't run, in the one to start it in."""
    if (settings.running or _mode(settings)) == Mode.DOCKER:
        return Docker(settings)
    return Local(settings)


def prepared(settings: Settings) -> Stack:
    """A stack whose load test can be run, for what needs no running one."""
    private_folder(settings.run_dir)
    with locked(settings.run_dir):
        stack = with_base_image(settings, chosen(settings))
        stack.prepare()
    return stack


def settled(settings: Settings, stack: Stack) -> Settings:
    """The settings with the mode that was found, so that it is neither sought nor told again."""
    return replace(settings, mode=Mode.LOCAL if isinstance(stack, Local) else Mode.DOCKER)


def with_base_image(settings: Settings, stack: Docker | Local) -> Docker | Local:
    """See to the image that all others are built on; where there is none, `auto` does without."""
    if isinstance(stack, Local):
        return stack
    try:
        return Docker(settings, images.base_image(settings))
    except StackError as error:
        if settings.mode is not Mode.AUTO or settings.running:
            raise
        say(f"{error}")
        say("running the services as ordinary processes instead (MODE=local)")
        return Local(settings)


def _mode(settings: Settings) -> str:
    if settings.mode is Mode.LOCAL:
        return Mode.LOCAL
    reason = engine.missing()
    if reason is None:
        return Mode.DOCKER
    if settings.mode is Mode.DOCKER:
        raise StackError(f"MODE=docker: {reason}; MODE=local needs none", UNREACHABLE)
    say(f"{reason}: running the services as ordinary processes (MODE=local)")
    return Mode.LOCAL
