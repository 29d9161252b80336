"""Free checks of a ComfyUI: it answers, it is new enough, and the graph fits."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from services.worker.graphs.binding import Role, Target
from services.worker.graphs.graph import Node
from services.worker.graphs.plan import MOST_SEED, Plan
from services.worker.vendors.comfyui.calls import Calls
from shared.errors import OutcomeUnknown, VendorError
from shared.pipeline.findings import Finding, ok, unasked, warning, wrong

SERVER, VERSION, NODES = "ComfyUI", "ComfyUI version", "ComfyUI nodes"
MODELS, BINDINGS, OUTPUT = "ComfyUI models", "ComfyUI bindings", "ComfyUI output"
# The first release that takes our id for a prompt (its PR #8189), and the oldest one that
# was tried.
TAKES_OUR_ID, TRIED = (0, 3, 45), (0, 3, 64)
# The server's description of each node type; None if it has no such type.
Kinds = Mapping[str, Mapping[str, Any] | None]

# `*` is any type; a few nodes list several.
_TEXT, _NUMBER = frozenset({"STRING", "*"}), frozenset({"INT", "FLOAT", "*"})
_TEXTS = (Role.PROMPT, Role.PREFIX)
# At most this many of a list's names are shown.
_NAMES_SHOWN = 5
_NO_SEED = (
    "no input takes the seed: each job uses the graph's own, so a bad image is made again unchanged"
    " (COMFYUI_BINDINGS)"
)
_TEMPORARY = (
    "its file is temporary and is lost with the server's next start; an image that the server has"
    " forgotten is made again"
)
# At most this many mistakes of one kind are shown.
_SHOWN = 3


async def examined(calls: Calls, plan: Plan) -> list[Finding]:
    """Return the findings; if our credentials are refused, only that one."""
    try:
        version = await calls.version()
    except OutcomeUnknown as error:
        return [wrong(SERVER, f"{calls.at}: {error.message}")]
    except VendorError as error:
        return [unasked(SERVER, error, at=f"{calls.at} (COMFYUI_URL)")]
    found = [ok(SERVER, f"answers at {calls.at}, and accepts our credentials"), _version(version)]
    try:
        # One by one: all types of a server together may be many megabytes.
        names = sorted({node.kind for node in plan.graph})
        kinds = {name: await calls.node_type(name) for name in names}
        return [*found, *fit(plan, kinds)]
    except VendorError as error:
        return [*found, warning(NODES, f"the workflow can't be compared: {error.message}")]


def too_old(version: tuple[int, ...]) -> str:
    """Return why nothing is submitted to a server of this version."""
    needed = _dotted(TAKES_OUR_ID)
    return f"{_dotted(version)} is too old: it does not take a prompt_id, as {needed} does"


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _version(version: tuple[int, ...]) -> Finding:
    dotted = _dotted(version)
    if not version:
        return warning(VERSION, "it does not say its version")
    if version < TAKES_OUR_ID:
        return wrong(VERSION, too_old(version))
    if version < TRIED:
        return warning(VERSION, f"{dotted} is older than any tested version")
    return ok(VERSION, dotted)


def fit(plan: Plan, kinds: Kinds) -> Iterable[Finding]:
    """Check a graph against the server's description of its node types (`/object_info`)."""
    # The server refuses a graph that has a node of an unknown type.
    nodes = [
        f"node {node.name} is of the type {node.kind}, which the server doesn't have"
        for node in plan.graph
        if kinds.get(node.kind) is None
    ]
    yield _judged(NODES, nodes, good=f"all {len(kinds)} node types exist")
    models = list(missing_choices(plan, kinds))
    yield _judged(MODELS, models, good="all that the workflow names are in the server's lists")
    roles = ", ".join(
        f"{role}={','.join(map(str, targets))}" for role, targets in plan.binding.targets.items()
    )
    bound = f"{roles or 'none'}; they take the job's values"
    unbound = [] if Role.SEED in plan.binding.targets else [_NO_SEED]
    yield _judged(BINDINGS, list(misfit_bindings(plan, kinds)), good=bound, doubts=unbound)
    node = plan.graph.get(plan.binding.output)
    good = f"node {node.name if node else '?'}"
    kind = kinds.get(node.kind) if node else None
    keeps = kind is None or kind.get("output_node") is True
    why = f"can't give the result, because its type, {node.kind if node else '?'}, keeps no output"
    doubts = [] if plan.binding.naming else [f"{good}: {_TEMPORARY}"]
    yield _judged(OUTPUT, [] if keeps else [f"{good} {why}"], good=good, doubts=doubts)


