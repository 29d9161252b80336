"""Stands before the Temporal UI, which checks no `Host`: only who means us is let through.

`ui_proxy.py LISTEN_HOST PORT UI_HOST UI_PORT SERVER_PID METRICS_PORT`, as long as that process
lives. It runs beside the server and imports nothing of ours. One request a connection: behind its
head, which is checked, bytes are passed on unread, and the UI answers nothing more. The server's
own numbers are at `/metrics`, which the UI has not.
"""

import asyncio
import contextlib
import json
import os
import re
import sys
from asyncio import StreamReader, StreamWriter
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

METRICS = "/metrics"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MOST_BYTES_OF_A_HEAD = 64 * 1024
MOST_CONNECTIONS = 512
HEAD_SECONDS = 10.0
# The UI's own longest wait for news is far shorter.
SILENT_SECONDS = 180.0
WATCH_SECONDS = 0.5
_CHUNK = 64 * 1024
_REQUEST = re.compile(r"([A-Z]+) (/[!-~]*) HTTP/1\.[01]")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([ -~\t\x80-\xff]*)")
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
# Those of one connection, which is not the one to the UI.
_OF_THE_CONNECTION = frozenset({"connection", "keep-alive", "proxy-connection", "upgrade"})


class Refused(Exception):
    """A request that the UI doesn't get to see."""

    def __init__(self, status: HTTPStatus, code: str, detail: str) -> None:
        super().__init__(detail)
        self._status = status
        self._code = code

    def answer(self) -> bytes:
        """The whole response, a problem as every service of the stack tells it."""
        body = json.dumps(
            {
                "type": "about:blank",
                "title": self._status.phrase,
                "status": self._status.value,
                "detail": str(self),
                "code": self._code,
            }
        ).encode()
        head = (
            f"HTTP/1.1 {self._status.value} {self._status.phrase}\r\n"
            "Content-Type: application/problem+json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + body


@dataclass(frozen=True)
class Allowed:
    """By which names we may be asked, and from which origin beside the one that was asked."""

    hosts: frozenset[str]
    public_origin: str

    @classmethod
    def of(cls, public_url: str, further: str) -> "Allowed":
        """From the address that browsers know, and a list of further names with commas."""
        url = urlsplit(public_url.lower())
        listed = (_bracketed(name.strip()) for name in further.lower().split(","))
        names = {_host(url.netloc) or "", *listed}
        return cls(LOOPBACK | (names - {""}), f"{url.scheme}://{url.netloc}")

    def check(self, head: "Head", here: str) -> None:
        """Raise Refused where another name was asked, or another site's page would change things.

        `here` is the address that the connection came in at: a page can't lead its name there and
        have the browser call it by that.
        """
        host = head.only("host")
        if host is None or _host(host) not in self.hosts | {here}:
            raise Refused(
                HTTPStatus.MISDIRECTED_REQUEST,
                "unknown_host",
                "This host is none of ours; ALLOWED_HOSTS adds some.",
            )
        if head.method in SAFE_METHODS or not head.values("origin"):
            return
        origin = head.only("origin")
        if origin not in {f"http://{host}", f"https://{host}", self.public_origin}:
            raise Refused(
                HTTPStatus.FORBIDDEN, "foreign_origin", "Pages of this origin are not let in."
            )


def _host(authority: str) -> str | None:
    """The host of `host:port`; None where it is none."""
    found = _AUTHORITY.fullmatch(authority)
    return None if found is None else found[1]


@dataclass(frozen=True)
class Head:
    """A request's first line and fields, as they came."""

    method: str
    path: str
    lines: tuple[str, ...]
    fields: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, raw: bytes) -> "Head":
        """Of everything up to the empty line; Refused where one reader might see it otherwise."""
        first, *lines = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        request = _REQUEST.fullmatch(first)
        found = [_FIELD.fullmatch(line) for line in lines]
        if request is None or not all(found):
            raise Refused(HTTPStatus.BAD_REQUEST, "bad_request", "This is no request of a browser.")
        fields = tuple((each[1].lower(), each[2].strip()) for each in found if each)
        return cls(request[1], request[2], (first, *lines), fields)

    def values(self, name: str) -> list[str]:
        """Those of every field of this name."""
        return [value for field, value in self.fields if field == name]

    def only(self, name: str) -> str | None:
        """The one value of a name, in small letters; None where there is none or are several."""
        given = self.values(name)
        return given[0].lower() if len(given) == 1 else None

    def onward(self) -> bytes:
        """The same for the UI, which is to close the connection behind its answer."""
        first, *lines = self.lines
        kept = [
            line
            for line, (name, _) in zip(lines, self.fields, strict=True)
            if name not in _OF_THE_CONNECTION
        ]
        return "\r\n".join([first, *kept, "Connection: close", "", ""]).encode("latin-1")


