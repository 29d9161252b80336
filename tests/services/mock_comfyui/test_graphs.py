"""Which graphs are refused and why, which node types there are, and what they make."""

import io
import json
from pathlib import Path

from PIL import Image

from services.mock_comfyui.app import create_app
from tests.services.mock_comfyui.client import (
    entry_of,
    history_of,
    queue,
    sampler_graph,
    simple_graph,
)
from tests.services.mock_core.serving import Json, Service, comfyui, running

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


async def test_wrong_graphs_are_refused_as_captured(image_mock: Service) -> None:
    for name, error in CAPTURED["outer"].items():
        assert await _refused(image_mock, GRAPHS[name]) == {"error": error, "node_errors": {}}
    for name, details in CAPTURED["details"].items():
        body = await _refused(image_mock, GRAPHS[name])
        assert body["error"]["type"] == "prompt_outputs_failed_validation"
        assert body["error"]["details"] == details
        first = {key: node["errors"][0] for key, node in body["node_errors"].items()}
        told = {
            key: [it["type"], it["details"], it["extra_info"].get("exception_type")]
            for key, it in first.items()
        }
        assert told == CAPTURED["nodes"].get(name, told)
    await image_mock.configure(native={"version": "0.3.64"})
    error = (await _refused(image_mock, {"1": {"class_type": "Nope", "inputs": {}}}))["error"]
    expected = "Cannot execute because node Nope does not exist."
    assert (error["type"], error["message"]) == ("invalid_prompt", expected)


async def test_graphs_that_break_the_server(image_mock: Service) -> None:
    bodies: tuple[Json | None, ...] = (
        {"prompt": None},
        {"prompt": []},
        {"prompt": "x"},
        None,
        {"prompt": {"last_node_id": 2, "nodes": [{"id": 1}]}},
        {"prompt": {"1": None}},
        {"prompt": simple_graph(), "extra_data": "x"},
    )
    for body in bodies:
        reply = await image_mock.http.post("/prompt", json=body)
        assert (reply.status_code, reply.text.split("\n")[0]) == (500, "500 Internal Server Error")
    reply = await image_mock.post("/prompt", [1])
    assert (reply.status_code, reply.json()["error"]["type"]) == (400, "no_prompt")
    large = b'{"x":"' + b"A" * 5_000_000 + b'"}'
    assert (await image_mock.http.post("/prompt", content=large)).status_code == 413
    assert (await image_mock.json("/admin/stats"))["accepted"] == 0


async def test_values_of_a_graph_are_converted(image_mock: Service) -> None:
    graph = simple_graph()
    graph["1"]["inputs"].update(width=64.9, height="32", batch_size=True)
    entry = await entry_of(image_mock, graph)
    assert entry["status"]["completed"]
    kept = entry["prompt"][2]["1"]["inputs"]
    assert [kept[name] for name in ("width", "height", "batch_size")] == [64, 32, 1]


async def test_text_in_place_of_a_link_fails_in_the_run(image_mock: Service) -> None:
    graph = simple_graph()
    graph["2"]["inputs"]["images"] = "1"
    kind, error = (await entry_of(image_mock, graph))["status"]["messages"][-1]
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


async def test_secrets_are_in_no_answer(image_mock: Service) -> None:
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


CATALOGUE = json.loads(
    (Path(__file__).parent / "captured" / "object_info-0.28.0.json").read_text(encoding="utf-8")
)


def _node(kind: str, **inputs: object) -> Json:
    return {"class_type": kind, "inputs": inputs}


async def test_node_types_match_the_capture_and_list_the_files(
    image_mock: Service,
) -> None:
    assert await image_mock.json("/object_info/PreviewImage") == CATALOGUE["whole"]
    assert await image_mock.json("/api/object_info/Nope") == {}
    for name, parts in CATALOGUE["parts"].items():
        entry = (await image_mock.json(f"/object_info/{name}"))[name]
        assert {member: entry[member] for member in parts} == parts
    files = {"image": ("in.png", b"x", "image/png")}
    await image_mock.http.post("/upload/image", files=files)
    told = await image_mock.json("/object_info")
    sampler = told["KSampler"]["input"]["required"]
    assert len(sampler["sampler_name"][0]) == CATALOGUE["samplers"]
    assert len(sampler["scheduler"][0]) == CATALOGUE["schedulers"]
    assert told["LoadImage"]["input"]["required"]["image"][0] == ["in.png"]
    loader = told["CheckpointLoaderSimple"]["input"]["required"]
    assert loader["ckpt_name"][0] == ["mock.safetensors"]
    assert {"ImageScale", "LoraLoader", "VAEEncode", "SaveAnimatedWEBP"} <= told.keys()
    assert "$" not in json.dumps(told)
    # Nodes of the newer kind may have no name to show.
    named = {name: entry["display_name"] for name, entry in told.items()}
    assert named["SaveAnimatedPNG"] is named["SaveAnimatedWEBP"] is None
    assert (named["SaveImageAdvanced"], named["KSampler"]) == ("Save Image (Advanced)", "KSampler")
    assert told["SaveAnimatedPNG"]["api_node"] is False
    assert "api_node" not in told["KSampler"]


