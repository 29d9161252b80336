"""What is sent for a job: the same for each try of a generation, another for any other one."""

import uuid

import pytest

from services.worker.graphs.plan import merged, prompt_id_of, seed_of
from tests.services.worker.graphs.examples import WITHOUT_MODELS, example, plan_of

FIRST, SECOND = (f"job-0123456789abcdef01234567.image.{number}" for number in (1, 2))


def test_the_graph_is_filled_in() -> None:
    plan = plan_of(example(), width=640)
    order = plan.order(FIRST, prompt="猫", style="ink")
    assert order["6"]["inputs"]["text"] == "猫, ink"
    assert order["3"]["inputs"]["seed"] == seed_of(FIRST)
    assert (order["5"]["inputs"]["width"], order["5"]["inputs"]["height"]) == (640, 432)
    assert order["9"]["inputs"]["filename_prefix"] == f"genvideo/{prompt_id_of(FIRST)}/image"
    assert order == plan.order(FIRST, prompt="猫", style="ink")


def test_another_attempt_has_another_seed_id_and_file() -> None:
    plan = plan_of(example())
    first, second = (plan.order(each, prompt="猫", style="") for each in (FIRST, SECOND))
    for node, name in (("3", "seed"), ("9", "filename_prefix")):
        assert first[node]["inputs"][name] != second[node]["inputs"][name]
    assert prompt_id_of(FIRST) != prompt_id_of(SECOND)


def test_the_prompts_id_is_a_uuid_as_the_server_takes_it() -> None:
    prompt_id = prompt_id_of(FIRST)
    assert str(uuid.UUID(prompt_id)) == prompt_id == "b15ce7ba-5f0c-5916-be76-a51537891fc9"
    assert prompt_id_of(prompt_id) == prompt_id
    assert seed_of(FIRST) == 3517593185


@pytest.mark.parametrize(
    ("template", "style", "text"),
    [
        ("{prompt}, {style}", "ink", "a {style} cat, ink"),
        ("{prompt}, {style}", "", "a {style} cat"),
        ("{style}: {prompt} (best)", "ink", "ink: a {style} cat (best)"),
        ("{prompt}; {style}, {sharp|soft}", "", "a {style} cat, {sharp|soft}"),
    ],
)
def test_prompt_and_style_meet_in_the_template(template: str, style: str, text: str) -> None:
    assert merged(template, prompt="a {style} cat", style=style) == text


def test_a_sampler_weighs_its_steps() -> None:
    assert plan_of(example()).weights() == {"3": 20, **dict.fromkeys("456789", 1)}


def test_without_a_prefix_nothing_is_found_by_its_file() -> None:
    assert plan_of(example()).is_found_by_file
    preview = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    nodes = example(WITHOUT_MODELS, n2=preview)
    assert not plan_of(nodes, output="2").is_found_by_file


def test_a_file_is_sure_to_be_found_only_where_its_own_node_names_it_and_is_known() -> None:
    def found(kind: str) -> tuple[bool, bool]:
        save = {"class_type": kind, "inputs": {"images": ["8", 0], "filename_prefix": "x"}}
        plan = plan_of(example(titles=False, n9=save))
        return plan.is_found_by_file, plan.names_its_file

    assert found("SaveImage") == found("SaveAnimatedPNG") == (True, True)
    assert found("SaveAnimatedWEBP") == found("SaveAsToldTo") == (False, True)
    words = {"class_type": "PrimitiveString", "inputs": {"value": "x"}}
    linked = {
        "class_type": "SaveImage",
        "inputs": {"images": ["8", 0], "filename_prefix": ["20", 0]},
    }
    nodes = example(titles=False, n9=linked, n20=words)
    far = plan_of(nodes, bindings="prefix=20.value")
    assert (far.is_found_by_file, far.names_its_file) == (False, False)