class Proxy:
    """Takes connections for the UI at `ui`, a host and a port, and for `/metrics` elsewhere."""

    def __init__(self, ui: tuple[str, int], allowed: Allowed, metrics: tuple[str, int]) -> None:
        self._ui = ui
        self._metrics = metrics
        self._allowed = allowed
        self._open = 0

    async def serve(self, host: str, port: int) -> asyncio.Server:
        """Listen; OSError where the port is taken."""
        return await asyncio.start_server(self._connected, host, port, limit=MOST_BYTES_OF_A_HEAD)

    async def _connected(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= MOST_CONNECTIONS:
                await self._exchange(reader, writer)
        except Refused as refused:
            writer.write(refused.answer())
        except (OSError, EOFError, asyncio.LimitOverrunError):
            pass
        finally:
            self._open -= 1
            await _closed(writer)

    async def _exchange(self, reader: StreamReader, writer: StreamWriter) -> None:
        async with asyncio.timeout(HEAD_SECONDS):
            head = Head.parse(await reader.readuntil(b"\r\n\r\n"))
        self._allowed.check(head, _bracketed(writer.get_extra_info("sockname")[0]))
        try:
            there = self._metrics if head.path == METRICS else self._ui
            answers, to_ui = await asyncio.open_connection(*there)
        except OSError as error:
            raise Refused(
                HTTPStatus.BAD_GATEWAY, "ui_unavailable", "The Temporal UI does not answer."
            ) from error
        sending = asyncio.ensure_future(_send(head, reader, to_ui))
        try:
            await _pass_on(answers, writer)
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await sending
            await _closed(to_ui)


async def _closed(writer: StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _send(head: Head, reader: StreamReader, to_ui: StreamWriter) -> None:
    """The request, and then that its sender is done or gone."""
    to_ui.write(head.onward())
    await _pass_on(reader, to_ui, silent=None)
    to_ui.write_eof()


async def _pass_on(
    reader: StreamReader, writer: StreamWriter, silent: float | None = SILENT_SECONDS
) -> None:
    """Everything, until it ends; TimeoutError where nothing comes for so long."""
    while chunk := await asyncio.wait_for(reader.read(_CHUNK), silent):
        writer.write(chunk)
        await writer.drain()


def _bracketed(address: str) -> str:
    """As `Host` has it: only there an address with colons is in brackets."""
    return f"[{address}]" if ":" in address and not address.startswith("[") else address


async def _ended(pid: int) -> None:
    """Return when there is no such process any more."""
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        await asyncio.sleep(WATCH_SECONDS)


async def main(arguments: Sequence[str]) -> None:
    """Be the proxy until the server has ended."""
    host, port, ui_host, ui_port, server_pid, metrics_port = arguments
    public_url = os.environ.get("TEMPORAL_UI_URL") or f"http://127.0.0.1:{port}"
    allowed = Allowed.of(public_url, os.environ.get("ALLOWED_HOSTS", ""))
    ui, metrics = (ui_host, int(ui_port)), ("127.0.0.1", int(metrics_port))
    listening = await Proxy(ui, allowed, metrics).serve(host, int(port))
    await _ended(int(server_pid))
    listening.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
