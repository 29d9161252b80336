"""Validates a graph as the real server does: one good output is enough, the others are skipped."""

from dataclasses import dataclass, field
from typing import Any

from services.mock_comfyui.prompts.inputs import (
    Mistake,
    bad_link,
    check_value,
    missing,
    mistake,
    types_fit,
    wrong_type,
)
from services.mock_comfyui.prompts.nodes import Input, NodeType

Graph = dict[str, Any]
Nodes = dict[str, NodeType]
# A real traceback names the server's own files; clients must not pass it on.
SERVER_FILE = "/opt/ComfyUI/execution.py"
MAX_NODES = 2_000


@dataclass(slots=True)
class Validation:
    """`error` when nothing runs; `node_errors` may come along with good outputs."""

    error: dict[str, Any] | None = None
    outputs: list[str] = field(default_factory=list)
    node_errors: dict[str, Any] = field(default_factory=dict)


def validate(graph: Graph, nodes: Nodes, *, only: Any = None) -> Validation:
    """Where `only` is a list, those outputs alone are to run."""
    refused = _refused(graph, nodes)
    if refused is not None:
        return Validation(error=refused)
    validation = Validation()
    checked: dict[str, tuple[bool, list[Mistake]]] = {}
    for node_id, node in graph.items():
        if not nodes[node["class_type"]].is_output or not _is_meant(node_id, only):
            continue
        if _is_good(graph, nodes, node_id, checked=checked):
            validation.outputs.append(node_id)
        else:
            _blame(validation, graph, checked, output=node_id)
    if not validation.outputs:
        validation.error = mistake(
            "prompt_outputs_failed_validation", "Prompt outputs failed validation", ""
        )
    return validation


def _refused(graph: Graph, nodes: Nodes) -> dict[str, Any] | None:
    if len(graph) > MAX_NODES:
        return mistake("invalid_prompt", f"More than {MAX_NODES} nodes", "")
    for node_id, node in graph.items():
        details = f"Node ID '#{node_id}'"
        if not isinstance(node, dict) or not isinstance(node.get("class_type"), str):
            message = "Cannot execute because a node is missing the class_type property."
            return mistake("invalid_prompt", message, details)
        kind = node["class_type"]
        if kind not in nodes:
            title = _title(node) or kind
            return mistake(
                "missing_node_type",
                f"Node '{title}' not found. The custom node may not be installed.",
                details,
                node_id=node_id,
                class_type=kind,
                node_title=title,
            )
    if not any(nodes[node["class_type"]].is_output for node in graph.values()):
        return mistake("prompt_no_outputs", "Prompt has no outputs", "")
    return None


def _is_meant(node_id: str, only: Any) -> bool:
    return not isinstance(only, list) or node_id in only


def _title(node: dict[str, Any]) -> str:
    meta = node.get("_meta")
    title = meta.get("title") if isinstance(meta, dict) else None
    return title if isinstance(title, str) else ""


def _is_good(
    graph: Graph, nodes: Nodes, node_id: str, *, checked: dict[str, tuple[bool, list[Mistake]]]
) -> bool:
    try:
        return _check_node(graph, nodes, node_id, checked=checked, above=frozenset())
    except (KeyError, IndexError, TypeError, ValueError, RecursionError) as error:
        checked[node_id] = (False, [_crash(error)])
        return False


def _crash(error: Exception) -> Mistake:
    return mistake(
        "exception_during_validation",
        "Exception when validating node",
        str(error),
        exception_type=type(error).__name__,
        traceback=[f'  File "{SERVER_FILE}", line 812, in validate_prompt\n'],
    )


def _check_node(
    graph: Graph,
    nodes: Nodes,
    node_id: str,
    *,
    checked: dict[str, tuple[bool, list[Mistake]]],
    above: frozenset[str],
) -> bool:
    """Check a node after all that it links to."""
    if node_id in checked:
        return checked[node_id][0]
    if node_id in above:
        raise ValueError(f"Dependency cycle detected at {node_id}")
    inputs = graph[node_id].get("inputs", {})
    found: list[Mistake] = []
    good = True
    for name, wanted in nodes[graph[node_id]["class_type"]].inputs.items():
        if name not in inputs:
            found += [missing(name)] if wanted.required else []
            continue
        value = inputs[name]
        if isinstance(value, list):
            wrong = _check_link(graph, nodes, name, wanted=wanted, link=value)
            if wrong is None:
                deeper = above | {node_id}
                good &= _check_node(graph, nodes, value[0], checked=checked, above=deeper)
        else:
            wrong = bad_link(name, wanted, value) if wanted.linked else None
            wrong = wrong or check_value(name, wanted, value)
        found += [wrong] if wrong else []
    checked[node_id] = (good and not found, found)
    return checked[node_id][0]


def _check_link(
    graph: Graph, nodes: Nodes, name: str, *, wanted: Input, link: list[Any]
) -> Mistake | None:
    if len(link) != 2 or not isinstance(link[0], str) or not isinstance(link[1], int):
        return bad_link(name, wanted, link)
    received = nodes[graph[link[0]]["class_type"]].outputs[link[1]]
    return None if types_fit(wanted.kind, received) else wrong_type(name, wanted, received, link)


def _blame(
    validation: Validation,
    graph: Graph,
    checked: dict[str, tuple[bool, list[Mistake]]],
    *,
    output: str,
) -> None:
    """Nodes that are bad only because of others above them are not told."""
    for node_id, (good, found) in checked.items():
        if good or not found:
            continue
        told = validation.node_errors.setdefault(
            node_id,
            {"errors": found, "dependent_outputs": [], "class_type": graph[node_id]["class_type"]},
        )
        told["dependent_outputs"].append(output)