def _judged(check: str, mistakes: list[str], *, good: str, doubts: Sequence[str] = ()) -> Finding:
    if not mistakes:
        return warning(check, "; ".join(doubts)) if doubts else ok(check, good)
    more = f"; and {len(mistakes) - _SHOWN} more" if len(mistakes) > _SHOWN else ""
    return wrong(check, "; ".join(mistakes[:_SHOWN]) + more)


def missing_choices(plan: Plan, kinds: Kinds) -> Iterator[str]:
    """Find values, such as names of models, that are not in the server's lists."""
    for node in _upstream(plan):
        for name, entry in _inputs(kinds, node):
            choices, value = _choices(entry), node.value(name)
            if choices is None or name not in node.inputs or node.link(name) is not None:
                continue
            if value not in choices:
                yield f"node {node.name}: {name}={value} is not among {_shown_names(choices)}"


def misfit_bindings(plan: Plan, kinds: Kinds) -> Iterator[str]:
    """Find inputs that don't take the job's values that are bound to them."""
    most = {Role.SEED: MOST_SEED, Role.WIDTH: plan.width, Role.HEIGHT: plan.height}
    for role, targets in plan.binding.targets.items():
        for target in targets:
            node = plan.graph.get(target.node)
            if node is not None and kinds.get(node.kind) is not None:
                entry = dict(_inputs(kinds, node)).get(target.name)
                if reason := _misfit(entry, target, role=role, value=most.get(role)):
                    yield reason


def _misfit(entry: object, target: Target, *, role: Role, value: int | None) -> str | None:
    if entry is None:
        return f"{role}={target}: the server's type of that node has no such input"
    wanted, kind = _TEXT if role in _TEXTS else _NUMBER, _kind(entry)
    if wanted.isdisjoint(kind.split(",")):
        return f"{role}={target} is {f'of type {kind}' if kind else 'a list'}, and does not take it"
    least, most = (None, None) if value is None else _passed(entry, value)
    if most is not None:
        return f"{role}={target} takes at most {most}, and would get {value}"
    if least is not None:
        return f"{role}={target} takes at least {least}, and would get {value}"
    return None


def _passed(entry: object, number: float) -> tuple[float | None, float | None]:
    """Return the smallest and the largest allowed number, each only if this one is beyond it."""
    least, most = (_config(entry).get(name) for name in ("min", "max"))
    return (
        least if isinstance(least, int | float) and number < least else None,
        most if isinstance(most, int | float) and number > most else None,
    )


def _upstream(plan: Plan) -> Iterator[Node]:
    seen: set[str] = set()
    left = [plan.binding.output]
    while left:
        node = plan.graph.get(left.pop())
        if node is None or node.id in seen:
            continue
        seen.add(node.id)
        left.extend(filter(None, map(node.link, node.inputs)))
        yield node


def _inputs(kinds: Kinds, node: Node) -> Iterator[tuple[str, object]]:
    described = (kinds.get(node.kind) or {}).get("input")
    for group in ("required", "optional"):
        found = described.get(group) if isinstance(described, dict) else None
        yield from found.items() if isinstance(found, dict) else ()


def _kind(entry: object) -> str:
    first = entry[0] if isinstance(entry, list) and entry else ""
    return first if isinstance(first, str) else ""


def _config(entry: object) -> Mapping[str, Any]:
    second = entry[1] if isinstance(entry, list) and len(entry) > 1 else {}
    return second if isinstance(second, dict) else {}


def _choices(entry: object) -> list[Any] | None:
    """Return the choices of an input; None if it has no list, or the list is incomplete."""
    config = _config(entry)
    open_ended = any(name.endswith("_upload") for name in config) or "remote" in config
    if open_ended or config.get("multiselect"):
        return None
    listed = config.get("options") if _kind(entry) == "COMBO" else entry
    if listed is entry:
        listed = entry[0] if isinstance(entry, list) and entry else None
    return listed if isinstance(listed, list) else None


def _shown_names(choices: list[Any]) -> str:
    if not choices:
        return "the server's, which has none"
    more = f" and {len(choices) - _NAMES_SHOWN} more" if len(choices) > _NAMES_SHOWN else ""
    return f"the server's: {', '.join(map(str, choices[:_NAMES_SHOWN]))}{more}"