async def test_models_and_small_routes_of_the_server(image_mock: Service) -> None:
    assert "loras" in await image_mock.json("/models")
    assert await image_mock.json("/models/checkpoints") == ["mock.safetensors"]
    assert await image_mock.json("/api/models/controlnet") == []
    reply = await image_mock.http.get("/models/nope")
    assert (reply.status_code, reply.content) == (404, b"")
    settings = comfyui().state.mock.settings
    async with running(create_app(settings, checkpoints=())) as service:
        assert await service.json("/models/checkpoints") == []
    assert await image_mock.json("/users") == {"storage": "server", "migrated": False}
    assert await image_mock.json("/embeddings") == []
    assert (await image_mock.json("/features"))["max_upload_size"] == 104857600
    assert isinstance(await image_mock.json("/extensions"), list)
    assert await image_mock.json("/settings") == {}


async def test_freed_memory_clears_the_cache(image_mock: Service) -> None:
    cached = []
    for body in (None, {"unload_models": True}, {"unload_models": True, "free_memory": True}):
        if body is not None:
            assert (await image_mock.post("/free", body)).status_code == 200
        messages = (await entry_of(image_mock, simple_graph()))["status"]["messages"]
        cached.append(messages[1][1]["nodes"])
    assert cached == [[], ["1", "2"], []]


async def test_prompt_drops_unused_results_from_the_cache(image_mock: Service) -> None:
    """So the first graph runs again after another one, and makes a file of its own."""
    files = []
    for color in (1, 2, 1):
        entry = await entry_of(image_mock, simple_graph(color))
        files.append(entry["outputs"]["2"]["images"][0]["filename"])
    assert files == [f"probe_0000{number}_.png" for number in (1, 2, 3)]
    # An input that no type declares makes another node of it.
    graph = simple_graph(1)
    graph["1"]["inputs"]["salt"] = 1
    entry = await entry_of(image_mock, graph)
    assert entry["status"]["messages"][1][1]["nodes"] == []


SAVERS: dict[str, tuple[Json, str]] = {
    "SaveImage": ({}, "saved_00001_.png"),
    "SaveImageAdvanced": (
        {"format": "png", "format.bit_depth": "8-bit", "format.input_color_space": "sRGB"},
        "saved_00001.png",
    ),
    "SaveAnimatedPNG": ({"fps": 6.0, "compress_level": 4}, "saved_00001_.png"),
    "SaveAnimatedWEBP": (
        {"fps": 6.0, "lossless": True, "quality": 80, "method": "default"},
        "saved_00001_.webp",
    ),
}


async def test_each_saving_node_names_its_files_differently(image_mock: Service) -> None:
    for kind, (inputs, name) in SAVERS.items():
        for number in (1, 2):
            graph = simple_graph(number)
            prefix = f"{kind}/saved"
            graph["2"] = _node(kind, images=["1", 0], filename_prefix=prefix, **inputs)
            entry = await entry_of(image_mock, graph)
            (image,) = entry["outputs"]["2"]["images"]
            assert image["filename"] == name.replace("1", str(number))
        reply = await image_mock.http.get("/view", params=image)
        Image.open(io.BytesIO(reply.content)).load()


async def test_format_adds_its_own_inputs(image_mock: Service) -> None:
    graph = {
        "1": FULL,
        "2": _node("SaveImageAdvanced", images=["1", 0], filename_prefix="x", format="png"),
    }
    body = await _refused(image_mock, graph)
    missing = [each["details"] for each in body["node_errors"]["2"]["errors"]]
    assert missing == ["format.bit_depth", "format.input_color_space"]
    graph["2"]["inputs"] |= {"format.bit_depth": "64-bit", "format.input_color_space": "sRGB"}
    body = await _refused(image_mock, graph)
    assert body["node_errors"]["2"]["errors"][0]["type"] == "value_not_in_list"


async def test_texts_and_animations(image_mock: Service) -> None:
    inputs, _ = SAVERS["SaveAnimatedWEBP"]
    animated = simple_graph()
    animated["1"]["inputs"]["batch_size"] = 3
    animated["2"] = _node("SaveAnimatedWEBP", images=["1", 0], filename_prefix="anim", **inputs)
    jobs = []
    for graph in ({"2": _node("PreviewAny", source="text here")}, animated):
        answer = await queue(image_mock, graph)
        await history_of(image_mock, answer["prompt_id"])
        jobs.append(await image_mock.json(f"/api/jobs/{answer['prompt_id']}"))
    text, film = jobs
    assert text["outputs"] == {"2": {"text": ["text here"]}}
    preview = {"content": "text here", "nodeId": "2", "mediaType": "text"}
    assert (text["outputs_count"], text["preview_output"]) == (0, preview)
    (image,) = film["outputs"]["2"]["images"]
    assert (image["filename"], film["outputs"]["2"]["animated"]) == ("anim_00001_.webp", [True])
    reply = await image_mock.http.get("/view", params=image)
    assert Image.open(io.BytesIO(reply.content)).format == "WEBP"
