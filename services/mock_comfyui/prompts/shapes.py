"""How large, and how many, the pictures are that a node of a graph gets."""

from dataclasses import dataclass
from typing import Any

from services.mock_comfyui.prompts.execution import links_of
from services.mock_comfyui.prompts.validation import Graph, Nodes

# More are made of one batch by nobody who wants to see a mock.
_MOST = 64


@dataclass(frozen=True, slots=True)
class Shape:
    """A size of 0 stands for one that the graph doesn't say."""

    size: tuple[int, int] = (0, 0)
    batch: int = 1


def shape_of(graph: Graph, node_id: str, nodes: Nodes) -> Shape:
    """By the nearest nodes above that say width and height, and a batch."""
    width, height, batch = 0, 0, 0
    ahead, seen = [node_id], {node_id}
    while ahead and not (width and batch):
        here = ahead.pop(0)
        inputs = graph[here].get("inputs", {})
        if not width and _is_number(inputs.get("width")) and _is_number(inputs.get("height")):
            width, height = int(inputs["width"]), int(inputs["height"])
        if not batch and _is_number(inputs.get("batch_size")):
            batch = int(inputs["batch_size"])
        for link in links_of(graph, here, nodes):
            if link not in seen:
                seen.add(link)
                ahead.append(link)
    return Shape((width, height), min(max(batch, 1), _MOST))


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
