"""A job as of its earlier versions, made from its record's transitions."""

from shared.messages import Attempts, Job, Record, Transition
from shared.states import Status, Step


def versions_after(record: Record, version: int) -> list[Job]:
    """Each version above `version` that the record knows of, the newest (whole) one last."""
    earlier = [
        _as_of(record, place)
        for place, change in enumerate(record.transitions)
        if version < change.version < record.version
    ]
    return [*earlier, record.job()] if record.version > version else []


def _as_of(record: Record, place: int) -> Job:
    """What the record showed right after its transition number `place`."""
    change = record.transitions[place]
    past = record.transitions[: place + 1]
    started = record.started_at is not None and record.started_at <= change.at
    return record.job().model_copy(
        update={
            "version": change.version,
            "status": change.status,
            "step": change.step,
            "percent": change.percent,
            "attempts": _attempts(past),
            "asset_url": _asset_url(record, past),
            "error": record.error if change.status.ended else None,
            "started_at": record.started_at if started else None,
            "finished_at": change.at if change.status.ended else None,
        }
    )


def _attempts(past: tuple[Transition, ...]) -> Attempts:
    last = {change.step: change.attempt for change in past if change.step is not None}
    return Attempts(image=last.get(Step.IMAGE, 0), video=last.get(Step.VIDEO, 0))


def _asset_url(record: Record, past: tuple[Transition, ...]) -> str | None:
    """The image's address from the moment the image was whole, the video's at the very end."""
    if record.asset_url is None or past[-1].status is Status.SUCCEEDED:
        return record.asset_url
    if any(change.step is Step.IMAGE and change.percent == 100 for change in past):
        return record.asset_url.rpartition("/")[0] + f"/{Step.IMAGE}"
    return None
