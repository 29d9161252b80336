"""Find the inputs of a graph for a job's values, and the node whose file is the result.

A map or titles name them; otherwise the graph itself does, if it is unambiguous.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from services.worker.graphs.files import Naming, keeps_nothing, naming_of
from services.worker.graphs.graph import Graph, GraphError, Node

_CONDITIONS = ("positive", "guider", "conditioning")
_TEXTS = ("text", "prompt", "string", "value")
_OWN_SEEDS = ("seed", "noise_seed")
_SEEDS = (*_OWN_SEEDS, "value")
PREFIX = "filename_prefix"


class Target(NamedTuple):
    node: str
    name: str

    def __str__(self) -> str:
        return f"{self.node}.{self.name}"


def is_number(*values: object) -> bool:
    return all(isinstance(value, int) and not isinstance(value, bool) for value in values)


def first_text(node: Node, names: Iterable[str] = _TEXTS) -> Target | None:
    """Return the first of these inputs that is set to a text."""
    found = (name for name in names if isinstance(node.value(name), str))
    return next((Target(node.id, name) for name in found), None)


def first_number(node: Node, names: Iterable[str] = _SEEDS) -> Target | None:
    found = (name for name in names if is_number(node.value(name)))
    return next((Target(node.id, name) for name in found), None)


def _prompt(graph: Graph, sampler: Node) -> Target | None:
    seen: set[str] = set()
    node: Node | None = sampler
    while node is not None and node.id not in seen:
        seen.add(node.id)
        if node is not sampler and (found := _text(graph, node)):
            return found
        node = next(filter(None, (graph.get(node.link(name)) for name in _CONDITIONS)), None)
    return None


def _text(graph: Graph, node: Node) -> Target | None:
    if (own := first_text(node, ("text", "prompt"))) is not None:
        return own
    source = graph.get(node.link("text") or node.link("prompt"))
    return first_text(source) if source else None


def _seed(graph: Graph, sampler: Node) -> Target | None:
    if (own := first_number(sampler, _OWN_SEEDS)) is not None:
        return own
    links = (sampler.link(name) for name in (*_OWN_SEEDS, "noise"))
    source = graph.get(next(filter(None, links), None))
    return first_number(source) if source else None


MARK = re.compile(r"\bgenvideo:(\w+)")
OUTPUT = "output"
# The settings that mistakes are of.
_BINDINGS, _OUTPUT, _WORKFLOW = "COMFYUI_BINDINGS", "COMFYUI_OUTPUT", "COMFYUI_WORKFLOW"


class Role(StrEnum):
    """A value of a job that goes into the graph."""

    PROMPT = "prompt"
    SEED = "seed"
    WIDTH = "width"
    HEIGHT = "height"
    PREFIX = "prefix"


# The input of a titled node that is meant.
_MEANT: Mapping[Role, Callable[[Node], Target | None]] = {
    Role.PROMPT: first_text,
    Role.SEED: first_number,
    Role.WIDTH: lambda node: first_number(node, ("width", "value")),
    Role.HEIGHT: lambda node: first_number(node, ("height", "value")),
    Role.PREFIX: lambda node: first_text(node, (PREFIX, "string", "value")),
}
_TEXT = frozenset({Role.PROMPT, Role.PREFIX})
_ROLES = ", ".join(Role)


@dataclass(frozen=True)
class Binding:
    """Every role with its inputs, and the node whose file is the result.

    `naming`: the names of that node's files; None for a named node that saves temporary files.
    """

    targets: Mapping[Role, tuple[Target, ...]]
    output: str
    naming: Naming | None


def bind(graph: Graph, *, bindings: str, output: str, sized: bool) -> Binding:
    """Return the binding by the settings; raise GraphError with every mistake, by setting.

    `sized`: a size is set, so there must be inputs for it.
    """
    binder = _Binder(graph)
    binder.read_map(bindings)
    binder.read_titles()
    node, first_file = binder.find_output(output)
    binder.guess(node, sized=sized)
    naming = binder.find_naming(node, first_file) if node else None
    if binder.wrong or node is None:
        raise GraphError("; ".join(f"{name}: {'; '.join(it)}" for name, it in binder.wrong.items()))
    targets = {role: tuple(found) for role, found in binder.found.items()}
    return Binding(targets, node.id, naming)


class _Binder:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._titled: list[Node] = []
        self._unclear: set[Role] = set()
        self.found: dict[Role, list[Target]] = {}
        self.wrong: dict[str, list[str]] = {}

    def _refuse(self, setting: str, reason: str) -> None:
        self.wrong.setdefault(setting, []).append(reason)

    def read_map(self, text: str) -> None:
        """Read a map such as `prompt=6.text seed=3.seed,13.noise_seed`."""
        for word in text.split():
            name, _, targets = word.partition("=")
            if name not in list(Role) or not targets:
                self._refuse(_BINDINGS, f"{word}: not ROLE=NODE.INPUT, ROLE one of {_ROLES}")
                continue
            for target in targets.split(","):
                node_id, _, input_name = target.partition(".")
                self._take(Role(name), Target(node_id, input_name), setting=_BINDINGS, where=word)

    def read_titles(self) -> None:
        """Read the marks in the titles of nodes; the map has precedence."""
        mapped = frozenset(self.found) | self._unclear
        for node in self._graph:
            for mark in MARK.findall(node.title):
                if mark == OUTPUT:
                    self._titled.append(node)
                elif mark not in list(Role):
                    known = f"known are {_ROLES}, {OUTPUT}"
                    self._refuse(_WORKFLOW, f"node {node.name}: no such mark; {known}")
                elif mark not in mapped:
                    target = _MEANT[Role(mark)](node)
                    where = f"node {node.name}"
                    self._take(Role(mark), target, setting=_WORKFLOW, where=where)

    def _take(self, role: Role, target: Target | None, *, setting: str, where: str) -> None:
        """Bind a role, or note why the input does not fit; either way the role is not guessed."""
        reason = self._misfit(role, target)
        if target is not None and reason is None:
            self.found.setdefault(role, []).append(target)
        else:
            self._unclear.add(role)
            self._refuse(setting, f"{where}: {reason}")

    def _misfit(self, role: Role, target: Target | None) -> str | None:
        if target is None:
            return f"has no input that takes the {role}"
        node = self._graph.get(target.node)
        if node is None:
            return f"there is no node {target.node}"
        if target.name not in node.inputs:
            there = ", ".join(node.inputs) or "none"
            return f"node {node.name} has no input {target.name}; it has: {there}"
        if (source := node.link(target.name)) is not None:
            return f"{target} comes from node {source}: bind that node instead"
        value = node.value(target.name)
        if role in _TEXT:
            return None if isinstance(value, str) else f"{target} takes no text"
        return None if is_number(value) else f"{target} takes no whole number"

    def find_output(self, named: str) -> tuple[Node | None, str]:
        """Return the node that is named, marked, or the only one that saves, and its first file if
        the setting gives one, as in `9=image_00001_.png`."""
        if named:
            found, first_file = self._called(named), ""
            if not found and "=" in named:
                name, _, first_file = named.rpartition("=")
                found = self._called(name)
            return self._only(found, f"{named}: there is no such node"), first_file
        if self._titled:
            return self._only(self._titled, ""), ""
        images = [
            node
            for node in self._graph
            if PREFIX in node.inputs and (node.link("images") or node.link("image"))
        ]
        missing = "no node saves an image as a file: which one gives the result?"
        return self._only(images, missing), ""

    def _called(self, name: str) -> list[Node]:
        named = self._graph.get(name)
        return [named] if named else [each for each in self._graph if each.title == name]

    def find_naming(self, output: Node, first_file: str) -> Naming | None:
        """Return how the output's files are named; refuse one whose files can't be found again."""
        if Role.PREFIX in self._unclear or (keeps_nothing(output) and not first_file):
            return None
        targets = self.found.get(Role.PREFIX, [])
        try:
            if first_file and not targets:
                raise GraphError(f"the prefix of node {output.name} is bound nowhere")
            return naming_of(output, first_file, prefixed=Target(output.id, PREFIX) in targets)
        except GraphError as error:
            self._refuse(_OUTPUT, str(error))
            return None

    def _only(self, found: list[Node], missing: str) -> Node | None:
        if len(found) == 1:
            return found[0]
        several = ", ".join(node.name for node in found)
        self._refuse(_OUTPUT, f"it may be any of {several}" if found else missing)
        return None

    def guess(self, output: Node | None, *, sized: bool) -> None:
        """Bind the roles that neither the map nor a title names.

        The prompt feeds the samplers' `positive`; the seed is theirs, or without samplers that of
        any node.
        """
        graph = self._graph
        samplers = [
            node
            for node in graph
            if node.link("latent_image") and (node.link("positive") or node.link("guider"))
        ]
        if self._is_open(Role.PROMPT):
            self._guess(Role.PROMPT, {_prompt(graph, each) for each in samplers} or {None})
        if self._is_open(Role.SEED):
            seeds = {first_number(node, _OWN_SEEDS) for node in graph} - {None}
            self._guess(Role.SEED, {_seed(graph, each) for each in samplers} or seeds)
        if output is not None:
            self._name_the_file(output)
        wide = [node for node in graph if is_number(node.value("width"), node.value("height"))]
        for role in (Role.WIDTH, Role.HEIGHT):
            if sized and self._is_open(role):
                self._guess(role, {Target(node.id, role) for node in wide} or {None})

    def _name_the_file(self, output: Node) -> None:
        """Bind the prefix to the result's node, or to a node that the result depends on."""
        for target in self.found.get(Role.PREFIX, []):
            if target.name == PREFIX and target.node != output.id:
                its = f"not that of node {output.name}, which gives the result"
                self._unclear.add(Role.PREFIX)
                self._refuse(_BINDINGS, f"prefix={target} names another node's file, {its}")
        if not self._is_open(Role.PREFIX):
            return
        target = Target(output.id, PREFIX)
        if (source := output.link(PREFIX)) is not None:
            bound = "which is to be bound instead (prefix=NODE.INPUT)"
            self._unclear.add(Role.PREFIX)
            self._refuse(_BINDINGS, f"{target} comes from node {source}, {bound}")
        elif isinstance(output.value(PREFIX), str):
            self.found[Role.PREFIX] = [target]

    def _is_open(self, role: Role) -> bool:
        return role not in self.found and role not in self._unclear

    def _guess(self, role: Role, found: set[Target | None]) -> None:
        """Bind the only candidate; no candidate is right if the role is not needed."""
        if len(found) == 1 and (target := next(iter(found))) is not None:
            self.found[role] = [target]
        elif found:
            there = ", ".join(sorted(map(str, found - {None})))
            which = f" ({there} may be meant)" if there else ""
            self._refuse(
                _BINDINGS,
                f"which input takes the {role}{which}? Set {role}=NODE.INPUT, or title its node "
                f"genvideo:{role}",
            )
