"""New code must not stop what is open, which is replayed by it before anything is replaced."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from compose.stack import sources
from compose.stack.errors import UNREACHABLE, VERDICT, StackError
from compose.stack.modes.stack import Askable
from compose.stack.output import say
from compose.stack.services import SEMAPHORE, WORKER, Service
from compose.stack.settings import saved
from compose.stack.settings.load import Settings
from compose.stack.subprocesses import Outcome

# Of what the runs' code is made; another version of the SDK is another code, too.
_MADE_OF = ("requirements/services.txt", "shared", "services/worker", "services/semaphore")
_KINDS = {WORKER: "open jobs", SEMAPHORE: "open semaphores"}
_ADVICE = {
    WORKER: "let the jobs end with the code that they run by, or `make up FORCE=1` and they stand"
    " still until they are terminated",
    SEMAPHORE: "`make up FORCE=1` has such a semaphore rebuilt from Temporal",
}
_NOTE = "replayed"
PATIENCE = 300.0
_REASON = 160


def code(settings: Settings) -> str:
    """The digest of the code by which jobs and semaphores are run."""
    return sources.digest(settings.root, _MADE_OF)


def note(settings: Settings) -> None:
    """What is open is run by the present code from now on."""
    saved.note_checked(settings.run_dir, _NOTE, code(settings))


def check(settings: Settings, stack: Askable, *, running: bool) -> None:
    """Return where all that is open replays by the present code; silently where it ran by it.

    StackError, in one line, where something doesn't. The server is started where there is none,
    for it may hold what was open when the stack went down.
    """
    if saved.checked(settings.run_dir, _NOTE) == code(settings):
        return
    if settings.own_temporal and not running:
        if not (settings.data_dir / "temporal" / "temporal.db").exists():
            return
        stack.serve()
    stack.prepare()
    with ThreadPoolExecutor() as pool:
        asked = {
            service: pool.submit(
                stack.ask, service, f"{service.module}.replay_open", timeout=PATIENCE
            )
            for service in settings.parts
            if service in _KINDS
        }
    _refuse_failing({service: answer.result() for service, answer in asked.items()})


def _refuse_failing(outcomes: Mapping[Service, Outcome]) -> None:
    if any(outcome.status == UNREACHABLE for outcome in outcomes.values()):
        say("Temporal does not answer: what is open there was not replayed")
        return
    found = {service: _found(outcome) for service, outcome in outcomes.items()}
    failing = [service for service, said in found.items() if said["failures"]]
    if failing:
        what = " and ".join(_what(service, found[service]) for service in failing)
        advice = "; ".join(_ADVICE[service] for service in failing)
        raise StackError(
            f"this code does not replay {what}: nothing was replaced; {advice}", VERDICT
        )


def _found(outcome: Outcome) -> dict[str, Any]:
    """What the program printed last; one that can't be run would not run in a service either."""
    if (found := outcome.found) is not None:
        return found
    raise StackError(
        f"this code can't replay what is open ({outcome.last_line}): nothing was replaced;"
        " `make up FORCE=1` replaces it all the same",
        VERDICT,
    )


def _what(service: Service, said: Mapping[str, Any]) -> str:
    """`2 of 14 open jobs (job-…: why)`; where not all were replayed, of how many."""
    failures: dict[str, str] = said["failures"]
    first, why = next(iter(failures.items()))
    some = "" if said["replayed"] == said["open"] else f"the {said['replayed']} replayed of "
    reason = " ".join(why.split())[:_REASON]
    return f"{len(failures)} of {some}{said['open']} {_KINDS[service]} ({first}: {reason})"
