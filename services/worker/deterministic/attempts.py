"""What follows a failed attempt: another one, or the stage's failure; each is noted."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from services.worker.deterministic.cancellation import Cancellation, StageFailed
    from services.worker.deterministic.journal import Journal
    from services.worker.policies import ATTEMPT_BACKOFF, ATTEMPT_CODES
    from shared.errors import RefusedForGood
    from shared.failures import MAX_ATTEMPTS
    from shared.jobs.states import Step


async def after_failure(
    journal: Journal,
    failure: StageFailed,
    cancellation: Cancellation,
    *,
    step: Step,
    number: int,
) -> None:
    """Return when another attempt is due; raise the failure when the stage has failed."""
    if failure.code == RefusedForGood.code:
        await journal.change(
            f"{step} refused: {failure.message} ({failure.code}; not asked again)",
            attempts=journal.state.attempts_with(step, number - 1),
        )
    if failure.code not in ATTEMPT_CODES or number == MAX_ATTEMPTS:
        raise failure
    follows = f"attempt {number + 1} of {MAX_ATTEMPTS} follows"
    await journal.change(
        f"{step}, attempt {number} failed: {failure.message} ({failure.code}; {follows})"
    )
    await cancellation.sleep(ATTEMPT_BACKOFF * number, f"the pause before {step} {number + 1}")
