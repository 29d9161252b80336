"""What has ended, as the native wire keeps it; a restart loses it."""

from dataclasses import dataclass
from typing import Any

from services.mock_comfyui.prompts.task import Task
from services.mock_core.ledger.generation import Generation, State

# The real server keeps 10 000; entries hold whole graphs, and the mock has to stay small.
MAX_HISTORY = 2_000
Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kept:
    """`entry` is the body that `/history` tells; `generation` the one that it is about."""

    entry: Entry
    generation: Generation


class History:
    """By prompt id; an id that runs again keeps its place, and has the later end."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}

    def add(self, task: Task) -> None:
        self._kept[task.id] = Kept(entry_of(task), task.generation)
        if len(self._kept) > MAX_HISTORY:
            del self._kept[next(iter(self._kept))]

    def get(self, prompt_id: str) -> Kept | None:
        return self._kept.get(prompt_id)

    def rows(self) -> list[tuple[str, Kept]]:
        """The oldest first."""
        return list(self._kept.items())

    def drop(self, prompt_id: str) -> None:
        self._kept.pop(prompt_id, None)

    def forget(self, generation: Generation) -> None:
        kept = self._kept.get(generation.id)
        if kept is not None and kept.generation is generation:
            del self._kept[generation.id]

    def clear(self) -> None:
        self._kept.clear()


def entry_of(task: Task) -> Entry:
    """Outputs are told however it ended; `completed` alone says that it ended well."""
    good = task.generation.state is State.SUCCEEDED
    return {
        "prompt": task.queue_row,
        "outputs": dict(task.results),
        "status": {
            "status_str": "success" if good else "error",
            "completed": good,
            "messages": task.messages,
        },
        "meta": {node_id: _meta(node_id) for node_id in task.results},
    }


def _meta(node_id: str) -> Entry:
    return {
        "node_id": node_id,
        "display_node": node_id,
        "parent_node": None,
        "real_node_id": node_id,
    }
