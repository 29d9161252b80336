"""`make slot-free`: an operator's way out of a drain that cannot end."""

from collections.abc import Mapping
from urllib.parse import quote

from compose.stack.asking import api
from compose.stack.errors import StackError
from compose.stack.output import say
from compose.stack.settings.load import Settings

DEFAULT_NAME = "job"


def free(settings: Settings, environ: Mapping[str, str]) -> None:
    """Give up the drain of the run RUN at the slot NAME; its place is free at once."""
    name, run_id = environ.get("NAME") or DEFAULT_NAME, environ.get("RUN")
    if not run_id:
        raise StackError("make slot-free needs RUN=, a run_id that GET /slots shows as draining")
    view = api(settings, f"/slots/{quote(name, safe='')}/free", {"run_id": run_id})
    held, waiting = len(view["holders"]), view["waiting_count"]
    say(f"its place at {name} is free; held now: {held} of {view['limit']}, waiting: {waiting}")
