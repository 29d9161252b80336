"""A job as of its earlier versions, made from its record's transitions."""

from shared.jobs.messages import Job, Record, started_at


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
    return record.job().model_copy(
        update={
            "version": change.version,
            "status": change.status,
            "step": change.step,
            "percent": change.percent,
            "attempts": change.attempts,
            "asset_url": change.asset_url,
            "vendor_position": change.vendor_position,
            "error": change.error,
            "started_at": started_at(past),
            "finished_at": change.at if change.status.ended else None,
        }
    )
