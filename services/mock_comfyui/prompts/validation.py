"""Validate a graph as the real server does: one good output is enough, the others are skipped."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from services.mock_comfyui.prompts.nodes import (
    Input,
    Mistake,
    NodeType,
    bad_link,
    converted,
    missing,
    mistake,
    no_such_picture,
    outside,
    types_fit,
    wrong_type,
)

Graph = dict[str, Any]
Nodes = dict[str, NodeType]
# The real server reports all of them; an answer must not grow with the input.
_MOST_REPORTED = 100
# A real traceback names the server's own files; clients must not pass it on.
SERVER_FILE = "/opt/ComfyUI/execution.py"


class NoGraph(Exception):
    """It holds something that is no node, such as a graph in the editor's format."""


@dataclass(slots=True)
class Validation:
    """`error` if nothing runs; `node_errors` may accompany good outputs."""

    error: dict[str, Any] | None = None
    outputs: list[str] = field(default_factory=list)
    node_errors: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rules:
    """What a graph is checked against: node types, and files."""

    nodes: Nodes
    is_there: Callable[[str], bool]
    old: bool = False


def validate(graph: Graph, rules: Rules) -> Validation:
    """Check it, and convert its values in place as the real server does."""
    refused = _refused(graph, rules)
    if refused is not None:
        return Validation(error=refused)
    validation, check = Validation(), _Check(graph, rules)
    reported: list[str] = []
    for node_id in _outputs(graph, rules):
        if check.is_good(node_id):
            validation.outputs.append(node_id)
        elif len(reported) < _MOST_REPORTED:
            reported += [f"{it['message']}: {it['details']}" for it in check.found[node_id][1]]
            _blame(validation, graph, check, output=node_id)
    if not validation.outputs:
        validation.error = mistake(
            "prompt_outputs_failed_validation",
            "Prompt outputs failed validation",
            "\n".join(reported),
        )
    return validation


def _refused(graph: Graph, rules: Rules) -> dict[str, Any] | None:
    for node_id, node in graph.items():
        if not isinstance(node, dict):
            raise NoGraph
        kind = node.get("class_type")
        if not isinstance(kind, str) or kind not in rules.nodes:
            return _unknown_node(node_id, node, old=rules.old)
    if not _outputs(graph, rules):
        return mistake("prompt_no_outputs", "Prompt has no outputs", "")
    return None


def _outputs(graph: Graph, rules: Rules) -> list[str]:
    """Return the output nodes, each of which is checked by itself."""
    return [node_id for node_id, node in graph.items() if rules.nodes[node["class_type"]].is_output]


def _unknown_node(node_id: str, node: dict[str, Any], *, old: bool) -> Mistake:
    kind, details = node.get("class_type"), f"Node ID '#{node_id}'"
    if old:
        what = (
            "a node is missing the class_type property."
            if kind is None
            else f"node {kind} does not exist."
        )
        return mistake("invalid_prompt", f"Cannot execute because {what}", details)
    title = _title(node)
    if kind is None:
        name = title or f"ID #{node_id}"
        what = "has no class_type. The workflow may be corrupted or a custom node is missing."
    else:
        name = title = title or str(kind)
        what = "not found. The custom node may not be installed."
    return mistake(
        "missing_node_type",
        f"Node '{name}' {what}",
        details,
        node_id=node_id,
        class_type=kind,
        node_title=title,
    )


def _title(node: dict[str, Any]) -> str | None:
    meta = node.get("_meta")
    title = meta.get("title") if isinstance(meta, dict) else None
    return title if isinstance(title, str) else None


class _Check:
    """The checked nodes: whether each is good, and what is wrong with it."""

    def __init__(self, graph: Graph, rules: Rules) -> None:
        self._graph = graph
        self._rules = rules
        self.found: dict[str, tuple[bool, list[Mistake]]] = {}

    def is_good(self, output: str) -> bool:
        try:
            return self._node(output, ())
        except _CRASHES as error:
            self.found[output] = (False, [_crash(error)])
            return False

    def _node(self, node_id: str, above: tuple[str, ...]) -> bool:
        """Check a node after all that it links to."""
        if node_id in self.found:
            return self.found[node_id][0]
        if node_id in above:
            self._circle(above[above.index(node_id) :])
            return False
        node = self._graph[node_id]
        inputs = node["inputs"]
        found: list[Mistake] = []
        good = True
        for name, wanted in self._rules.nodes[node["class_type"]].takes(inputs).items():
            if name not in inputs:
                found += [missing(name)] if wanted.required else []
            elif isinstance(inputs[name], list):
                wrong = self._link(name, wanted, inputs[name])
                found += [wrong] if wrong else []
                good &= wrong is not None or self._inner(name, wanted, inputs, (*above, node_id))
            else:
                wrong = self._value(name, wanted, inputs)
                found += [wrong] if wrong else []
        # A node of a cycle has been found from below.
        self.found.setdefault(node_id, (good and not found, found))
        return self.found[node_id][0]

    def _inner(
        self, name: str, wanted: Input, inputs: dict[str, Any], above: tuple[str, ...]
    ) -> bool:
        link = inputs[name]
        try:
            return self._node(link[0], above)
        except _CRASHES as error:
            reported = {"input_name": name, "input_config": wanted.shown, "linked_node": link}
            self.found[link[0]] = (False, [_crash(error, **reported)])
            return False

    def _link(self, name: str, wanted: Input, link: list[Any]) -> Mistake | None:
        if len(link) != 2:
            return bad_link(name, wanted, link)
        node = self._graph[link[0]]
        received = self._rules.nodes[node["class_type"]].outputs[link[1]]
        if types_fit(wanted.kind, received):
            return None
        return wrong_type(name, wanted, received, link)

    def _value(self, name: str, wanted: Input, inputs: dict[str, Any]) -> Mistake | None:
        """Accept a value in the place of a link; it fails in the run."""
        inputs[name], wrong = converted(name, wanted, inputs[name])
        if wrong is not None or wanted.linked:
            return wrong
        if "image_upload" in wanted.config:
            there = self._rules.is_there(inputs[name])
            return None if there else no_such_picture(name, inputs[name])
        return outside(name, wanted, inputs[name])

    def _circle(self, circle: tuple[str, ...]) -> None:
        steps = [f"{it} ({self._graph[it]['class_type']})" for it in (*circle, circle[0])]
        for node_id in circle:
            reported = mistake(
                "dependency_cycle",
                "Dependency cycle detected",
                " -> ".join(steps),
                node_id=node_id,
                cycle_nodes=list(circle),
            )
            self.found[node_id] = (False, [reported])


_CRASHES = (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError)


def _crash(error: Exception, **inner: Any) -> Mistake:
    """Report an internal error; `inner`: by which link the node was reached, unless it is an
    output."""
    reported = {
        "exception_type": type(error).__name__,
        "traceback": [f'  File "{SERVER_FILE}", line 812, in validate_prompt\n'],
    }
    if not inner:
        what = "Exception when validating node"
        return mistake("exception_during_validation", what, str(error), **reported)
    return mistake(
        "exception_during_inner_validation",
        "Exception when validating inner node",
        str(error),
        **inner,
        exception_message=str(error),
        **reported,
    )


def _blame(validation: Validation, graph: Graph, check: _Check, *, output: str) -> None:
    """Report the bad nodes, except those that are bad only because of others above them."""
    for node_id, (good, found) in check.found.items():
        if good or not found:
            continue
        reported = validation.node_errors.setdefault(
            node_id,
            {"errors": found, "dependent_outputs": [], "class_type": graph[node_id]["class_type"]},
        )
        reported["dependent_outputs"].append(output)
