"""What a graph is refused for, and what is let through, as captured from a real server."""

import json
from pathlib import Path

import pytest

from tests.services.mock_comfyui.native.client import (
    history_of,
    queue,
    sampler_graph,
    simple_graph,
)
from tests.services.mock_core.serving import Json, Service

CAPTURED = json.loads(
    (Path(__file__).parent / "captured" / "refusals-0.28.0.json").read_text(encoding="utf-8")
)
EMPTY = {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}}
FULL = {"class_type": "EmptyImage", "inputs": {**EMPTY["inputs"], "color": 1}}  # type: ignore[dict-item]
LATENT = {
    "class_type": "EmptyLatentImage",
    "inputs": {"width": 64, "height": 64, "batch_size": 1},
}


def _save(**inputs: object) -> Json:
    return {"class_type": "SaveImage", "inputs": inputs}


def _blur(link: str) -> Json:
    inputs = {"image": [link, 0], "blur_radius": 1, "sigma": 1.0}
    return {"class_type": "ImageBlur", "inputs": inputs}


GRAPHS: dict[str, Json] = {
    "node without class_type": {"1": {"inputs": {}}},
    "unknown node, titled": {
        "1": {"class_type": "NopeNode", "inputs": {}, "_meta": {"title": "My Nope"}},
        "2": _save(images=["1", 0], filename_prefix="x"),
    },
    "missing link": {"1": FULL, "2": _save(filename_prefix="x")},
    "missing input": {"1": EMPTY, "2": _save(images=["1", 0], filename_prefix="x")},
    "no inputs key": {"1": FULL, "2": {"class_type": "SaveImage"}},
    "link to a node that is not there": {"2": _save(images=["7", 0], filename_prefix="x")},
    "link of length 1": {"1": FULL, "2": _save(images=["1"], filename_prefix="x")},
    "link with an int id": {"1": FULL, "2": _save(images=[1, 0], filename_prefix="x")},
    "wrong type of link": {"1": LATENT, "2": _save(images=["1", 0], filename_prefix="x")},
    "an output with two mistakes": {"1": FULL, "2": _save()},
    "two outputs with one mistake each": {
        "1": FULL,
        "2": _save(filename_prefix="x"),
        "3": {"class_type": "PreviewImage", "inputs": {}},
    },
    "cycle": {"1": _blur("2"), "2": _blur("1"), "3": _save(images=["1", 0], filename_prefix="x")},
    "LoadImage of a file that is not there": {
        "1": {"class_type": "LoadImage", "inputs": {"image": "nope.png"}},
        "2": _save(images=["1", 0], filename_prefix="x"),
    },
}


async def _refused(service: Service, graph: Json) -> Json:
    reply = await service.post("/prompt", {"prompt": graph})
    assert reply.status_code == 400
    return dict(reply.json())


@pytest.mark.parametrize("name", CAPTURED["outer"])
async def test_a_graph_with_a_node_of_no_known_type(image_mock: Service, name: str) -> None:
    body = await _refused(image_mock, GRAPHS[name])
    assert body == {"error": CAPTURED["outer"][name], "node_errors": {}}


@pytest.mark.parametrize("name", CAPTURED["details"])
async def test_what_is_wrong_in_the_outputs_is_told_in_one_text(
    image_mock: Service, name: str
) -> None:
    body = await _refused(image_mock, GRAPHS[name])
    assert body["error"]["type"] == "prompt_outputs_failed_validation"
    assert body["error"]["details"] == CAPTURED["details"][name]
    expected = CAPTURED["nodes"].get(name)
    if expected is not None:
        told = {
            node_id: [
                node["errors"][0]["type"],
                node["errors"][0]["details"],
                node["errors"][0]["extra_info"].get("exception_type"),
            ]
            for node_id, node in body["node_errors"].items()
        }
        assert told == expected


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": None},
        {"prompt": []},
        {"prompt": "x"},
        None,
        {"prompt": {"last_node_id": 2, "nodes": [{"id": 1}]}},
        {"prompt": {"1": None}},
        {"prompt": simple_graph(), "number": "x"},
        {"prompt": simple_graph(), "extra_data": "x"},
    ],
)
async def test_what_the_server_stumbles_over(image_mock: Service, body: object) -> None:
    reply = await image_mock.http.post("/prompt", json=body)
    assert (reply.status_code, reply.text.split("\n")[0]) == (500, "500 Internal Server Error")
    assert (await image_mock.json("/admin/stats"))["accepted"] == 0


