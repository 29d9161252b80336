"""The race of a video's callback and its poll: whichever comes first wins, the vendor decides."""

from collections.abc import Container

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from services.worker.deterministic import stages
    from services.worker.deterministic.cancellation import Cancellation, drop, to_its_end
    from services.worker.models import Stored, VideoWatch


async def collected(watch: VideoWatch, told: Container[str], cancellation: Cancellation) -> Stored:
    """The stored video; `told` are the ids of the attempts that a callback has told of."""
    stored = await _waited(watch, told, cancellation)
    if stored is not None:
        return stored
    cancellation.check()
    stored = await _fetched(watch)
    cancellation.check()
    if stored is not None:
        return stored
    hinted = watch.model_copy(update={"hinted": True})
    stored = await cancellation.finish(stages.start_collect(hinted))
    if stored is None:
        raise RuntimeError("the hinted form stores the video, or fails")
    return stored


async def _waited(
    watch: VideoWatch, told: Container[str], cancellation: Cancellation
) -> Stored | None:
    """Until poll or callback say that the video has ended; a poll of an earlier release has stored
    it as well."""
    task = watch.order.external_id
    polling = stages.start_collect(watch)
    await cancellation.until_any(lambda: polling.done() or task in told)
    if polling.done() or task not in told:
        return await cancellation.finish(polling)
    await drop(polling)
    return None


async def _fetched(watch: VideoWatch) -> Stored | None:
    """What has ended, where it can be had at once."""
    try:
        return await to_its_end(stages.start_fetch(watch))
    except ActivityError:
        workflow.logger.exception("the video could not be fetched at once")
        return None
