"""What an event of a history says, as the server's JSON has it."""

import base64
import json
from typing import Any

from loadtest.times import instant

Row = dict[str, Any]


def attributes(event: Row) -> Row:
    found = next((body for key, body in event.items() if key.endswith("EventAttributes")), None)
    return found if isinstance(found, dict) else {}


def instant_of(event: Row) -> float:
    at = instant(event.get("eventTime"))
    if at is None:
        raise ValueError("an event without an instant")
    return at


def seconds(text: object) -> float:
    return float(str(text or "0s").removesuffix("s"))


def summary(event: Row) -> str:
    return text_of((event.get("userMetadata") or {}).get("summary")) or ""


def fields(holder: Row | None, name: str) -> Row:
    return (holder or {}).get(name) or {}


def first_of(payloads: Row | None) -> Row:
    """Return the first payload, where it is an object."""
    return mapping_of(next(iter(fields(payloads, "payloads") or ()), None))


def mapping_of(payload: Any) -> Row:
    found = decoded(payload)
    return found if isinstance(found, dict) else {}


def text_of(payload: Row | None) -> str | None:
    found = decoded(payload)
    return found if isinstance(found, str) else None


def decoded(payload: Any) -> Any:
    """Return what a payload says, or None where that is no JSON."""
    if not isinstance(payload, dict) or "data" not in payload:
        return None
    try:
        return json.loads(base64.b64decode(payload["data"]))
    except ValueError:
        return None
