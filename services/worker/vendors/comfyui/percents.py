"""The percent of a run, by the server's WebSocket. It is only shown, because the socket may fall
silent."""

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

log = structlog.get_logger(__name__)

# A socket is kept for this long after the last question for the percent.
KEPT_SECONDS = 60.0
# A second socket under the same id gets the first one's frames, so a reconnect waits.
PAUSE_SECONDS = 5.0
OPEN_SECONDS = 5.0
# Some frames are preview pictures; they are read, so that the server never waits for us.
MAX_FRAME_BYTES = 4 * 1024 * 1024
MOST_WAITING = 2
# Far beyond what a graph's progress takes.
MAX_TEXT = 1024 * 1024
MOST_MEMBERS = 50_000
# Only the server's status says 100.
MOST = 99
# What invalid frames raise.
_STRANGE = (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError)


class Percents:
    """One socket for each watched prompt, with the prompt id as client id."""

    def __init__(
        self,
        base: str,
        weights: Mapping[str, int],
        headers: Mapping[str, str],
        *,
        proxy: str | None = None,
    ) -> None:
        self._address = f"ws{base.removeprefix('http').rstrip('/')}/ws?clientId="
        self._weights = weights
        self._headers = headers
        self._proxy = proxy
        self._listeners: dict[str, _Listener] = {}

    def of(self, prompt_id: str) -> int:
        """Return the last percent; the first call opens the socket."""
        listener = self._listeners.get(prompt_id)
        if listener is None or listener.is_over:
            progress = Progress(prompt_id, self._weights)
            address = f"{self._address}{prompt_id}"
            listener = _Listener(address, progress, headers=self._headers, proxy=self._proxy)
            self._listeners[prompt_id] = listener
        listener.asked_at = time.monotonic()
        return listener.progress.percent

    def forget(self, prompt_id: str) -> None:
        listener = self._listeners.pop(prompt_id, None)
        if listener is not None:
            listener.task.cancel()

    async def aclose(self) -> None:
        tasks = [listener.task for listener in self._listeners.values()]
        self._listeners.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class NoRedirects(connect):
    """A connection that follows no redirect, so that our headers go to their own server only."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Progress:
    """The share of a graph's work that is done, by the frames of one prompt."""

    def __init__(self, prompt_id: str, weights: Mapping[str, int]) -> None:
        self._prompt_id = prompt_id
        self._weights = weights
        self._shares: dict[str, float] = {}

    @property
    def percent(self) -> int:
        done = sum(self._weights[node] * share for node, share in self._shares.items())
        return min(MOST, int(100 * done / sum(self._weights.values())))

    def read(self, frame: str | bytes) -> None:
        """Take in a frame; ignore pictures, invalid frames, and those of other prompts."""
        if isinstance(frame, bytes) or len(frame) > MAX_TEXT or frame.count(",") > MOST_MEMBERS:
            return
        with suppress(*_STRANGE):
            message = json.loads(frame)
            data = message["data"]
            if data.get("prompt_id") == self._prompt_id:
                self._take(message["type"], data)

    def _take(self, kind: str, data: Mapping[str, Any]) -> None:
        match kind:
            case "execution_cached":
                for node in data["nodes"]:
                    self._note(node, 1, 1)
            case "progress_state":
                for node, at in data["nodes"].items():
                    self._note(node, at["value"], at["max"])
            case "progress":
                self._note(data["node"], data["value"], data["max"])

    def _note(self, node: str, value: float, most: float) -> None:
        if node in self._weights and most > 0:
            self._shares[node] = min(1.0, max(0.0, value / most))


class _Listener:
    """Listens while the percent is asked for, and reconnects when the socket closes."""

    def __init__(
        self, address: str, progress: Progress, *, headers: Mapping[str, str], proxy: str | None
    ) -> None:
        self.progress = progress
        self.asked_at = time.monotonic()
        self._address = address
        self._headers = headers
        self._proxy = proxy
        self.task = asyncio.create_task(self._listen())

    @property
    def is_over(self) -> bool:
        return self.task.done()

    @property
    def _left(self) -> float:
        return self.asked_at + KEPT_SECONDS - time.monotonic()

    async def _listen(self) -> None:
        while self._left > 0:
            try:
                async with NoRedirects(
                    self._address,
                    additional_headers=self._headers,
                    open_timeout=OPEN_SECONDS,
                    max_size=MAX_FRAME_BYTES,
                    max_queue=MOST_WAITING,
                    compression=None,
                    ping_interval=None,
                    proxy=self._proxy,
                ) as socket:
                    await self._read(socket)
            except (OSError, WebSocketException, TimeoutError) as error:
                log.debug("the ComfyUI's socket", reason=repr(error))
            await asyncio.sleep(PAUSE_SECONDS)

    async def _read(self, socket: ClientConnection) -> None:
        while self._left > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(self._left, 0.0)):
                    frame = await socket.recv()
                self.progress.read(frame)
