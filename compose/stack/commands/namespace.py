"""`make namespace`: has the namespace and our search attributes made, or tells who can't how."""

from collections.abc import Mapping

from compose.stack.errors import UNREACHABLE, USAGE, VERDICT, StackError
from compose.stack.modes import choice
from compose.stack.output import say, shown
from compose.stack.preflight import namespace
from compose.stack.settings.checks import is_whole
from compose.stack.settings.load import Settings

MOST_DAYS = 3650


def prepare(settings: Settings, environ: Mapping[str, str]) -> None:
    """Make what is missing; StackError with the commands that do where we may not.

    A new namespace keeps closed jobs for DAYS days.
    """
    days = _days(environ.get("DAYS", ""))
    if settings.own_temporal and not settings.running:
        raise StackError("no TEMPORAL_ADDRESS: a server of ours has all it needs by make up")
    stack = choice.chosen(settings) if settings.running else choice.prepared(settings)
    found = namespace.look(settings, stack, "make", days)
    for each in found.done:
        say(f"made: {each}")
    if found.wrong:
        status = UNREACHABLE if found.away else VERDICT
        raise StackError(f"{found.wrong}{namespace.mending(found)}", status)
    say(f"all that is needed is there, at {namespace.address(settings)}")


def _days(given: str) -> int:
    if not given:
        return namespace.USUAL_DAYS
    if is_whole(given) and 1 <= int(given) <= MOST_DAYS:
        return int(given)
    raise StackError(f"DAYS={shown(given)} is not a whole number from 1 to {MOST_DAYS}", USAGE)
