"""A graph is read, and filled in for one generation; the names of the files that its nodes save."""

import json
import uuid
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from services.worker.graphs import graph as module
from services.worker.graphs.graph import GraphError, parse_graph, read_graph
from services.worker.graphs.plan import merged, prompt_id_of, seed_of
from tests.services.worker.graphs.examples import WITH_MODEL, Json, example, plan_of


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


PNG = {"format": "png", "format.bit_depth": "8-bit", "format.input_color_space": "sRGB"}


def saver(kind: str, **inputs: Any) -> Json:
    return {
        "class_type": kind,
        "inputs": {"images": ["8", 0], "filename_prefix": "x", **inputs},
    }


def names(node: Json, **said: Any) -> list[str]:
    naming = plan_of(example(titles=False, n9=node), **said).binding.naming
    return list(islice(naming.names(), 2)) if naming else []


def refusal(node: Json, **said: Any) -> str:
    with pytest.raises(GraphError) as refused:
        names(node, **said)
    return str(refused.value)


@pytest.mark.parametrize(
    ("node", "first", "second"),
    [
        (saver("SaveImage"), "image_00001_.png", "image_00002_.png"),
        (saver("SaveAnimatedPNG"), "image_00001_.png", "image_00002_.png"),
        (saver("SaveAnimatedWEBP"), "image_00001_.webp", "image_00002_.webp"),
        (saver("SaveImageAdvanced", **PNG), "image_00001.png", "image_00002.png"),
    ],
    ids=lambda it: it["class_type"] if isinstance(it, dict) else "",
)
def test_known_nodes_of_the_server(node: Json, first: str, second: str) -> None:
    assert names(node) == names(node, output="9") == [first, second]


def test_unknown_node_is_refused_with_the_remedy() -> None:
    """It may name its files in another way, and the same picture would be made again."""
    why = refusal(saver("SaveAsToldTo"))
    assert why.startswith("COMFYUI_OUTPUT: how node 9 (SaveAsToldTo) names its files is not known")
    assert "such as 9=image_00001_.png" in why
    assert "is not known" in refusal(saver("SaveImageAdvanced", format=["4", 0]))


def test_unknown_node_is_accepted_with_the_name_of_its_first_file() -> None:
    for said, expected in (
        ("9=image_00001_.jpg", ["image_00001_.jpg", "image_00002_.jpg"]),
        ("9=image-001.png", ["image-001.png", "image-002.png"]),
        ("9=image0.webp", ["image0.webp", "image1.webp"]),
        ("9=image.PNG", ["image.PNG"]),
    ):
        assert names(saver("SaveAsToldTo"), output=said) == expected
        assert names(saver("SaveImage"), output=said) == expected


@pytest.mark.parametrize("said", ["picture_00001_.png", "image_00007_.png", "image_00001_", "a/b"])
def test_invalid_name_of_a_first_file_is_refused(said: str) -> None:
    why = refusal(saver("SaveAsToldTo"), output=f"9={said}")
    assert why.startswith(f"COMFYUI_OUTPUT: {said} names no first file")


def test_unsupported_format_is_refused() -> None:
    for node, said in (
        (saver("SaveImageAdvanced", format="exr"), "9"),
        (saver("SaveImageAdvanced", format="avif"), "9"),
        (saver("SaveAsToldTo"), "9=image_00001_.tiff"),
    ):
        assert "and the result is to be one of .png, .jpg" in refusal(node, output=said)


def test_prefix_through_another_node_needs_a_name() -> None:
    nodes = example(
        titles=False,
        n9=saver("SaveImage", filename_prefix=["20", 0]),
        n20={"class_type": "PrimitiveString", "inputs": {"value": "x"}},
    )
    bound: Json = {"bindings": "prefix=20.value"}
    with pytest.raises(GraphError, match="is not known"):
        plan_of(nodes, **bound)
    assert plan_of(nodes, output="9=image_00001_.png", **bound).binding.naming is not None


def test_node_without_our_prefix_is_refused() -> None:
    node = {"class_type": "Upload", "inputs": {"images": ["8", 0]}}
    assert "is not known" in refusal(node, output="9")
    assert "the prefix of node 9 (Upload) is bound nowhere" in refusal(
        node, output="9=image_00001_.png"
    )


def test_preview_needs_to_be_named() -> None:
    preview = {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}
    assert "no node saves an image" in refusal(preview)
    assert names(preview, output="9") == []
    titled = example(n9=preview | {"_meta": {"title": "genvideo:output"}})
    assert plan_of(titled).binding.output == "9"


def test_title_may_have_an_equals_sign() -> None:
    node = saver("SaveImage") | {"_meta": {"title": "a=b"}}
    nodes = example(n9=node)
    for said in ("a=b", "a=b=image_00001_.png"):
        assert plan_of(nodes, output=said).binding.output == "9"
