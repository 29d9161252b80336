"""What a status call tells of a generation: the truth, as the fault plan has bent it."""

from dataclasses import dataclass

from services.mock_core.faults.kinds import Fault, progress
from services.mock_core.ledger.generation import Generation, State

Percent = int | float | str | None


@dataclass(slots=True)
class View:
    """`word` takes the place of the state's own where a fault wants a state of no table."""

    state: State
    percent: Percent
    error: str | None
    file_name: str | None
    word: str | None = None


def view_of(generation: Generation, now: float) -> View:
    """The answer to one status call; `now` is the vendor's nominal time."""
    percent = generation.percent(now)
    view = View(generation.state, percent, generation.error, generation.file_name)
    for hit in generation.progress_hits:
        if generation.state is State.RUNNING:
            _bend_running(view, generation, hit.fault, percent=percent)
        elif generation.state is State.SUCCEEDED:
            _bend_success(view, hit.fault, age=now - generation.run_from - generation.run_for)
    return view


def ids_of(generation: Generation) -> dict[str, str]:
    """The ids that each answer names: the vendor's, and the caller's if it gave one."""
    ours = generation.external_id
    return {"job_id": generation.id} | ({} if ours is None else {"external_id": ours})


def _bend_running(view: View, generation: Generation, fault: Fault, *, percent: int) -> None:
    match fault:
        case progress.Backwards(at=at, to=to, polls=polls):
            if percent >= at and generation.regressed < polls:
                generation.regressed += 1
                view.state, view.percent = State.QUEUED, to
        case progress.Freeze(at=at):
            view.percent = min(percent, at)
        case progress.Absurd(percent=absurd):
            view.percent = absurd
        case progress.UnknownState(word=word):
            view.word = word


def _bend_success(view: View, fault: Fault, *, age: float) -> None:
    """`age`: nominal seconds since it was due to end."""
    match fault:
        case progress.NoUrl(seconds=seconds):
            if seconds is None or age < seconds:
                view.file_name = None
        case progress.Relapse(message=message):
            view.state, view.error, view.file_name = State.FAILED, message, None