async def test_a_list_has_no_prompt(image_mock: Service) -> None:
    reply = await image_mock.post("/prompt", [1])
    assert (reply.status_code, reply.json()["error"]["type"]) == (400, "no_prompt")


async def test_more_than_the_server_takes_is_413(image_mock: Service) -> None:
    large = b'{"x":"' + b"A" * 5_000_000 + b'"}'
    reply = await image_mock.http.post("/prompt", content=large)
    assert reply.status_code == 413


async def test_values_are_converted_in_the_graph(image_mock: Service) -> None:
    graph = simple_graph()
    graph["1"]["inputs"].update(width=64.9, height="32", batch_size=True)
    answer = await queue(image_mock, graph)
    entry = await history_of(image_mock, answer["prompt_id"])
    assert entry["status"]["completed"]
    kept = entry["prompt"][2]["1"]["inputs"]
    assert [kept[name] for name in ("width", "height", "batch_size")] == [64, 32, 1]


async def test_a_text_in_the_place_of_a_link_fails_in_the_run(image_mock: Service) -> None:
    graph = simple_graph()
    graph["2"]["inputs"]["images"] = "1"
    answer = await queue(image_mock, graph)
    kind, error = (await history_of(image_mock, answer["prompt_id"]))["status"]["messages"][-1]
    assert (kind, error["node_id"], error["exception_type"]) == (
        "execution_error",
        "2",
        "AttributeError",
    )


async def test_samplers_of_the_real_server_are_known(image_mock: Service) -> None:
    graph = sampler_graph()
    graph["3"]["inputs"]["sampler_name"] = "dpmpp_2m_sde"
    await queue(image_mock, graph)
    graph["3"]["inputs"]["sampler_name"] = "nope"
    (error,) = (await _refused(image_mock, graph))["node_errors"]["3"]["errors"]
    assert error["details"] == "sampler_name: 'nope' not in (list of length 44)"
    assert error["extra_info"]["input_config"] is None


async def test_secrets_are_kept_out_of_every_answer(image_mock: Service) -> None:
    extra = {
        "client_id": "inner",
        "api_key_comfy_org": "S3CRET",
        "auth_token_comfy_org": "S3CRET",
        "extra_pnginfo": {"workflow": {"id": "wf-1"}},
    }
    await image_mock.arm({"where": "start", "do": "stick"})
    answer = await queue(image_mock, simple_graph(), extra_data=extra)
    path = f"/api/jobs/{answer['prompt_id']}"
    job = await image_mock.until(path, lambda it: it["status"] == "in_progress")
    assert job["workflow_id"] == "wf-1"
    told = [(await image_mock.http.get("/queue")).text]
    await image_mock.post("/interrupt", {})
    entry = await history_of(image_mock, answer["prompt_id"])
    told += [json.dumps(entry), (await image_mock.http.get(path)).text]
    assert "S3CRET" not in "".join(told)
    assert {"client_id", "extra_pnginfo", "create_time"} == entry["prompt"][3].keys()


async def test_an_old_server_has_words_of_its_own(image_mock: Service) -> None:
    await image_mock.http.put("/admin/config", json={"native": {"version": "0.3.64"}})
    error = (await _refused(image_mock, {"1": {"class_type": "Nope", "inputs": {}}}))["error"]
    expected = "Cannot execute because node Nope does not exist."
    assert (error["type"], error["message"]) == ("invalid_prompt", expected)
