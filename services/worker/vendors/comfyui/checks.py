"""What a ComfyUI lets one check for nothing: whether it is there, how old it is, and whether the
workflow fits it."""

from collections.abc import Iterable, Sequence

from services.worker.graphs import fitting
from services.worker.graphs.binding import Role
from services.worker.graphs.fitting import Kinds
from services.worker.graphs.plan import Plan
from services.worker.vendors.comfyui.calls import Calls
from services.worker.vendors.vendor import Finding, ok, warning, wrong
from shared.errors import NeverDelivered, RefusedForNow, VendorError

SERVER, VERSION, NODES = "ComfyUI", "ComfyUI version", "ComfyUI nodes"
MODELS, BINDINGS, OUTPUT = "ComfyUI models", "ComfyUI bindings", "ComfyUI output"
# The first release that takes an id of ours for a prompt (its PR #8189), and the oldest one that
# was tried.
TAKES_OUR_ID, TRIED = (0, 3, 45), (0, 3, 64)
_WITHOUT = {
    Role.SEED: "each job has the graph's own, and an image that was bad is made again as it was",
    Role.PREFIX: "files have the graph's own names",
}
_UNFOUND = (
    "what it gives is not sure to be found by its file, as that of the server's own nodes under a"
    " prefix of ours is: what the server has forgotten may be made again"
)
# So many mistakes of one kind are told.
_SHOWN = 3


async def examined(calls: Calls, plan: Plan) -> list[Finding]:
    """Where nobody lets us in, that alone."""
    try:
        version = await calls.version()
    except NeverDelivered as error:
        return [wrong(SERVER, f"nobody answers at {calls.at} (COMFYUI_URL): {error.message}")]
    except RefusedForNow as error:
        return [warning(SERVER, f"{calls.at} (COMFYUI_URL) is out for now: {error.message}")]
    except VendorError as error:
        return [wrong(SERVER, f"{calls.at}: {error.message}")]
    found = [ok(SERVER, f"answers at {calls.at}, and lets us in"), _version(version)]
    try:
        return [*found, *_fit(plan, await _kinds(calls, plan))]
    except VendorError as error:
        return [*found, warning(NODES, f"the workflow can't be compared: {error.message}")]


def too_old(version: tuple[int, ...]) -> str:
    """Why nothing is submitted there."""
    needed = _dotted(TAKES_OUR_ID)
    return f"{_dotted(version)} is too old: it takes no prompt_id of ours, as {needed} does"


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _version(version: tuple[int, ...]) -> Finding:
    told = _dotted(version)
    if not version:
        return warning(VERSION, "it does not say its version")
    if version < TAKES_OUR_ID:
        return wrong(VERSION, too_old(version))
    if version < TRIED:
        return warning(VERSION, f"{told} is older than any that was tried")
    return ok(VERSION, told)


async def _kinds(calls: Calls, plan: Plan) -> Kinds:
    """One by one: all types of a server together may be many megabytes."""
    return {kind: await calls.node_type(kind) for kind in fitting.kinds_of(plan)}


def _fit(plan: Plan, kinds: Kinds) -> Iterable[Finding]:
    wanted = len(fitting.kinds_of(plan))
    nodes = [*fitting.missing_kinds(plan, kinds), *fitting.lacking_inputs(plan, kinds)]
    yield _judged(NODES, nodes, good=f"all {wanted} types are there, with what they need")
    models = list(fitting.missing_choices(plan, kinds))
    yield _judged(MODELS, models, good="all that the workflow names are in the server's lists")
    bindings = list(fitting.misfit_bindings(plan, kinds))
    roles = ", ".join(
        f"{role}={','.join(map(str, targets))}" for role, targets in plan.binding.targets.items()
    )
    bound = f"{roles or 'none'}; they take what a job brings"
    yield _judged(BINDINGS, bindings, good=bound, doubts=[*_unbound(plan)])
    output = fitting.output_misfit(plan, kinds)
    node = plan.graph.get(plan.binding.output)
    good = f"node {node.name if node else '?'}"
    doubts = [] if plan.is_found_by_file else [f"{good}: {_UNFOUND}"]
    yield _judged(OUTPUT, [output] if output else [], good=good, doubts=doubts)


def _unbound(plan: Plan) -> Iterable[str]:
    for role, without in _WITHOUT.items():
        if role not in plan.binding.targets:
            yield f"no input takes the {role}: {without} (COMFYUI_BINDINGS)"


def _judged(check: str, mistakes: list[str], *, good: str, doubts: Sequence[str] = ()) -> Finding:
    if not mistakes:
        return warning(check, "; ".join(doubts)) if doubts else ok(check, good)
    more = f"; and {len(mistakes) - _SHOWN} more" if len(mistakes) > _SHOWN else ""
    return wrong(check, "; ".join(mistakes[:_SHOWN]) + more)
