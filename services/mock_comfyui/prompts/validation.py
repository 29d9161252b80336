"""Validate a graph as the real server does: one good output is enough, the others are skipped."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from services.mock_comfyui.prompts.nodes import ANY, Input, NodeType

Graph = dict[str, Any]
Nodes = dict[str, NodeType]
Mistake = dict[str, Any]
# The real server reports all of them; an answer must not grow with the input.
_MOST_REPORTED = 100
# Beyond this many choices only their number is reported.
_MOST_CHOICES = 20
# A real traceback names the server's own files; clients must not pass it on.
SERVER_FILE = "/opt/ComfyUI/execution.py"
_CRASHES = (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError)
_CONVERTED: dict[str, Callable[[Any], Any]] = {
    "INT": int,
    "FLOAT": float,
    "STRING": str,
    "BOOLEAN": bool,
}


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


def validate(
    graph: Graph, nodes: Nodes, *, is_there: Callable[[str], bool], old: bool = False
) -> Validation:
    """Validate a graph, and convert its values in place as the real server does.

    `is_there` says whether there is a picture of this name.
    """
    for node_id, node in graph.items():
        if not isinstance(node, dict):
            raise NoGraph
        kind = node.get("class_type")
        if not isinstance(kind, str) or kind not in nodes:
            return Validation(_unknown_node(node_id, node, old=old))
    outputs = [node_id for node_id, node in graph.items() if nodes[node["class_type"]].is_output]
    if not outputs:
        return Validation(mistake("prompt_no_outputs", "Prompt has no outputs", ""))
    validation, check = Validation(), _Check(graph, nodes, is_there)
    reported: list[str] = []
    for output in outputs:
        if check.is_good(output):
            validation.outputs.append(output)
        elif len(reported) < _MOST_REPORTED:
            reported += [f"{it['message']}: {it['details']}" for it in check.found[output]]
            # Except those that are bad only because of others above them.
            for node_id, found in check.found.items():
                if found:
                    blamed = {
                        "errors": found,
                        "dependent_outputs": [],
                        "class_type": graph[node_id]["class_type"],
                    }
                    node_error = validation.node_errors.setdefault(node_id, blamed)
                    node_error["dependent_outputs"].append(output)
    if not validation.outputs:
        validation.error = mistake(
            "prompt_outputs_failed_validation",
            "Prompt outputs failed validation",
            "\n".join(reported),
        )
    return validation


def _unknown_node(node_id: str, node: dict[str, Any], *, old: bool) -> Mistake:
    kind, details = node.get("class_type"), f"Node ID '#{node_id}'"
    if old:
        what = (
            "a node is missing the class_type property."
            if kind is None
            else f"node {kind} does not exist."
        )
        return mistake("invalid_prompt", f"Cannot execute because {what}", details)
    meta = node.get("_meta")
    title = meta.get("title") if isinstance(meta, dict) else None
    title = title if isinstance(title, str) else None
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


class _Check:
    """The checked nodes: whether each is good, and what is wrong with it."""

    def __init__(self, graph: Graph, nodes: Nodes, is_there: Callable[[str], bool]) -> None:
        self._graph = graph
        self._nodes = nodes
        self._is_there = is_there
        self.good: dict[str, bool] = {}
        self.found: dict[str, list[Mistake]] = {}

    def is_good(self, output: str) -> bool:
        try:
            return self._node(output, ())
        except _CRASHES as error:
            crash = mistake(
                "exception_during_validation",
                "Exception when validating node",
                str(error),
                exception_type=type(error).__name__,
                traceback=[f'  File "{SERVER_FILE}", line 812, in validate_prompt\n'],
            )
            return self._mark(output, [crash])

    def _mark(self, node_id: str, found: list[Mistake], *, good: bool = False) -> bool:
        self.good[node_id], self.found[node_id] = good, found
        return good

    def _node(self, node_id: str, above: tuple[str, ...]) -> bool:
        """Check a node after all that it links to."""
        if node_id in self.good:
            return self.good[node_id]
        if node_id in above:
            self._circle(above[above.index(node_id) :])
            return False
        node = self._graph[node_id]
        inputs = node["inputs"]
        found: list[Mistake] = []
        good = True
        for name, wanted in self._nodes[node["class_type"]].takes(inputs).items():
            wrong = None
            if name not in inputs and wanted.required:
                what = "Required input is missing"
                wrong = mistake("required_input_missing", what, name, input_name=name)
            elif isinstance(inputs.get(name), list):
                wrong = self._link(name, wanted, inputs[name])
                good &= wrong is not None or self._node(inputs[name][0], (*above, node_id))
            elif name in inputs:
                wrong = self._value(name, wanted, inputs)
            found += [wrong] if wrong else []
        # A node of a cycle has been found from below.
        if node_id in self.good:
            return self.good[node_id]
        return self._mark(node_id, found, good=good and not found)

    def _link(self, name: str, wanted: Input, link: list[Any]) -> Mistake | None:
        info = {"input_name": name, "input_config": wanted.shown}
        if len(link) != 2:
            what = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
            return mistake("bad_linked_input", what, name, **info, received_value=link)
        received = self._nodes[self._graph[link[0]]["class_type"]].outputs[link[1]]
        if wanted.kind == received or ANY in (wanted.kind, received):
            return None
        return mistake(
            "return_type_mismatch",
            "Return type mismatch between linked nodes",
            f"{name}, received_type({received}) mismatch input_type({wanted.kind})",
            **info,
            received_type=received,
            linked_node=link,
        )

    def _value(self, name: str, wanted: Input, inputs: dict[str, Any]) -> Mistake | None:
        """Accept a value in the place of a link; it fails in the run."""
        value, config = inputs[name], wanted.config
        info = {"input_name": name, "input_config": wanted.shown, "received_value": value}
        try:
            value = inputs[name] = _CONVERTED.get(wanted.kind, lambda value: value)(value)
        except (ValueError, TypeError, OverflowError) as error:
            what = f"Failed to convert an input value to a {wanted.kind} value"
            details, message = f"{name}, {value}, {error}", str(error)
            return mistake("invalid_input_type", what, details, **info, exception_message=message)
        info["received_value"] = value
        if wanted.linked:
            return None
        if "image_upload" in config:
            what, details = (
                "Custom validation failed for node",
                f"{name} - Invalid image file: {value}",
            )
            wrong = mistake("custom_validation_failed", what, details, input_name=name)
            return None if self._is_there(value) else wrong
        if "min" in config and value < config["min"]:
            message = f"Value {value} smaller than min of {config['min']}"
            return mistake("value_smaller_than_min", message, name, **info)
        if "max" in config and value > config["max"]:
            message = f"Value {value} bigger than max of {config['max']}"
            return mistake("value_bigger_than_max", message, name, **info)
        choices = wanted.choices
        if wanted.kind == "COMBO" and choices is not None and value not in choices:
            listed = str(choices)
            if len(choices) > _MOST_CHOICES:
                listed, info["input_config"] = f"(list of length {len(choices)})", None
            details = f"{name}: '{value}' not in {listed}"
            return mistake("value_not_in_list", "Value not in list", details, **info)
        return None

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
            self._mark(node_id, [reported])
