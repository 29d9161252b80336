"""What a status call tells of a generation: the truth, as the fault plan has bent it."""

from dataclasses import dataclass

from services.mock_core.faults.plan import Hit
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
            _bend_running(view, generation, hit, percent=percent)
        elif generation.state is State.SUCCEEDED:
            _bend_success(view, hit, age=now - generation.run_from - generation.run_for)
    return view


def _bend_running(view: View, generation: Generation, hit: Hit, *, percent: int) -> None:
    match hit.do:
        case "backwards" if percent >= hit.params.at and generation.regressed < hit.params.polls:
            generation.regressed += 1
            view.state, view.percent = State.QUEUED, hit.params.to
        case "freeze":
            view.percent = min(percent, hit.params.at)
        case "absurd":
            view.percent = hit.params.percent
        case "unknown-state":
            view.word = hit.params.word


def _bend_success(view: View, hit: Hit, *, age: float) -> None:
    """`age`: nominal seconds since it was due to end."""
    match hit.do:
        case "no-url" if hit.params.seconds is None or age < hit.params.seconds:
            view.file_name = None
        case "relapse":
            view.state, view.error, view.file_name = State.FAILED, hit.params.message, None
