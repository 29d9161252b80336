"""What of a graph runs: the nodes its good outputs need, in order, without what is cached."""

import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from services.mock_comfyui.prompts.validation import Graph, Nodes

Output = dict[str, Any]
_CACHED_NODES = 5_000


@dataclass(slots=True)
class Work:
    """`order` has every node that is needed; `cached` those whose result is there already."""

    graph: Graph
    outputs: list[str]
    order: list[str]
    cached: list[str]
    signatures: dict[str, str]
    results: dict[str, Output]

    @property
    def to_run(self) -> list[str]:
        return [node_id for node_id in self.order if node_id not in self.cached]

    @property
    def text(self) -> str:
        """What stands for the prompt: every text that the graph encodes, else its file prefix."""
        inputs = [self.graph[node_id].get("inputs", {}) for node_id in self.order]
        for names in (("text", "prompt", "string"), ("filename_prefix",)):
            found = [it[name] for it in inputs for name in names if isinstance(it.get(name), str)]
            if any(found):
                return "\n".join(part for part in found if part)[:2500]
        return ""

    def size(self, nodes: Nodes) -> tuple[int, int]:
        """The picture's size as the graph has it; 0 where it doesn't say."""
        for node_id in self.order:
            inputs = self.graph[node_id].get("inputs", {})
            if {"width", "height"} <= nodes[self.graph[node_id]["class_type"]].inputs.keys():
                return int(inputs["width"]), int(inputs["height"])
        return 0, 0


class NodeCache:
    """Results by what a node and all above it say; bounded, the oldest are forgotten."""

    def __init__(self) -> None:
        self._results: OrderedDict[str, Output | None] = OrderedDict()

    def plan(self, graph: Graph, outputs: list[str], nodes: Nodes) -> Work:
        order = needed(graph, outputs, nodes)
        signatures = sign(graph, order, nodes)
        cached = [node_id for node_id in order if signatures[node_id] in self._results]
        results = {
            node_id: found
            for node_id in cached
            if (found := self._results[signatures[node_id]]) is not None
        }
        return Work(graph, outputs, order, cached, signatures, results)

    def keep(self, work: Work) -> None:
        """Remember what ran; work without signatures is never the same again."""
        for node_id in work.signatures:
            self._results[work.signatures[node_id]] = work.results.get(node_id)
            self._results.move_to_end(work.signatures[node_id])
        while len(self._results) > _CACHED_NODES:
            self._results.popitem(last=False)

    def clear(self) -> None:
        self._results.clear()


def needed(graph: Graph, outputs: list[str], nodes: Nodes) -> list[str]:
    """The outputs and all that they link to; what is linked to comes first."""
    order: dict[str, None] = {}
    for output in outputs:
        stack = [(output, iter(_links(graph, output, nodes)))]
        while stack:
            node_id, links = stack[-1]
            after = next((link for link in links if link not in order), None)
            if after is None:
                order[node_id] = None
                stack.pop()
            else:
                stack.append((after, iter(_links(graph, after, nodes))))
    return list(order)


def sign(graph: Graph, order: list[str], nodes: Nodes) -> dict[str, str]:
    """A node's signature holds its class, its values, and the signatures of what it links to."""
    signatures: dict[str, str] = {}
    for node_id in order:
        kind = graph[node_id]["class_type"]
        inputs = graph[node_id].get("inputs", {})
        told = [
            [name, [signatures[inputs[name][0]], inputs[name][1]]]
            if isinstance(inputs[name], list)
            else [name, inputs[name]]
            for name in nodes[kind].inputs
            if name in inputs
        ]
        text = json.dumps([kind, told], sort_keys=True)
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16)
        signatures[node_id] = digest.hexdigest()
    return signatures


def _links(graph: Graph, node_id: str, nodes: Nodes) -> list[str]:
    """Only what the node's type declares counts; a good node's lists are links."""
    inputs = graph[node_id].get("inputs", {})
    declared = nodes[graph[node_id]["class_type"]].inputs
    return [inputs[name][0] for name in declared if isinstance(inputs.get(name), list)]
