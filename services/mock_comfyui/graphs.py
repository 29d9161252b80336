"""A client's graph: the known node types, its validation, the nodes that run and their order."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Graph = dict[str, Any]
Mistake = dict[str, Any]
# Of a real server 0.28: inputs and outputs by node type, with one model of each kind.
NODES: dict[str, Any] = json.loads(
    (Path(__file__).parent / "catalogue.json").read_text(encoding="utf-8")
)
# A real traceback names the server's own files; clients must not pass it on.
SERVER_FILE = "/opt/ComfyUI/execution.py"
# An answer must not grow with the input.
_MOST_REPORTED = 100
_CRASHES = (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError)
_TEXTS = ("text", "prompt", "string")


class NoGraph(Exception):
    """The body holds something other than nodes, such as a graph in the editor's format."""


@dataclass(slots=True)
class Validation:
    """The result. `error` if nothing runs; `node_errors` may accompany good outputs."""

    error: Mistake | None = None
    outputs: list[str] = field(default_factory=list)
    node_errors: dict[str, Any] = field(default_factory=dict)


def mistake(kind: str, message: str, details: str, **extra: Any) -> Mistake:
    return {"type": kind, "message": message, "details": details, "extra_info": extra}


def validate(graph: Graph) -> Validation:
    """Check types, required inputs and links as the real server does, but no values: one good
    output is enough, the others are skipped."""
    for node_id, node in graph.items():
        if not isinstance(node, dict):
            raise NoGraph
        kind = node.get("class_type")
        if not isinstance(kind, str) or kind not in NODES:
            message = f"Node '{kind}' not found. The custom node may not be installed."
            unknown = {"node_id": node_id, "class_type": kind, "node_title": kind}
            details = f"Node ID '#{node_id}'"
            return Validation(mistake("missing_node_type", message, details, **unknown))
    outputs = [key for key, node in graph.items() if NODES[node["class_type"]]["output_node"]]
    if not outputs:
        return Validation(mistake("prompt_no_outputs", "Prompt has no outputs", ""))
    validation, check = Validation(), _Check(graph)
    bad: list[str] = []
    for output in outputs:
        (validation.outputs if check.is_good(output) else bad).append(output)
    for output in bad[:_MOST_REPORTED]:
        # Except those that are bad only because of others above them.
        for node_id in filter(check.found.get, needed(graph, [output])):
            blamed = {
                "errors": check.found[node_id],
                "dependent_outputs": [],
                "class_type": graph[node_id]["class_type"],
            }
            node_error = validation.node_errors.setdefault(node_id, blamed)
            node_error["dependent_outputs"].append(output)
    if not validation.outputs:
        failed = "Prompt outputs failed validation"
        validation.error = mistake("prompt_outputs_failed_validation", failed, "")
    return validation


class _Check:
    """The checked nodes: whether each is good, and what is wrong with it."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._good: dict[str, bool] = {}
        self.found: dict[str, list[Mistake]] = {}

    def is_good(self, output: str) -> bool:
        try:
            return self._node(output, ())
        except _CRASHES as error:
            what = "Exception when validating node"
            crash = mistake("exception_during_validation", what, str(error))
            self._good[output], self.found[output] = False, [crash]
            return False

    def _node(self, node_id: str, above: tuple[str, ...]) -> bool:
        if node_id in self._good:
            return self._good[node_id]
        if node_id in above:
            raise ValueError("Dependency cycle detected")
        node = self._graph[node_id]
        inputs = node["inputs"]
        required = NODES[node["class_type"]]["input"].get("required", {})
        self.found[node_id] = [
            mistake("required_input_missing", "Required input is missing", name, input_name=name)
            for name in required
            if name not in inputs
        ]
        good = not self.found[node_id]
        for source, slot in _links(self._graph, node_id):
            # It raises if there is no such node, or no such output of it.
            NODES[self._graph[source]["class_type"]]["output"][slot]
            good &= self._node(source, (*above, node_id))
        self._good[node_id] = good
        return good


def _links(graph: Graph, node_id: str) -> Iterator[list[Any]]:
    """Yield the links that the node's type declares; other lists of a valid node are no links."""
    inputs, groups = graph[node_id].get("inputs", {}), NODES[graph[node_id]["class_type"]]["input"]
    for group in ("required", "optional"):
        for name in groups.get(group, {}):
            if isinstance(inputs.get(name), list):
                yield inputs[name]


def needed(graph: Graph, outputs: list[str]) -> list[str]:
    """Return the outputs and all existing nodes that they link to, sources first."""
    order: dict[str, None] = {}
    seen: set[str] = set()
    for output in outputs:
        stack = [(output, _sources(graph, output))]
        while stack:
            node_id, sources = stack[-1]
            seen.add(node_id)
            source = next((source for source in sources if source not in seen), None)
            if source is None:
                order[node_id] = None
                stack.pop()
            else:
                stack.append((source, _sources(graph, source)))
    return list(order)


def _sources(graph: Graph, node_id: str) -> Iterator[str]:
    inputs = graph[node_id].get("inputs")
    links = _links(graph, node_id) if isinstance(inputs, dict) else iter(())
    return (link[0] for link in links if link and isinstance(link[0], str) and link[0] in graph)


def text_of(graph: Graph, order: list[str]) -> str:
    """Return the text that stands for the prompt: every encoded text that is not a `negative` one,
    else the file prefix."""
    links = [graph[node_id].get("inputs", {}).get("negative") for node_id in order]
    negative = [link[0] for link in links if isinstance(link, list) and link]
    inputs = [graph[node_id].get("inputs", {}) for node_id in order if node_id not in negative]
    for names in (_TEXTS, ("filename_prefix",)):
        found = [it[name] for it in inputs for name in names if isinstance(it.get(name), str)]
        if any(found):
            return "\n".join(part for part in found if part)[:2500]
    return ""


def size_of(graph: Graph, node_id: str) -> tuple[int, int]:
    """Return width and height from the nearest node above that gives them, or zeros."""
    above = [graph[key].get("inputs", {}) for key in reversed(needed(graph, [node_id]))]
    sizes = ((it.get("width"), it.get("height")) for it in above)
    return next((pair for pair in sizes if all(map(is_number, pair))), (0, 0))


def is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
