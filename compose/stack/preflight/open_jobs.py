"""Other vendors know nothing of what those before have accepted: open jobs would pay again."""

from collections.abc import Iterable

from compose.stack.asking import api
from compose.stack.errors import VERDICT, StackError
from compose.stack.modes.stack import Unit
from compose.stack.output import complain
from compose.stack.services import IMAGE, VIDEO
from compose.stack.settings import saved
from compose.stack.settings.load import Settings

_MOCKS = {IMAGE.name, VIDEO.name}
# So many at work are counted.
_MOST = 100
_NEXT = {
    False: "their next generations would be real and paid",
    True: "their next generations would come from the mocks",
}


def check(settings: Settings, units: Iterable[Unit], *, force: bool) -> None:
    """Return where the vendors stay what they are, or no job is open; StackError, in one line,
    where jobs are, or nobody tells. `units`: what runs now. With `force` it is said, and goes on.
    """
    running = {unit.service for unit in units}
    # Where the mocks are another machine's, none of them runs here.
    mocks = bool(running & _MOCKS) or saved.read(settings.run_dir).mocks
    if not running or mocks is settings.mocks:
        return
    reason = _reason(settings)
    if reason and not force:
        raise StackError(
            f"{reason}. So nothing was changed: let them end, or cancel them; FORCE=1 goes on all"
            " the same",
            VERDICT,
        )
    if reason:
        complain(f"{reason}; FORCE=1 goes on")


def _reason(settings: Settings) -> str:
    try:
        # By its record, which says at once that a job has ended.
        working = len(api(settings, f"/jobs?status=running&limit={_MOST}")["jobs"])
        waiting = api(settings, "/slots")["waiting_count"]
    except StackError as error:
        return f"how many jobs are open isn't known: {error}"
    if not working + waiting:
        return ""
    before = "the vendors" if settings.mocks else "the mocks"
    jobs = "1 job is" if working + waiting == 1 else f"{working + waiting} jobs are"
    return (
        f"{jobs} open ({working} at work, {waiting} waiting): {_NEXT[settings.mocks]}, and what"
        f" {before} had accepted would count as lost"
    )
