"""The event sockets, and what they send during a prompt's run, in the order of a real server."""

import asyncio
import contextlib
import json
import time
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from services.mock_comfyui.prompts.tasks import Output, Task
from services.mock_comfyui.prompts.validation import SERVER_FILE
from services.mock_core.clock import milliseconds

Message = dict[str, Any]


class Listener:
    """One open socket."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self.dropped = asyncio.Event()

    async def send(self, message: str) -> None:
        """Send a frame; wait while the other side doesn't read."""
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await self._socket.send_text(message)

    async def close(self) -> None:
        if self._socket.application_state is WebSocketState.CONNECTED:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                await self._socket.close(1001)


class Hub:
    """The sockets by client id.

    A second socket with the same id replaces the first; either one removes the entry when it
    closes. So both get no more frames once one of them has closed.
    """

    def __init__(self) -> None:
        self._places: dict[str, Listener] = {}
        self._open: set[Listener] = set()
        self._sending: asyncio.Task[None] | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._stolen = False

    def start(self) -> None:
        """Begin to send; earlier frames are lost."""
        self.stop()
        self._frames: asyncio.Queue[tuple[list[Listener], str]] = asyncio.Queue()
        self._sending = asyncio.get_running_loop().create_task(self._send_all())

    def stop(self) -> None:
        if self._sending is not None:
            self._sending.cancel()

    def behave(self, mode: str) -> None:
        """`stalled`: send nothing until it is `live` again; `stolen`: remove all entries."""
        self._stolen = mode == "stolen"
        if self._stolen:
            self._places.clear()
        if mode == "stalled":
            self._flowing.clear()
        else:
            self._flowing.set()

    def add(self, client_id: str, listener: Listener) -> None:
        if not self._stolen:
            self._places[client_id] = listener
        self._open.add(listener)

    def remove(self, client_id: str, listener: Listener) -> None:
        self._open.discard(listener)
        self._places.pop(client_id, None)

    def send(self, client_id: str | None, kind: str, data: Message) -> None:
        """Send to the socket of this client, if it has one; without a client id, to all."""
        listeners = [it for name, it in self._places.items() if client_id in (None, name)]
        if listeners:
            self._frames.put_nowait((listeners, encode(kind, data)))

    def drop_all(self) -> None:
        """Cut every connection, as a vendor that restarts does."""
        for listener in self._open:
            listener.dropped.set()
        self._places.clear()

    async def _send_all(self) -> None:
        """Send one after another, so that a socket that doesn't read delays all others."""
        while True:
            listeners, frame = await self._frames.get()
            await self._flowing.wait()
            for listener in listeners:
                if listener in self._open:
                    await listener.send(frame)


def encode(kind: str, data: Message) -> str:
    return json.dumps({"type": kind, "data": data}, ensure_ascii=True)


class RunEvents:
    """The events of one run. Without a client id all sockets get them, with less detail."""

    def __init__(self, hub: Hub, task: Task) -> None:
        self._hub = hub
        self._task = task

    def begin(self) -> None:
        self._record("execution_start")
        self._record("execution_cached", before={"nodes": list(self._task.work.cached)})
        for node_id, output in self._task.work.results.items():
            if node_id in self._task.outputs:
                self._send_executed(node_id, output)
                self._task.progress[node_id] = (1, 1)
                self._send_node_states()

    def start_node(self, node_id: str) -> None:
        self._task.current = node_id
        self._task.progress[node_id] = (0.0, 1.0)
        self._send_node_states()
        node = {"node": node_id, "display_node": node_id, "prompt_id": self._task.id}
        self._send("executing", node)

    def step(self, node_id: str, *, value: int, steps: int) -> None:
        """Report a step of a node that takes several."""
        self._task.progress[node_id] = (float(value), float(steps))
        self._send_node_states(running=node_id)
        payload = {"value": value, "max": steps, "prompt_id": self._task.id, "node": node_id}
        self._send("progress", payload, to_all=True)

    def finish_node(self, node_id: str, output: Output | None) -> None:
        self._task.executed.append(node_id)
        if output is not None:
            self._send_executed(node_id, output)
        most = max(self._task.progress[node_id][1], 1.0)
        self._task.progress[node_id] = (most, most)
        self._send_node_states()

    def success(self) -> None:
        self._record("execution_success")

    def interrupted(self) -> None:
        """Send the interruption to all sockets if there is no client, unlike other ends."""
        self._record("execution_interrupted", self._where(), to_all=True)

    def error(self, *, kind: str, message: str) -> None:
        """Send as much detail as the real server does: server paths and a traceback."""
        task, where = self._task, self._where()
        inputs = task.graph[where["node_id"]].get("inputs", {})
        payload = {
            **where,
            "exception_message": message,
            "exception_type": kind,
            "traceback": [f'  File "{SERVER_FILE}", line 518, in execute\n'],
            "current_inputs": {k: [v] for k, v in inputs.items() if not isinstance(v, list)},
            "current_outputs": [*task.work.cached, *task.executed],
        }
        self._record("execution_error", payload)

    def after(self) -> None:
        """Send the last event after every prompt, however it ended."""
        self._send("executing", {"node": None, "prompt_id": self._task.id})

    def _where(self) -> Message:
        task = self._task
        node_id = task.current or task.outputs[0]
        kind = task.graph[node_id]["class_type"]
        return {"node_id": node_id, "node_type": kind, "executed": list(task.executed)}

    def _send_executed(self, node_id: str, output: Output) -> None:
        payload = {"node": node_id, "display_node": node_id, "output": output}
        self._send("executed", {**payload, "prompt_id": self._task.id})

    def _send_node_states(self, *, running: str | None = None) -> None:
        nodes = {
            node_id: {
                "value": value,
                "max": most,
                "state": "running" if node_id == running or value < most else "finished",
                "node_id": node_id,
                "prompt_id": self._task.id,
                "display_node_id": node_id,
                "parent_node_id": None,
                "real_node_id": node_id,
            }
            for node_id, (value, most) in self._task.progress.items()
        }
        payload = {"prompt_id": self._task.id, "nodes": nodes}
        self._send("progress_state", payload, to_all=True)

    def _record(
        self,
        kind: str,
        after: Message | None = None,
        *,
        before: Message | None = None,
        to_all: bool = False,
    ) -> None:
        """Send an event, and add it to the history; `before` comes before the id."""
        stamp = milliseconds(time.time())
        ids = {**(before or {}), "prompt_id": self._task.id}
        payload = {**ids, **(after or {}), "timestamp": stamp}
        self._task.messages.append([kind, payload])
        self._send(kind, payload, to_all=to_all)

    def _send(self, kind: str, data: Message, *, to_all: bool = False) -> None:
        """Send to the client; if the run has none, to all clients only with `to_all`."""
        if to_all or self._task.client_id is not None:
            self._hub.send(self._task.client_id, kind, data)
