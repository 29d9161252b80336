"""A graph is read, and filled in for one generation of a job."""

import json
import uuid
from pathlib import Path

import pytest

from services.worker.graphs import graph as module
from services.worker.graphs.graph import GraphError, parse_graph, read_graph
from services.worker.graphs.plan import merged, prompt_id_of, seed_of
from tests.services.worker.graphs.examples import WITH_MODEL, example, plan_of


def test_nodes_have_links_and_values() -> None:
    graph = read_graph(WITH_MODEL)
    sampler = graph.get("3")
    assert sampler is not None
    assert (sampler.kind, sampler.name) == ("KSampler", "3 (KSampler genvideo:seed)")
    assert (sampler.link("model"), sampler.value("model")) == ("4", None)
    assert (sampler.link("steps"), sampler.value("steps")) == (None, 20)
    assert graph.get("77") is graph.get(None) is None


def test_invalid_graph_is_refused_with_the_reason() -> None:
    for text, why in (
        ('{"last_node_id": 2, "nodes": [], "links": []}', r"Workflow, Export \(API\)"),
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "not a JSON object"),
        ("{}", "no nodes in API format"),
        ('{"prompt": {"1": {}}}', "no nodes in API format .*: prompt"),
        ('{"1": {"class_type": "SaveImage"}}', "no nodes in API format .*: 1"),
    ):
        with pytest.raises(GraphError, match=why):
            parse_graph(text)


def test_unsendable_graph_is_refused_in_one_line() -> None:
    for value, why in (
        *((number, "can't be sent: a number") for number in ("NaN", "-Infinity", "1e999")),
        ('"\\ud800"', "can't be sent: a text"),
    ):
        text = '{"1": {"class_type": "KSampler", "inputs": {"cfg": ' + value + "}}}"
        with pytest.raises(GraphError, match=why) as error:
            parse_graph(text)
        assert "\n" not in str(error.value)


def test_servers_notes_from_a_picture_are_not_sent() -> None:
    """They are NaN where a node is one that changes each time."""
    noted = {node_id: {**node, "is_changed": [float("nan")]} for node_id, node in example().items()}
    assert parse_graph(json.dumps(noted)).raw == example()


def test_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "graph.json"
    file.write_text(json.dumps(example()), encoding="utf-8-sig")
    assert len(read_graph(file)) == 7


def test_unreadable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "graph.json"
    with pytest.raises(GraphError, match="No such file"):
        read_graph(file)
    file.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(GraphError, match="not UTF-8 text"):
        read_graph(file)
    monkeypatch.setattr(module, "MAX_BYTES", 2)
    with pytest.raises(GraphError, match="larger than 2 bytes"):
        read_graph(file)


FIRST, SECOND = (f"job-0123456789abcdef01234567.image.{number}" for number in (1, 2))


def test_graph_is_filled_in() -> None:
    plan = plan_of(example(), width=640)
    order = plan.order(FIRST, prompt="猫", style="ink")
    assert order["6"]["inputs"]["text"] == "猫, ink"
    assert order["3"]["inputs"]["seed"] == seed_of(FIRST)
    assert (order["5"]["inputs"]["width"], order["5"]["inputs"]["height"]) == (640, 432)
    assert order["9"]["inputs"]["filename_prefix"] == f"genvideo/{prompt_id_of(FIRST)}/image"
    assert order == plan.order(FIRST, prompt="猫", style="ink")


def test_other_attempt_has_another_seed_id_and_file() -> None:
    plan = plan_of(example())
    first, second = (plan.order(each, prompt="猫", style="") for each in (FIRST, SECOND))
    for node, name in (("3", "seed"), ("9", "filename_prefix")):
        assert first[node]["inputs"][name] != second[node]["inputs"][name]
    assert prompt_id_of(FIRST) != prompt_id_of(SECOND)


def test_id_of_the_prompt_is_a_canonical_uuid() -> None:
    prompt_id = prompt_id_of(FIRST)
    assert str(uuid.UUID(prompt_id)) == prompt_id == "b15ce7ba-5f0c-5916-be76-a51537891fc9"
    assert prompt_id_of(prompt_id) == prompt_id
    assert seed_of(FIRST) == 3517593185


def test_prompt_and_style_are_joined_by_the_template() -> None:
    for template, style, text in (
        ("{prompt}, {style}", "ink", "a {style} cat, ink"),
        ("{prompt}, {style}", "", "a {style} cat"),
        ("{style}: {prompt} (best)", "ink", "ink: a {style} cat (best)"),
        ("{prompt}; {style}, {sharp|soft}", "", "a {style} cat, {sharp|soft}"),
    ):
        assert merged(template, prompt="a {style} cat", style=style) == text


def test_sampler_is_weighted_by_its_steps() -> None:
    assert plan_of(example()).weights() == {"3": 20, **dict.fromkeys("456789", 1)}
