"""Whether a graph fits a server, by what that says of its types of nodes (`/object_info`); pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from services.worker.graphs.binding import Role, Target
from services.worker.graphs.graph import Node
from services.worker.graphs.plan import MOST_SEED, Plan

# By type: what the server says of it; None where it has none of that name.
Kinds = Mapping[str, Mapping[str, Any] | None]

# `*` is any type; a few nodes list several.
_TEXT, _NUMBER = frozenset({"STRING", "*"}), frozenset({"INT", "FLOAT", "*"})
_TEXTS = (Role.PROMPT, Role.PREFIX)
# So many of a list's names are told.
_SHOWN = 5


def kinds_of(plan: Plan) -> list[str]:
    """The types that the server is to be asked about."""
    return sorted({node.kind for node in plan.graph})


def missing_kinds(plan: Plan, kinds: Kinds) -> list[str]:
    """The server refuses a graph that has a single node of a type it doesn't know."""
    return [
        f"node {node.name} is of the type {node.kind}, which the server doesn't have"
        for node in plan.graph
        if kinds.get(node.kind) is None
    ]


def lacking_inputs(plan: Plan, kinds: Kinds) -> Iterator[str]:
    """What nodes that the result depends on need and aren't given, and links that lead nowhere."""
    for node in _upstream(plan):
        for name, value in node.inputs.items():
            source = node.link(name)
            if source is not None and plan.graph.get(source) is None:
                yield f"node {node.name}: {name} comes from node {value[0]}, which is not there"
        for name, entry in _inputs(kinds, node, "required"):
            if name not in node.inputs and not _kind(entry).startswith("COMFY_"):
                yield f"node {node.name}: the server wants {name}, which the graph does not have"


def missing_choices(plan: Plan, kinds: Kinds) -> Iterator[str]:
    """Values, such as the names of models, that are not in the server's lists."""
    for node in _upstream(plan):
        for name, entry in _inputs(kinds, node, "required", "optional"):
            choices, value = _choices(entry), node.value(name)
            if choices is None or name not in node.inputs or node.link(name) is not None:
                continue
            if value not in choices:
                yield f"node {node.name}: {name}={value} is not among {_told(choices)}"


def misfit_bindings(plan: Plan, kinds: Kinds) -> Iterator[str]:
    """Inputs that a job's values go to, and that don't take them."""
    most = {Role.SEED: MOST_SEED, Role.WIDTH: plan.width, Role.HEIGHT: plan.height}
    for role, targets in plan.binding.targets.items():
        for target in targets:
            node = plan.graph.get(target.node)
            if node is not None and kinds.get(node.kind) is not None:
                entry = dict(_inputs(kinds, node, "required", "optional")).get(target.name)
                if reason := _misfit(entry, target, role=role, value=most.get(role)):
                    yield reason


def output_misfit(plan: Plan, kinds: Kinds) -> str | None:
    """Why the node of the result would give none."""
    node = plan.graph.get(plan.binding.output)
    kind = kinds.get(node.kind) if node else None
    if node is None or kind is None or kind.get("output_node") is True:
        return None
    return f"node {node.name} gives the result, and is no output: its type, {node.kind}, keeps none"


def _misfit(entry: object, target: Target, *, role: Role, value: int | None) -> str | None:
    if entry is None:
        return f"{role}={target}: the server's type of that node has no such input"
    wanted, kind = _TEXT if role in _TEXTS else _NUMBER, _kind(entry)
    if wanted.isdisjoint(kind.split(",")):
        return f"{role}={target} is {f'of type {kind}' if kind else 'a list'}, and does not take it"
    config = _config(entry)
    least, most = config.get("min"), config.get("max")
    if value is not None and isinstance(most, int | float) and value > most:
        return f"{role}={target} takes {most} at the most, and would be given {value}"
    if value is not None and isinstance(least, int | float) and value < least:
        return f"{role}={target} takes {least} at the least, and would be given {value}"
    return None


def _upstream(plan: Plan) -> Iterator[Node]:
    """The node of the result, and all that it depends on."""
    seen: set[str] = set()
    left = [plan.binding.output]
    while left:
        node = plan.graph.get(left.pop())
        if node is None or node.id in seen:
            continue
        seen.add(node.id)
        left.extend(filter(None, map(node.link, node.inputs)))
        yield node


def _inputs(kinds: Kinds, node: Node, *groups: str) -> Iterator[tuple[str, object]]:
    """Name and description of each input of a node's type; none of a type that isn't known."""
    described = (kinds.get(node.kind) or {}).get("input")
    for group in groups:
        found = described.get(group) if isinstance(described, dict) else None
        yield from found.items() if isinstance(found, dict) else ()


def _kind(entry: object) -> str:
    """INT, STRING, IMAGE and so on; empty for a list of choices."""
    first = entry[0] if isinstance(entry, list) and entry else ""
    return first if isinstance(first, str) else ""


def _config(entry: object) -> Mapping[str, Any]:
    second = entry[1] if isinstance(entry, list) and len(entry) > 1 else {}
    return second if isinstance(second, dict) else {}


def _choices(entry: object) -> list[Any] | None:
    """What there is to choose from; None of an input that is no list, or whose list is not all."""
    config = _config(entry)
    open_ended = any(name.endswith("_upload") for name in config) or "remote" in config
    if open_ended or config.get("multiselect"):
        return None
    listed = config.get("options") if _kind(entry) == "COMBO" else entry
    if listed is entry:
        listed = entry[0] if isinstance(entry, list) and entry else None
    return listed if isinstance(listed, list) else None


def _told(choices: list[Any]) -> str:
    if not choices:
        return "the server's, which has none"
    more = f" and {len(choices) - _SHOWN} more" if len(choices) > _SHOWN else ""
    return f"the server's: {', '.join(map(str, choices[:_SHOWN]))}{more}"
