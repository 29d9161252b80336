"""Where a job's values go in a graph: by the map, by titles, else where there is one way alone."""

from typing import Any

import pytest

from services.worker.graphs.binding import Binding, Role, Target, bind
from services.worker.graphs.graph import GraphError
from tests.services.worker.graphs.examples import WITHOUT_MODELS, Json, example, graph_of

PLAIN: dict[str, Any] = {"bindings": "", "output": "", "sized": False}
# As a Flux graph has it: guider, noise and sampler are nodes of their own.
FLUX: Json = {
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["11", 0]}},
    "13": {
        "class_type": "SamplerCustomAdvanced",
        "inputs": {
            "noise": ["25", 0],
            "guider": ["22", 0],
            "sampler": ["16", 0],
            "sigmas": ["17", 0],
            "latent_image": ["27", 0],
        },
    },
    "22": {"class_type": "BasicGuider", "inputs": {"model": ["30", 0], "conditioning": ["26", 0]}},
    "25": {"class_type": "RandomNoise", "inputs": {"noise_seed": 1}},
    "26": {"class_type": "FluxGuidance", "inputs": {"guidance": 3.5, "conditioning": ["6", 0]}},
    "27": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 1024, "height": 1024}},
    "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "x", "images": ["8", 0]}},
}


def bound(nodes: Json, **settings: Any) -> Binding:
    return bind(graph_of(nodes), **{**PLAIN, **settings})


def mistakes(nodes: Json, **settings: Any) -> str:
    with pytest.raises(GraphError) as error:
        bound(nodes, **settings)
    return str(error.value)


def test_titles_bind() -> None:
    binding = bound(example())
    assert binding.targets == {
        Role.SEED: (Target("3", "seed"),),
        Role.WIDTH: (Target("5", "width"),),
        Role.HEIGHT: (Target("5", "height"),),
        Role.PROMPT: (Target("6", "text"),),
        Role.PREFIX: (Target("9", "filename_prefix"),),
    }
    assert binding.output == "9"


def test_graph_with_one_sampler_binds_itself() -> None:
    binding = bound(example(titles=False), sized=True)
    assert binding.targets == bound(example()).targets
    assert binding.output == "9"
    assert set(bound(example(titles=False)).targets) == {Role.PROMPT, Role.SEED, Role.PREFIX}


def test_flux_graph_binds_itself() -> None:
    assert bound(FLUX).targets == {
        Role.PROMPT: (Target("6", "text"),),
        Role.SEED: (Target("25", "noise_seed"),),
        Role.PREFIX: (Target("9", "filename_prefix"),),
    }


def test_text_from_another_node_is_bound_there() -> None:
    encode = {"class_type": "CLIPTextEncode", "inputs": {"text": ["20", 0], "clip": ["4", 1]}}
    words = {"class_type": "PrimitiveStringMultiline", "inputs": {"value": "a cat"}}
    nodes = example(titles=False, n6=encode, n20=words)
    assert bound(nodes).targets[Role.PROMPT] == (Target("20", "value"),)


def test_graph_without_a_sampler_needs_no_seed() -> None:
    binding = bound(example(WITHOUT_MODELS))
    assert binding.targets[Role.PROMPT] == (Target("3", "string"),)
    assert Role.SEED not in binding.targets


ANY: Json = {"class_type": "MySampler", "inputs": {"model": ["4", 0], "seed": 5}}


def test_any_seed_is_bound_only_without_a_known_sampler() -> None:
    binding = bound(example(WITHOUT_MODELS, titles=False, n20=ANY), bindings="prompt=3.string")
    assert binding.targets[Role.SEED] == (Target("20", "seed"),)
    noise = {"class_type": "MyNoise", "inputs": {"noise_seed": 5}}
    beside_one = bound(example(titles=False, n20=ANY, n21=noise))
    assert beside_one.targets[Role.SEED] == (Target("3", "seed"),)
    two = example(WITHOUT_MODELS, titles=False, n20=ANY, n21=noise)
    asked = "which input takes the seed (20.seed, 21.noise_seed may be meant)?"
    assert asked in mistakes(two, bindings="prompt=3.string")


