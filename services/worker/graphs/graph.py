"""A ComfyUI workflow in API format, read from a file; it is never changed."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Larger than any graph made by hand. The server's answer about a failed job has it three times,
# with up to six bytes for two, and must still fit.
MAX_BYTES = 4 * 1024 * 1024
EXPORT = (
    "it is in the editor's own format; export it for the API: in ComfyUI, Workflow, Export (API); "
    "in older versions, Save (API Format), with the developer options on"
)


class GraphError(ValueError):
    """The workflow can't be used: one line with every mistake."""


@dataclass(frozen=True)
class Node:
    """One node: its inputs are values, or links to the output of another node."""

    id: str
    kind: str
    title: str
    inputs: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.id} ({self.title or self.kind})"

    def link(self, name: str) -> str | None:
        """Return the id of the node that an input is linked to."""
        return source_of(self.inputs.get(name))

    def value(self, name: str) -> Any:
        """Return an input's value; None if it is linked or missing."""
        value = self.inputs.get(name)
        return None if source_of(value) else value


class Graph:
    """The nodes by their ids, and the graph as it is sent."""

    def __init__(self, nodes: Mapping[str, Any]) -> None:
        self.raw = nodes
        self._nodes = {node_id: _node(node_id, node) for node_id, node in nodes.items()}

    def __iter__(self) -> Iterator[Node]:
        return iter(self._nodes.values())

    def __len__(self) -> int:
        return len(self._nodes)

    @property
    def escaped_bytes(self) -> int:
        return len(json.dumps(self.raw))

    def get(self, node_id: str | None) -> Node | None:
        return None if node_id is None else self._nodes.get(node_id)

    def filled(self, values: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
        """Return the graph with other values of some inputs, by node and name."""
        nodes = dict(self.raw)
        for (node_id, name), value in values.items():
            node = nodes[node_id]
            nodes[node_id] = {**node, "inputs": {**node["inputs"], name: value}}
        return nodes


def source_of(value: object) -> str | None:
    """Return the node that a link leads to; None for a value."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
        return value[0]
    return None


def read_graph(path: Path) -> Graph:
    """Read the graph of a file; raise GraphError with what is wrong."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise GraphError(f"it is larger than {MAX_BYTES} bytes")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise GraphError(f"it can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise GraphError("it is not UTF-8 text") from None
    return parse_graph(text)


def parse_graph(text: str) -> Graph:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise GraphError(f"it is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise GraphError("it is not a JSON object")
    if isinstance(found.get("nodes"), list):
        raise GraphError(EXPORT)
    wrong = [
        node_id
        for node_id, node in found.items()
        if not isinstance(node, dict)
        or not isinstance(node.get("class_type"), str)
        or not isinstance(node.get("inputs"), dict)
    ]
    if wrong or not found:
        which = (
            f"without class_type and inputs: {', '.join(wrong[:5])}" if wrong else "none is there"
        )
        raise GraphError(f"it has no nodes in API format ({which})")
    # A server notes `is_changed` in the prompt that it keeps in a picture, and NaN with it.
    nodes = {
        node_id: {name: value for name, value in node.items() if name != "is_changed"}
        for node_id, node in found.items()
    }
    # Python reads more than a request can carry.
    try:
        json.dumps(nodes, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise GraphError(
            "it can't be sent: a text in it contains half of a surrogate pair"
        ) from None
    except (ValueError, RecursionError):
        raise GraphError("it can't be sent: a number in it is NaN or infinite") from None
    return Graph(nodes)


def _node(node_id: str, node: Mapping[str, Any]) -> Node:
    meta = node.get("_meta")
    title = meta.get("title") if isinstance(meta, dict) else None
    return Node(
        node_id, node["class_type"], title if isinstance(title, str) else "", node["inputs"]
    )
