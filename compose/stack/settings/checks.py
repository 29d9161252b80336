"""Checks of single settings; a wrong one is noted, so that all mistakes are found at once."""

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path

from compose.stack.errors import StackError
from compose.stack.output import shown
from shared.texts import spoken

# Never shown, not even when wrong.
_SECRET = frozenset(
    {
        *("API_TOKEN", "CALLBACK_SECRET", "COMFYUI_HEADERS", "PAYLOAD_KEY", "TEMPORAL_API_KEY"),
        *("KLING_API_KEY", "KLING_ACCESS_KEY", "KLING_SECRET_KEY", "VENDOR_PROXY"),
        *("VIDEO_API_OPTIONS", "KLING_WEBHOOK_SECRET", "OPERATOR_KEY", "STORE_KEY", "STORE_SECRET"),
        "OTEL_EXPORTER_OTLP_HEADERS",
    }
)
_URL = re.compile(r"https?://[^\s/]+(/\S*)?")
# What a path of ours can't have: supervisor and Compose take it for something of their own.
_UNCARRIED = re.compile('["%:;#]')


def is_whole(text: str) -> bool:
    """Whether it is a whole number from 0 on, and of no more digits than any of ours."""
    return re.fullmatch(r"[0-9]{1,18}", text) is not None


class Checks:
    """Reads settings one by one and collects what is wrong with them."""

    def __init__(self, values: Mapping[str, str], origins: Mapping[str, str]) -> None:
        self._values = values
        self._origins = origins
        self.wrong: list[str] = []

    def refuse(self, name: str, reason: str) -> None:
        """Note a mistake with the value and where it came from."""
        origin = self._origins.get(name, "default")
        value = "…" if name in _SECRET else shown(self._values.get(name, ""))
        self.wrong.append(f"{name}={value} ({origin}) {reason}")

    def raise_if_wrong(self) -> None:
        """StackError, in one line, with every mistake in the order in which they were noted."""
        if self.wrong:
            # Each by itself, or the words of one could be those of the next.
            raise StackError("wrong settings: " + "; ".join(map(spoken, self.wrong)))

    def whole(self, name: str, default: int, *, most: int) -> int:
        """A whole number from 1 to `most`."""
        raw = self._values.get(name, str(default))
        if is_whole(raw) and 1 <= int(raw) <= most:
            return int(raw)
        self.refuse(name, f"is not a whole number from 1 to {most}")
        return default

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        """One of a few words."""
        raw = self._values.get(name, default)
        if raw in choices:
            return raw
        self.refuse(name, f"is not one of: {', '.join(choices)}")
        return default

    def fits(self, name: str, default: str, pattern: str, *, what: str) -> str:
        """A text that a pattern matches as a whole."""
        raw = self._values.get(name, default)
        if re.fullmatch(pattern, raw):
            return raw
        self.refuse(name, f"is not {what}")
        return default

    def address(self, name: str, default: str) -> str:
        """An IP address of this machine to listen on."""
        raw = self._values.get(name, default)
        try:
            return str(ipaddress.ip_address(raw))
        except ValueError:
            self.refuse(name, "is not an IP address")
            return default

    def files(self, pattern: str) -> None:
        """Every setting of such a name is a file that can be read."""
        for name, path in self._values.items():
            unread = os.path.isdir(path) or not os.access(path, os.R_OK)
            if re.fullmatch(pattern, name) and unread:
                self.refuse(name, "is not a file that can be read")

    def folder(self, name: str, path: Path) -> None:
        """A folder that is there, or that may be made."""
        if _UNCARRIED.search(str(path)):
            self.refuse(name, f"can't be: {shown(str(path))} has a sign of \" % : ; # in it")
        elif not next(
            Path(each) for each in (path, *path.parents) if os.path.exists(each)
        ).is_dir():
            self.refuse(name, "is not a folder")

    def url(self, name: str) -> str | None:
        """An http address that routes are put behind, or None where none was given."""
        raw = self._values.get(name)
        if raw and not _URL.fullmatch(raw):
            self.refuse(name, "is not an http(s) address")
        elif raw and ("?" in raw or "#" in raw):
            # Such a thing is often a key.
            origin = self._origins.get(name, "default")
            self.wrong.append(f"{name} ({origin}) has a query or a fragment: routes go behind it")
        return raw
