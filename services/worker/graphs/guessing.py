"""What an unmarked graph tells by itself: a guess is a way that leads to one place alone."""

from collections.abc import Iterable
from typing import NamedTuple

from services.worker.graphs.graph import Graph, Node

_CONDITIONS = ("positive", "guider", "conditioning")
_TEXTS = ("text", "prompt", "string", "value")
_OWN_SEEDS = ("seed", "noise_seed")
_SEEDS = (*_OWN_SEEDS, "value")
PREFIX = "filename_prefix"
# They take pictures, and save them as a video.
_VIDEO_SAVERS = frozenset({"SaveWEBM", "VHS_VideoCombine"})


class Target(NamedTuple):
    """An input of a node."""

    node: str
    name: str

    def __str__(self) -> str:
        return f"{self.node}.{self.name}"


def prompts(graph: Graph) -> set[Target | None]:
    """The texts that the samplers' `positive` come of; None for one that isn't found."""
    return {_prompt(graph, sampler) for sampler in samplers(graph)}


def seeds(graph: Graph) -> set[Target | None]:
    """The seeds of the samplers, None for one that isn't found; without any, those of all nodes."""
    found = samplers(graph)
    if found:
        return {_seed(graph, sampler) for sampler in found}
    return {first_number(node, _OWN_SEEDS) for node in graph} - {None}


def sizes(graph: Graph) -> list[Node]:
    """The nodes that have both a width and a height set."""
    return [each for each in graph if is_number(each.value("width"), each.value("height"))]


def savers(graph: Graph) -> list[Node]:
    """The nodes that save images as files with a prefix."""
    return [
        node
        for node in graph
        if PREFIX in node.inputs
        and (node.link("images") or node.link("image"))
        and not is_video_saver(node)
    ]


def is_video_saver(node: Node) -> bool:
    """Whether a node's file is a video: that of one by what it takes, or of one that is known."""
    return node.kind in _VIDEO_SAVERS or (PREFIX in node.inputs and node.link("video") is not None)


def samplers(graph: Graph) -> list[Node]:
    """The nodes that make a latent image of conditions."""
    return [
        node
        for node in graph
        if node.link("latent_image") and (node.link("positive") or node.link("guider"))
    ]


def is_number(*values: object) -> bool:
    """Whether all are whole numbers."""
    return all(isinstance(value, int) and not isinstance(value, bool) for value in values)


def first_text(node: Node, names: Iterable[str] = _TEXTS) -> Target | None:
    """The first of these inputs that is set to a text."""
    found = (name for name in names if isinstance(node.value(name), str))
    return next((Target(node.id, name) for name in found), None)


def first_number(node: Node, names: Iterable[str] = _SEEDS) -> Target | None:
    """The first of these inputs that is set to a whole number."""
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
    """A node's own text, or that of the node which it has it from."""
    if (own := first_text(node, ("text", "prompt"))) is not None:
        return own
    source = graph.get(node.link("text") or node.link("prompt"))
    return first_text(source) if source else None


def _seed(graph: Graph, sampler: Node) -> Target | None:
    """A sampler's own seed, or that of the node which it has it, or its noise, from."""
    if (own := first_number(sampler, _OWN_SEEDS)) is not None:
        return own
    links = (sampler.link(name) for name in (*_OWN_SEEDS, "noise"))
    source = graph.get(next(filter(None, links), None))
    return first_number(source) if source else None
