"""Permits as tests make them, and runs that ask for one."""

from copy import copy
from datetime import UTC, datetime, timedelta

from services.semaphore.deterministic.permits import Permits
from services.semaphore.models import SemaphoreState
from services.worker.models import Order
from shared.jobs.messages import JobInput
from shared.jobs.states import Step
from shared.slot.messages import Acquire, Gate, Permit, SemaphoreSettings, SlotRequest

START = datetime(2026, 1, 1, tzinfo=UTC)
# The longest that a stand-in may hold.
HOLDS_SECONDS = 3600.0


def request(number: int, *, priority: int = 3) -> SlotRequest:
    return SlotRequest(
        job_id=f"job-{number}",
        run_id=f"run-{number}",
        priority=priority,
        requested_at=START + timedelta(seconds=number),
    )


def new_permits(*, limit: int = 1, waiting: int = 0) -> Permits:
    state = SemaphoreState(settings=SemaphoreSettings(limit=limit), next_token=100)
    made = Permits(state)
    for number in range(waiting):
        made.request(request(number))
    return made


def ask(number: int, *, tries: int = 1) -> Acquire:
    return Acquire(request=request(number), fence=(0, 1, tries), holds_seconds=60)


def asked(made: Permits, *numbers: int) -> list[Acquire]:
    asks = [ask(number) for number in numbers]
    for each in asks:
        made.ask(each)
    return asks


def settle(made: Permits) -> list[Permit]:
    """All that the semaphore would hand out now."""
    permits = []
    while made.has_next():
        permits.append(made.next_permit(START))
    return permits


def told(made: Permits) -> list[str]:
    return [run.run_id for run in made.to_tell()]


def has_to_tell(made: Permits) -> bool:
    """Whether anybody would be told now; nothing is noted."""
    return bool(copy(made).to_tell())


def order(request: SlotRequest, job: JobInput, *, gates: tuple[Gate, ...] = ()) -> Order:
    """What an activity that asks is told of its run."""
    return Order(
        request=request,
        step=Step.IMAGE,
        attempt=1,
        job=job,
        deadline_seconds=60,
        give_up_seconds=60,
        holds_seconds=HOLDS_SECONDS,
        gates=gates,
    )
