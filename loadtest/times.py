"""Instants and durations: every instant inside the load test is seconds since 1970, UTC."""

from datetime import UTC, datetime

# The year 9999 and a day of it for any time zone.
LAST = 253_402_214_400.0


def instant(value: object) -> float | None:
    """Read an instant given as RFC 3339, or as seconds or milliseconds since 1970.

    Returns None for anything else, so that a broken record is a finding and not a crash.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        # Vendors count in milliseconds; in seconds such a number would be past the year 5000.
        return _within(value / 1000 if value > 1e11 else float(value))
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return _within((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


def _within(seconds: float) -> float | None:
    """Return None for what no calendar has."""
    return seconds if 0 <= seconds < LAST else None


def timestamp(at: float | None) -> str:
    """Return an instant as RFC 3339 with milliseconds, or a dash."""
    if at is None:
        return "–"
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def duration(seconds: float | None) -> str:
    """Return a duration for people: three digits that matter and a unit, or a dash."""
    if seconds is None:
        return "–"
    size = abs(seconds)
    if size < 0.0005:
        return "0 ms"
    if size < 0.9995:
        return f"{seconds * 1000:.3g} ms" if size < 0.0995 else f"{seconds * 1000:.0f} ms"
    if size < 99.95:
        return f"{seconds:.3g} s"
    if size < 600:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if abs(minutes) < 120 else f"{seconds / 3600:.3g} h"
