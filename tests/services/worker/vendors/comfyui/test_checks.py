"""A ComfyUI is looked at before anything is submitted: is it there, how old, does the graph fit?"""

from copy import deepcopy
from typing import Any

import httpx
import pytest

from services.worker.graphs.plan import MOST_SEED, Plan
from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.chosen import chosen_images
from services.worker.vendors.comfyui import checks
from services.worker.vendors.comfyui.calls import Calls
from services.worker.vendors.comfyui.checks import Kinds, fit
from services.worker.vendors.comfyui.images import ComfyuiImages
from shared.pipeline.findings import Finding, Verdict
from tests.services.mock_core.serving import Service
from tests.services.worker.graphs.examples import WITHOUT_MODELS, example, plan_of
from tests.services.worker.vendors.comfyui.bodies import KINDS, STATS
from tests.services.worker.vendors.stub import Answer, StubVendor, reply

NO_ROUTE = httpx.Response(404, text="404: Not Found")


def version(told: object) -> Answer:
    return reply(system={"os": "linux", "comfyui_version": told})


def server(told: object = "0.28.0", **changes: Answer) -> StubVendor:
    """A ComfyUI that knows the documented graph's types; `changes` by type."""
    known = {kind: reply(**{kind: says}) for kind, says in KINDS.items()} | changes
    kinds = {f"GET /api/object_info/{kind}": [answer] for kind, answer in known.items()}
    return StubVendor({STATS: [version(told)], **kinds})


async def found(vendor: StubVendor, plan: Plan | None = None) -> dict[str, Finding]:
    told = await checks.examined(Calls(vendor.client()), plan or plan_of(example()))
    assert all("\n" not in each.says for each in told)
    return {each.check: each for each in told}


async def test_suitable_server_passes_each_check_and_nothing_is_queued() -> None:
    vendor = server()
    told = await found(vendor)
    assert {name: (each.verdict, each.says) for name, each in told.items()} == {
        "ComfyUI": ("ok", "answers at http://vendor, and accepts our credentials"),
        "ComfyUI version": ("ok", "0.28.0"),
        "ComfyUI nodes": ("ok", "all 6 node types exist"),
        "ComfyUI models": ("ok", "all that the workflow names are in the server's lists"),
        "ComfyUI bindings": (
            "ok",
            "seed=3.seed, width=5.width, height=5.height, prompt=6.text,"
            " prefix=9.filename_prefix; they take the job's values",
        ),
        "ComfyUI output": ("ok", "node 9 (genvideo:output)"),
    }
    assert all(asked.startswith("GET ") for asked in vendor.asked)


@pytest.mark.parametrize(
    ("answer", "verdict", "says"),
    [
        (
            httpx.ConnectError("refused"),
            "away",
            "no server answers at http://vendor (COMFYUI_URL)",
        ),
        (reply(401, error="unauthorized"), "wrong", "the server refuses us: check COMFYUI_HEADERS"),
        (reply(403), "wrong", "the server refuses us: check COMFYUI_HEADERS"),
        (NO_ROUTE, "wrong", "no ComfyUI answers at COMFYUI_URL"),
        (httpx.Response(302, headers={"location": "/login"}), "wrong", "redirects elsewhere"),
        (httpx.Response(200, text="<h1>hello"), "wrong", "is not a JSON object"),
        (reply(503), "warning", "is unavailable for now"),
    ],
)
async def test_refused_login_is_the_only_finding(answer: Answer, verdict: str, says: str) -> None:
    vendor = StubVendor({STATS: [answer]})
    [only] = (await found(vendor)).values()
    assert (only.check, only.verdict, says in only.says) == ("ComfyUI", verdict, True), only.says
    assert len(vendor.asked) == 1


async def test_version_of_the_server() -> None:
    for told, verdict, says in (
        ("0.3.44", "wrong", "0.3.44 is too old: it does not take a prompt_id, as 0.3.45 does"),
        ("v0.2.7", "wrong", "0.2.7 is too old"),
        ("0.3.63", "warning", "0.3.63 is older than any tested version"),
        ("0.3.64", "ok", "0.3.64"),
        ("1.0", "ok", "1.0"),
        (None, "warning", "does not say its version"),
        ("mine", "warning", "does not say its version"),
    ):
        finding = (await found(server(told)))["ComfyUI version"]
        assert finding.verdict == verdict
        assert finding.says.startswith(says) or says in finding.says


async def test_each_mistake_has_its_check_and_many_are_counted() -> None:
    nodes = example()
    del nodes["3"]["inputs"]["seed"]
    nodes["3"]["_meta"] = {}
    model = reply(CheckpointLoaderSimple={"input": {"required": {"ckpt_name": [["other"], {}]}}})
    unknown = dict.fromkeys(("CLIPTextEncode", "VAEDecode", "SaveImage"), reply())
    vendor = server(CheckpointLoaderSimple=model, **unknown)
    told = await found(vendor, plan_of(nodes, bindings="seed=5.width"))
    wrong = {name: each.says for name, each in told.items() if each.verdict is Verdict.WRONG}
    assert set(wrong) == {"ComfyUI nodes", "ComfyUI models", "ComfyUI bindings"}
    assert "is of the type VAEDecode, which the server doesn't have" in wrong["ComfyUI nodes"]
    assert wrong["ComfyUI nodes"].endswith("; and 1 more")
    assert "is not among the server's: other" in wrong["ComfyUI models"]


