"""How instants are written: epoch seconds inside, RFC 3339 UTC with microseconds outside."""

from datetime import UTC, datetime


def rfc3339(epoch_seconds: float | None) -> str | None:
    if epoch_seconds is None:
        return None
    moment = datetime.fromtimestamp(epoch_seconds, UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def milliseconds(epoch_seconds: float) -> int:
    return int(epoch_seconds * 1000)
