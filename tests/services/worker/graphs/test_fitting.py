"""A graph against what a server says of its types of nodes, before it is sent there."""

from copy import deepcopy
from typing import Any

import pytest

from services.worker.graphs import fitting
from services.worker.graphs.fitting import Kinds
from services.worker.graphs.plan import MOST_SEED
from tests.services.worker.graphs.examples import example, plan_of
from tests.services.worker.vendors.comfyui.bodies import KINDS

CHECKPOINT = "v1-5-pruned-emaonly-fp16.safetensors"


def kinds(**changes: Any) -> Kinds:
    """The server's types; a change is a type's, or one input's of it."""
    found = deepcopy(KINDS)
    for name, change in changes.items():
        kind, _, entry = name.partition("__")
        if not entry:
            found[kind] = change
            continue
        required = found[kind]["input"]["required"]
        required.pop(entry, None)
        if change is not None:
            required[entry] = change
    return found


def mistakes(kinds: Kinds, nodes: Any = None, **plan: Any) -> list[str]:
    """All that is found, of whatever kind."""
    made = plan_of(nodes or example(), **plan)
    output = fitting.output_misfit(made, kinds)
    return [
        *fitting.missing_kinds(made, kinds),
        *fitting.lacking_inputs(made, kinds),
        *fitting.missing_choices(made, kinds),
        *fitting.misfit_bindings(made, kinds),
        *([output] if output else []),
    ]


def test_the_documented_graph_fits_a_real_server() -> None:
    assert mistakes(kinds(), width=768, height=432) == []
    assert fitting.kinds_of(plan_of(example())) == sorted(KINDS)


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (
            kinds(VAEDecode=None),
            "node 8 (VAE Decode) is of the type VAEDecode, which the server doesn't have",
        ),
        (
            kinds(CheckpointLoaderSimple__ckpt_name=[["a", "b", "c", "d", "e", "f", "g"], {}]),
            f"node 4 (Load Checkpoint): ckpt_name={CHECKPOINT} is not among the server's:"
            " a, b, c, d, e and 2 more",
        ),
        (
            kinds(CheckpointLoaderSimple__ckpt_name=["COMBO", {"options": []}]),
            f"node 4 (Load Checkpoint): ckpt_name={CHECKPOINT} is not among the server's,"
            " which has none",
        ),
        (
            kinds(KSampler__scheduler=["COMBO", {"options": ["karras"]}]),
            "node 3 (KSampler genvideo:seed): scheduler=normal is not among the server's: karras",
        ),
        (
            kinds(KSampler__noise=["FLOAT", {}]),
            "node 3 (KSampler genvideo:seed): the server wants noise, which the graph does not"
            " have",
        ),
        (
            kinds(CLIPTextEncode__text=["INT", {}]),
            "prompt=6.text is of type INT, and does not take it",
        ),
        (
            kinds(SaveImage__filename_prefix=[["a", "genvideo"], {}]),
            "prefix=9.filename_prefix is a list, and does not take it",
        ),
        (
            kinds(KSampler__seed=["INT", {"max": 9999}]),
            f"seed=3.seed takes 9999 at the most, and would be given {MOST_SEED}",
        ),
        (
            kinds(KSampler__seed=None),
            "seed=3.seed: the server's type of that node has no such input",
        ),
        (
            kinds(SaveImage={**KINDS["SaveImage"], "output_node": False}),
            "node 9 (genvideo:output) gives the result, and is no output: its type, SaveImage,"
            " keeps none",
        ),
    ],
)
def test_what_does_not_fit_is_told_with_its_node(server: Kinds, said: str) -> None:
    assert mistakes(server) == [said]


def test_a_size_is_within_what_the_server_takes() -> None:
    server = kinds(EmptyLatentImage__width=["INT", {"min": 64, "max": 512}])
    assert mistakes(server, width=768, height=432) == [
        "width=5.width takes 512 at the most, and would be given 768"
    ]
    assert mistakes(server, width=32, height=432) == [
        "width=5.width takes 64 at the least, and would be given 32"
    ]
    assert mistakes(server) == []


def test_a_link_that_leads_nowhere_is_told() -> None:
    nodes = example()
    nodes["8"]["inputs"]["vae"] = ["44", 2]
    assert mistakes(kinds(), nodes) == [
        "node 8 (VAE Decode): vae comes from node 44, which is not there"
    ]


@pytest.mark.parametrize(
    "entry",
    [
        [["another.png"], {"image_upload": True}],
        ["COMBO", {"options": [], "remote": {"route": "/models"}}],
        ["COMBO", {"options": ["x"], "multiselect": True}],
        ["STRING", {}],
        ["COMBO", {}],
        [],
        None,
    ],
)
def test_a_list_that_is_not_all_there_is_decides_nothing(entry: object) -> None:
    server = kinds()
    changed = {**KINDS["CheckpointLoaderSimple"], "input": {"optional": {"ckpt_name": entry}}}
    assert mistakes({**server, "CheckpointLoaderSimple": changed}) == []


def test_what_the_result_does_not_depend_on_need_not_fit_but_must_be_known() -> None:
    aside = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "gone.safetensors"}}
    assert mistakes(kinds(), example(n20=aside)) == []
    [told] = mistakes(kinds(), example(n20={**aside, "class_type": "Gone"}))
    assert told.startswith("node 20 (Gone) is of the type Gone")


@pytest.mark.parametrize("kind", ["*", "STRING,PROMPT", "STRING"])
def test_a_type_that_is_any_or_one_of_several(kind: str) -> None:
    assert mistakes(kinds(CLIPTextEncode__text=[kind, {}])) == []


@pytest.mark.parametrize("odd", [{}, {"input": None}, {"input": {"required": []}}])
def test_a_type_that_tells_nothing_of_its_inputs_is_no_reason_to_fail(odd: Any) -> None:
    server = kinds(VAEDecode=odd)
    assert mistakes(server) == []
