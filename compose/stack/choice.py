"""Choose the mode: that of the running stack, the requested one, or one that works."""

from compose.stack import machine
from compose.stack.docker import Docker, base_image
from compose.stack.files import locked, private_folder
from compose.stack.local import Local
from compose.stack.output import UNREACHABLE, StackError, say
from compose.stack.readiness import Stack
from compose.stack.settings import Mode, Settings


def chosen(settings: Settings) -> Docker | Local:
    """Return the stack in the mode it runs in, or the one to start it in."""
    if (settings.running or _mode(settings)) == Mode.DOCKER:
        return Docker(settings)
    return Local(settings)


def prepared(settings: Settings) -> Stack:
    """Return a stack that can run the load test, for commands that need no running one."""
    private_folder(settings.run_dir)
    with locked(settings.run_dir):
        stack = with_base_image(settings, chosen(settings))
        stack.prepare()
    return stack


def running_or_prepared(settings: Settings) -> Stack:
    """Return the running stack, or what one would be; raise StackError if there can be none."""
    return chosen(settings) if settings.running else prepared(settings)


def settled(settings: Settings, stack: Stack) -> Settings:
    """Return the settings with the chosen mode, so that it is not chosen again."""
    mode = Mode.LOCAL if isinstance(stack, Local) else Mode.DOCKER
    return settings.model_copy(update={"mode": mode})


def with_base_image(settings: Settings, stack: Docker | Local) -> Docker | Local:
    """Provide the base image; without one, `auto` uses processes."""
    if isinstance(stack, Local):
        return stack
    try:
        return Docker(settings, base_image(settings))
    except StackError as error:
        if settings.mode is not Mode.AUTO or settings.running:
            raise
        say(f"{error}")
        say("running the services as processes (MODE=local)")
        return Local(settings)


def _mode(settings: Settings) -> str:
    if settings.mode is Mode.LOCAL:
        return Mode.LOCAL
    reason = machine.missing()
    if reason is None:
        return Mode.DOCKER
    if settings.mode is Mode.DOCKER:
        raise StackError(f"MODE=docker: {reason}; MODE=local needs none", UNREACHABLE)
    say(f"{reason}: running the services as processes (MODE=local)")
    return Mode.LOCAL
