"""A job's state as listeners get it, written once for all of them; changes are numbered."""

import secrets
from functools import cached_property

from fastapi.sse import format_sse_event

from shared.messages import Job

# Numbers of changes mean something to the process alone that gave them.
PROCESS = secrets.token_hex(4)
# JSON lets them stand in a string as they are, but some readers of lines end a line at each.
_LINE_ENDS = {end: f"\\u{ord(end):04x}" for end in "\u0085\u2028\u2029"}


class Frame:
    """A job's state, written once for all that get it; `change` numbers the changes of all jobs."""

    def __init__(self, job: Job, change: int = 0) -> None:
        self.job = job
        self.number = change
        self.change = f"{PROCESS}-{change}"

    @cached_property
    def text(self) -> str:
        """The state as JSON, one line for every reader."""
        text = self.job.model_dump_json()
        for end, escaped in _LINE_ENDS.items():
            text = text.replace(end, escaped)
        return text

    @cached_property
    def message(self) -> dict[str, str]:
        """The state as what an application hands to the server for a WebSocket."""
        return {"type": "websocket.send", "text": self.text}

    @cached_property
    def numbered_message(self) -> dict[str, str]:
        """The state among those of all jobs, with what to go on from."""
        text = f'{self.text[:-1]},"change":"{self.change}"}}'
        return {"type": "websocket.send", "text": text}

    @cached_property
    def event(self) -> bytes:
        """The state as a server-sent event, its id the version."""
        return format_sse_event(data_str=self.text, id=str(self.job.version))

    @cached_property
    def numbered_event(self) -> bytes:
        """The state as a server-sent event among those of all jobs."""
        return format_sse_event(data_str=self.text, id=self.change)


def whole_number(text: str | None) -> int | None:
    """A number from outside; None for all that is none."""
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


def change_of(text: str | None) -> int:
    """The change that a frame's `change` names; 0 for none and for one of another process."""
    process, _, number = (text or "").partition("-")
    return (whole_number(number) or 0) if process == PROCESS else 0
