"""The race of a video's callback and its poll: whichever comes first wins, the vendor decides."""

from collections.abc import Container

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from services.worker.deterministic import stages
    from services.worker.deterministic.cancellation import Cancellation, drop
    from services.worker.models import Stored, VideoWatch


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
    stored = await _fetched(watch)
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


async def _fetched(watch: VideoWatch) -> Stored | None:
    """What has ended, where it can be had at once."""
    try:
        return await stages.fetch(watch)
    except stages.LocalFailed as failure:
        workflow.logger.warning("the video could not be fetched at once: %s", failure)
        return None
