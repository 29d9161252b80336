"""Looks after the records of the running stack; the work is done where the API runs."""

from compose.stack import stack
from compose.stack.errors import UNREACHABLE, StackError
from compose.stack.services import API
from compose.stack.settings import Settings

REBUILD = "services.api.repair.rebuild"


def rebuild(settings: Settings) -> int:
    """Restore every record from Temporal; returns the program's exit status."""
    if not settings.running:
        raise StackError("the stack is not running; make up, then make state-rebuild", UNREACHABLE)
    return stack.runner(settings).within(API, REBUILD)
