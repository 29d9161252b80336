"""A job's state as listeners get it, written once for all of them; changes are numbered."""

from functools import cached_property

from fastapi.sse import format_sse_event

from shared.jobs.messages import Job

# JSON lets them stand in a string as they are, but some readers of lines end a line at each.
_LINE_ENDS = {end: f"\\u{ord(end):04x}" for end in "\u0085\u2028\u2029"}


class Frame:
    """A job's state, written once for all that get it; `number` counts the changes of all jobs.

    `change` is how listeners are told of it.
    """

    def __init__(self, job: Job, number: int = 0, change: str = "") -> None:
        self.job = job
        self.number = number
        self.change = change

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
