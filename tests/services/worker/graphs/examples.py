"""Graphs in API format, as a user's file has them: those of the documentation, and variants."""

import json
from pathlib import Path
from typing import Any

from services.worker.graphs.binding import bind
from services.worker.graphs.graph import Graph, parse_graph
from services.worker.graphs.plan import Plan

EXAMPLES = Path(__file__).resolve().parents[4] / "docs" / "examples"
WITH_MODEL = EXAMPLES / "comfyui-graph.json"
WITHOUT_MODELS = EXAMPLES / "comfyui-graph-without-models.json"
Json = dict[str, Any]


def example(path: Path = WITH_MODEL, *, titles: bool = True, **nodes: Json | None) -> Json:
    """A documented graph, without its titles where they shall not count, with other nodes."""
    graph: Json = json.loads(path.read_text(encoding="utf-8"))
    graph |= {node_id.lstrip("n"): node for node_id, node in nodes.items()}
    kept = {node_id: node for node_id, node in graph.items() if node is not None}
    if not titles:
        kept = {node_id: {**node, "_meta": {}} for node_id, node in kept.items()}
    return kept


def graph_of(nodes: Json) -> Graph:
    return parse_graph(json.dumps(nodes))


def plan_of(nodes: Json, *, bindings: str = "", output: str = "", **fields: Any) -> Plan:
    graph = graph_of(nodes)
    sized = "width" in fields or "height" in fields
    binding = bind(graph, bindings=bindings, output=output, sized=sized)
    return Plan(graph, binding, **{"template": "{prompt}, {style}", **fields})
