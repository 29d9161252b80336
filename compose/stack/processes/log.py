"""What a process said last before it ended: the reason that its state alone doesn't give."""

import json
import os
from pathlib import Path

TAIL_BYTES = 64 * 1024
_WORDS = ("error", "critical")


def last_error(log: Path) -> str | None:
    """The last line of a log's end that tells of an error, without its JSON; None where none does.

    A log that isn't there or can't be read tells of none.
    """
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return None
    return next(filter(None, map(_error, reversed(lines))), None)


def _error(line: str) -> str | None:
    """What is wrong by this line: a record says so by its level, other text by a word."""
    try:
        record = json.loads(line)
        return str(record["event"]) if record["level"] in _WORDS else None
    except (ValueError, KeyError, TypeError):
        return line.strip() if any(word in line.lower() for word in _WORDS) else None