def saver(prefix: object) -> Json:
    return {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": prefix}}


def test_prefix_from_another_node_is_bound_there_or_refused() -> None:
    words = {"class_type": "PrimitiveString", "inputs": {"value": "x"}}
    nodes = example(titles=False, n9=saver(["20", 0]), n20=words)
    assert "9.filename_prefix comes from node 20, which is to be bound" in mistakes(nodes)
    binding = bound(nodes, bindings="prefix=20.value", output="9=image_00001_.png")
    assert binding.targets[Role.PREFIX] == (Target("20", "value"),)


@pytest.mark.parametrize("more", ["", ",9.filename_prefix"])
def test_prefix_of_another_saver_names_another_file(more: str) -> None:
    bindings = f"prefix=10.filename_prefix{more}"
    found = mistakes(example(n10=saver("x")), bindings=bindings)
    assert "COMFYUI_BINDINGS: prefix=10.filename_prefix names another node's file" in found


def test_map_overrides_titles_and_may_name_several_inputs() -> None:
    nodes = example(n13={"class_type": "RandomNoise", "inputs": {"noise_seed": 0}})
    binding = bound(nodes, bindings="seed=3.seed,13.noise_seed prompt=7.text")
    assert binding.targets[Role.SEED] == (Target("3", "seed"), Target("13", "noise_seed"))
    assert binding.targets[Role.PROMPT] == (Target("7", "text"),)


def test_input_may_have_a_dot_and_node_a_colon() -> None:
    node = {"class_type": "X", "inputs": {"size.width": 1}}
    binding = bound({**example(), "12:3": node}, bindings="width=12:3.size.width")
    assert binding.targets[Role.WIDTH] == (Target("12:3", "size.width"),)


@pytest.mark.parametrize("said", ["9", "genvideo:output"])
def test_output_is_named_by_id_or_title(said: str) -> None:
    assert bound(example(), output=said).output == "9"


def test_every_mistake_is_named_at_once_after_its_setting() -> None:
    nodes = example(n10={"class_type": "X", "inputs": {}, "_meta": {"title": "genvideo:promt"}})
    found = mistakes(
        nodes,
        bindings="prompt=66.text seed=6.text width=5.wide height=3.model size=5.width prefix",
        output="nothing",
    )
    for part in (
        "size=5.width: not ROLE=NODE.INPUT",
        "prefix: not ROLE=NODE.INPUT",
        "prompt=66.text: there is no node 66",
        "seed=6.text: 6.text takes no whole number",
        "width=5.wide: node 5 (Size genvideo:width genvideo:height) has no input wide; it has: ",
        "height=3.model: 3.model comes from node 4: bind that node instead",
        "COMFYUI_WORKFLOW: node 10 (genvideo:promt): no such mark",
        "COMFYUI_OUTPUT: nothing: there is no such node",
    ):
        assert part in found
    assert found.count("COMFYUI_BINDINGS: ") == 1


def test_wrong_binding_is_not_also_reported_as_missing() -> None:
    nodes = example(WITHOUT_MODELS, titles=False)
    assert "which input takes the prompt?" in mistakes(nodes)
    assert "which input" not in mistakes(nodes, bindings="prompt=66.string")


def test_text_and_boolean_are_no_numbers() -> None:
    nodes = example(n10={"class_type": "X", "inputs": {"on": True}})
    found = mistakes(nodes, bindings="prompt=3.steps seed=10.on")
    assert "3.steps takes no text" in found
    assert "10.on takes no whole number" in found


def test_marked_node_without_a_fitting_input_is_a_mistake() -> None:
    node = {"class_type": "X", "inputs": {"a": 1}, "_meta": {"title": "genvideo:prompt"}}
    assert "node 6 (genvideo:prompt): has no input that takes the prompt" in mistakes(
        example(n6=node)
    )


def test_two_candidates_bind_nothing() -> None:
    sampler = example()["3"]
    again = {**sampler, "inputs": {**sampler["inputs"], "positive": ["7", 0]}}
    found = mistakes(example(titles=False, n33=again))
    assert "which input takes the prompt (6.text, 7.text may be meant)?" in found
    assert "which input takes the seed (3.seed, 33.seed may be meant)?" in found


def test_combined_conditions_are_not_guessed() -> None:
    sampler = example()["3"]
    inputs = {"conditioning_1": ["6", 0], "conditioning_2": ["7", 0]}
    nodes = example(
        titles=False,
        n20={"class_type": "ConditioningCombine", "inputs": inputs},
        n3={**sampler, "inputs": {**sampler["inputs"], "positive": ["20", 0]}},
    )
    assert "which input takes the prompt? Set prompt=NODE.INPUT" in mistakes(nodes)


def test_samplers_own_text_is_not_its_positive_prompt() -> None:
    sampler = example()["3"]
    own = {**sampler, "inputs": {**sampler["inputs"], "text": "a note"}}
    binding = bound(example(titles=False, n3=own))
    assert binding.targets[Role.PROMPT] == (Target("6", "text"),)


def test_circular_conditions_end() -> None:
    circle = {"class_type": "X", "inputs": {"conditioning": ["6", 0]}}
    assert "which input takes the prompt?" in mistakes(example(titles=False, n6=circle))


def test_size_needs_inputs_for_it() -> None:
    latent = {"class_type": "LoadLatent", "inputs": {}}
    found = mistakes(example(titles=False, n5=latent), sized=True)
    assert "which input takes the width?" in found
    assert "which input takes the height?" in found


def test_output_must_be_unique() -> None:
    assert "no node saves an image" in mistakes(example(titles=False, n9=None))
    two = example(titles=False, n10=example()["9"])
    assert "it may be any of 9 (SaveImage), 10 (SaveImage)" in mistakes(two)


def test_video_is_no_result() -> None:
    """Whether it is the only file, or named; beside an image it is passed over."""
    saves = {"class_type": "SaveVideo", "inputs": {"video": ["8", 0], "filename_prefix": "v"}}
    assert "no node saves an image" in mistakes(example(titles=False, n9=None, n10=saves))
    why = "how node 10 (SaveVideo) names its files is not known"
    assert why in mistakes(example(n10=saves), output="10")
    assert bound(example(titles=False, n10=saves)).output == "9"
