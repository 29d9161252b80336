"""A queued prompt: which nodes of its graph run, in which order, and the pictures it makes."""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from services.mock_comfyui.prompts.validation import Graph, Nodes
from services.mock_core.clock import milliseconds
from services.mock_core.ledger import Generation
from services.mock_core.runner import PlannedRun

Output = dict[str, Any]
_TEXTS = ("text", "prompt", "string")
# Enough for one batch of a mock.
_MOST = 64


@dataclass(slots=True)
class Work:
    """The work of a prompt. `order` has every needed node; `cached` are those that have a result
    already."""

    order: list[str]
    signatures: dict[str, str]
    cached: list[str] = field(default_factory=list)
    # The reported results of cached nodes.
    results: dict[str, Output] = field(default_factory=dict)

    @property
    def to_run(self) -> list[str]:
        return [node_id for node_id in self.order if node_id not in self.cached]


class NodeCache:
    """Results by the values of a node and of all above it; each prompt drops unused ones."""

    def __init__(self) -> None:
        self._results: dict[str, Output | None] = {}

    def plan(
        self, graph: Graph, outputs: list[str], nodes: Nodes, *, changed: Callable[[Graph], str]
    ) -> Work:
        """Return the work that a prompt needs now; `changed` says what else a node's state depends
        on."""
        order = needed(graph, outputs, nodes)
        # A signature has the class, the values, and the signatures of the sources.
        signatures: dict[str, str] = {}
        for node_id in order:
            node = graph[node_id]
            sources = [
                [name, [signatures[value[0]], *value[1:]]]
                if isinstance(value, list) and value and str(value[0]) in signatures
                else [name, value]
                for name, value in sorted(node.get("inputs", {}).items())
            ]
            text = json.dumps([node["class_type"], sources, changed(node)], sort_keys=True)
            digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16)
            signatures[node_id] = digest.hexdigest()
        work = Work(order, signatures)
        used = set(signatures.values())
        self._results = {each: made for each, made in self._results.items() if each in used}
        # In the order of the graph, as the real server reports them.
        for node_id in graph:
            if signatures.get(node_id) in self._results:
                work.cached.append(node_id)
                found = self._results[signatures[node_id]]
                if found is not None:
                    work.results[node_id] = found
        return work

    def keep(self, work: Work, node_id: str, output: Output | None) -> None:
        """Remember a node that has run, whatever happens to the others."""
        self._results[work.signatures[node_id]] = output

    def clear(self) -> None:
        self._results.clear()


def text_of(graph: Graph, order: list[str]) -> str:
    """Return the text that stands for the prompt: every encoded text, else the file prefix."""
    inputs = [graph[node_id].get("inputs", {}) for node_id in order]
    for names in (_TEXTS, ("filename_prefix",)):
        found = [it[name] for it in inputs for name in names if isinstance(it.get(name), str)]
        if any(found):
            return "\n".join(part for part in found if part)[:2500]
    return ""


def needed(graph: Graph, outputs: list[str], nodes: Nodes) -> list[str]:
    """Return the outputs and all that they link to, sources first."""
    order: dict[str, None] = {}
    for output in outputs:
        stack = [(output, _links(graph, output, nodes))]
        while stack:
            node_id, links = stack[-1]
            after = next((link for link in links if link not in order), None)
            if after is None:
                order[node_id] = None
                stack.pop()
            else:
                stack.append((after, _links(graph, after, nodes)))
    return list(order)


def _links(graph: Graph, node_id: str, nodes: Nodes) -> Iterator[str]:
    """Yield the links that the node's type declares; other lists of a valid node are no links."""
    inputs = graph[node_id].get("inputs", {})
    declared = nodes[graph[node_id]["class_type"]].inputs
    return (inputs[name][0] for name in declared if isinstance(inputs.get(name), list))


def shape_of(graph: Graph, node_id: str, nodes: Nodes) -> tuple[tuple[int, int], int]:
    """Return width, height and batch from the nearest nodes above that give them; 0 if the graph
    gives none."""
    above = [graph[key].get("inputs", {}) for key in reversed(needed(graph, [node_id], nodes))]
    sizes = [(it.get("width"), it.get("height")) for it in above]
    size = next((pair for pair in sizes if all(map(_is_number, pair))), (0, 0))
    batch = next((it["batch_size"] for it in above if _is_number(it.get("batch_size"))), 1)
    return size, min(batch, _MOST)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


@dataclass(slots=True, eq=False)
class Task:
    generation: Generation
    number: int
    graph: Graph
    # The output nodes that are to run.
    outputs: list[str]
    extra: dict[str, Any]
    client_id: str | None
    # Whether its extra data has its time of arrival; old servers have none.
    is_dated: bool
    # What the fault plan has decided, once it is queued.
    planned: PlannedRun = field(default_factory=lambda: PlannedRun(0))
    created: int = field(default_factory=lambda: milliseconds(time.time()))
    messages: list[list[Any]] = field(default_factory=list)
    # Decided when it begins, by what is cached then.
    work: Work = field(default_factory=lambda: Work([], {}))
    # Nodes reported so far: node id -> (value, max)
    progress: dict[str, tuple[float, float]] = field(default_factory=dict)
    current: str | None = None
    executed: list[str] = field(default_factory=list)
    # What its output nodes have made so far.
    results: dict[str, Output] = field(default_factory=dict)
    # Takes effect at its next node or step.
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def id(self) -> str:
        return self.generation.id

    @property
    def queue_row(self) -> list[Any]:
        extra = {**self.extra, **({"create_time": self.created} if self.is_dated else {})}
        return [self.number, self.id, self.graph, extra, self.outputs]
