"""Names of the files that nodes save: known of the server's own, said of others, else refused."""

from itertools import islice
from typing import Any

import pytest

from services.worker.graphs.graph import GraphError
from tests.services.worker.graphs.examples import Json, example, plan_of

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
