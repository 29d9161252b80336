"""One attempt at a video, and what follows a failed attempt of any stage."""

from collections.abc import Container

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from services.worker.deterministic import stages
    from services.worker.deterministic.cancellation import Cancellation, StageFailed, drop
    from services.worker.deterministic.journal import Journal
    from services.worker.models import Stored, VideoWatch
    from services.worker.policies import ATTEMPT_BACKOFF, ATTEMPT_CODES
    from shared.errors import RefusedForGood
    from shared.failures import MAX_ATTEMPTS


async def collected(
    watch: VideoWatch, called_back: Container[str], cancellation: Cancellation
) -> Stored:
    """The stored video; `called_back`: the ids of the attempts that a callback has told of.

    A poll that lost is not stopped where the video could be fetched: the run closes in this very
    task, and the poll with it, for one event less.
    """
    ours = watch.order.external_id
    polling = stages.start_collect(watch)
    await cancellation.until_any(lambda: polling.handle.done() or ours in called_back)
    if polling.handle.done() or ours not in called_back:
        await cancellation.finish(polling, ours=ours)
    cancellation.check()
    stored = None
    try:
        # What has ended, if it can be had at once.
        stored = await stages.fetch(watch)
    except stages.LocalFailed as failure:
        workflow.logger.warning("the video could not be fetched at once: %s", failure)
    cancellation.check()
    if stored is not None:
        return stored
    if not polling.handle.done():
        await drop(polling)
    hinted = watch.model_copy(update={"hinted": True})
    stored = await cancellation.finish(stages.start_collect(hinted), ours=ours)
    if stored is None:
        raise RuntimeError("the hinted form stores the video, or fails")
    return stored


async def after_failure(
    journal: Journal,
    failure: StageFailed,
    cancellation: Cancellation,
    *,
    step: str,
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