async def test_unbound_seed_and_temporary_result_are_warnings() -> None:
    kind = reply(PreviewImage=KINDS["SaveImage"])
    nodes = example(titles=False)
    del nodes["3"]["inputs"]["seed"]
    nodes["3"] |= {"class_type": "VAEDecode"}
    nodes["3"]["inputs"].pop("latent_image")
    nodes["9"] |= {"class_type": "PreviewImage"}
    told = await found(
        server(PreviewImage=kind), plan_of(nodes, bindings="prompt=6.text", output="9")
    )
    assert told["ComfyUI bindings"].verdict is Verdict.WARNING
    assert told["ComfyUI bindings"].says.startswith("no input takes the seed: each job uses the")
    assert told["ComfyUI output"].verdict is Verdict.WARNING
    assert told["ComfyUI output"].says.startswith("node 9 (PreviewImage): its file is temporary")


async def test_server_without_node_descriptions_is_a_warning() -> None:
    told = await found(server(VAEDecode=NO_ROUTE))
    assert told["ComfyUI nodes"].verdict is Verdict.WARNING
    assert "can't be compared: The server does not describe its nodes" in told["ComfyUI nodes"].says
    assert "ComfyUI models" not in told


async def test_servers_text_stays_one_printable_line() -> None:
    kind = {"input": {"required": {"ckpt_name": [["a\n\x1b[31mb"], {}]}}}
    told = await found(server(CheckpointLoaderSimple=reply(CheckpointLoaderSimple=kind)))
    assert told["ComfyUI models"].says.endswith("is not among the server's: a [31mb")


async def test_offer_lists_the_models() -> None:
    http = server().client()
    for nodes, told in (
        (example(), "v1-5-pruned-emaonly-fp16.safetensors"),
        (example(WITHOUT_MODELS), "no model"),
    ):
        plan = plan_of(nodes)
        vendor = ComfyuiImages(Calls(http), plan, None, {})  # type: ignore[arg-type]
        assert vendor.offer() == f"the ComfyUI at http://vendor, with {told}"


async def test_native_mock_passes(image_mock: Service) -> None:
    """By the settings."""
    settings = WorkerSettings.model_validate(
        {
            "callback_secret": "x" * 32,
            "image_service_url": str(image_mock.http.base_url),
            "image_api": "comfyui",
            "comfyui_workflow": WITHOUT_MODELS,
        }
    )
    async with chosen_images(settings) as images:
        assert isinstance(images, ComfyuiImages)
        told = {each.check: each for each in await images.examined()}
    assert {each.verdict for each in told.values()} <= {Verdict.OK, Verdict.WARNING}
    assert told["ComfyUI version"].says == "0.28.0"
    assert await image_mock.json("/admin/ledger") == []


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
    found = fit(plan_of(nodes or example(), **plan), kinds)
    return [each.says for each in found if each.verdict is Verdict.WRONG]


def test_documented_graph_fits_a_real_server() -> None:
    assert mistakes(kinds(), width=768, height=432) == []


def test_wrong_input_is_reported_with_its_node() -> None:
    for server, said in (
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
            kinds(CLIPTextEncode__text=["BOOLEAN", {}]),
            "prompt=6.text is of type BOOLEAN, and does not take it",
        ),
        (
            kinds(SaveImage__filename_prefix=[["a", "genvideo"], {}]),
            "prefix=9.filename_prefix is a list, and does not take it",
        ),
        (
            kinds(KSampler__seed=["INT", {"max": 9999}]),
            f"seed=3.seed takes at most 9999, and would get {MOST_SEED}",
        ),
        (
            kinds(KSampler__seed=None),
            "seed=3.seed: the server's type of that node has no such input",
        ),
        (
            kinds(SaveImage={**KINDS["SaveImage"], "output_node": False}),
            "node 9 (genvideo:output) can't give the result, because its type, SaveImage,"
            " keeps no output",
        ),
    ):
        assert mistakes(server) == [said]


def test_size_is_within_the_servers_bounds() -> None:
    server = kinds(EmptyLatentImage__width=["INT", {"min": 64, "max": 512}])
    assert mistakes(server, width=768, height=432) == [
        "width=5.width takes at most 512, and would get 768"
    ]
    assert mistakes(server, width=32, height=432) == [
        "width=5.width takes at least 64, and would get 32"
    ]


def test_incomplete_list_decides_nothing() -> None:
    for entry in (
        [["another.png"], {"image_upload": True}],
        ["COMBO", {"options": [], "remote": {"route": "/models"}}],
        ["COMBO", {"options": ["x"], "multiselect": True}],
        ["STRING", {}],
        ["COMBO", {}],
        [],
        None,
    ):
        server = kinds()
        changed = {**KINDS["CheckpointLoaderSimple"], "input": {"optional": {"ckpt_name": entry}}}
        assert mistakes({**server, "CheckpointLoaderSimple": changed}) == []


def test_unused_nodes_need_to_be_known_but_not_to_fit() -> None:
    aside = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "gone.safetensors"}}
    assert mistakes(kinds(), example(n20=aside)) == []
    [told] = mistakes(kinds(), example(n20={**aside, "class_type": "Gone"}))
    assert told.startswith("node 20 (Gone) is of the type Gone")


@pytest.mark.parametrize("kind", ["*", "STRING,PROMPT", "STRING"])
def test_type_any_or_one_of_several(kind: str) -> None:
    assert mistakes(kinds(CLIPTextEncode__text=[kind, {}])) == []


@pytest.mark.parametrize("odd", [{}, {"input": None}, {"input": {"required": []}}])
def test_type_without_described_inputs_is_no_failure(odd: Any) -> None:
    server = kinds(VAEDecode=odd)
    assert mistakes(server) == []
