"""What the server says it has, and the nodes beyond pictures that are saved."""

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from services.mock_comfyui.app import create_app
from tests.services.mock_comfyui.native.client import history_of, queue, simple_graph
from tests.services.mock_core.serving import Json, Service, comfyui, running

CAPTURED = json.loads(
    (Path(__file__).parent / "captured" / "object_info-0.28.0.json").read_text(encoding="utf-8")
)


def _node(kind: str, **inputs: object) -> Json:
    return {"class_type": kind, "inputs": inputs}


async def test_one_type_is_told_as_captured(image_mock: Service) -> None:
    assert await image_mock.json("/object_info/PreviewImage") == CAPTURED["whole"]
    assert await image_mock.json("/api/object_info/Nope") == {}


@pytest.mark.parametrize("name", CAPTURED["parts"])
async def test_types_have_the_captured_inputs(image_mock: Service, name: str) -> None:
    entry = (await image_mock.json(f"/object_info/{name}"))[name]
    assert {member: entry[member] for member in CAPTURED["parts"][name]} == CAPTURED["parts"][name]


async def test_all_types_with_the_files_that_there_are(image_mock: Service) -> None:
    files = {"image": ("in.png", b"x", "image/png")}
    await image_mock.http.post("/upload/image", files=files)
    told = await image_mock.json("/object_info")
    sampler = told["KSampler"]["input"]["required"]
    assert len(sampler["sampler_name"][0]) == CAPTURED["samplers"]
    assert len(sampler["scheduler"][0]) == CAPTURED["schedulers"]
    assert told["LoadImage"]["input"]["required"]["image"][0] == ["in.png"]
    loader = told["CheckpointLoaderSimple"]["input"]["required"]
    assert loader["ckpt_name"][0] == ["mock.safetensors"]
    assert {"ImageScale", "LoraLoader", "VAEEncode", "SaveAnimatedWEBP"} <= told.keys()
    text = json.dumps(told)
    assert "$" not in text


async def test_folders_and_their_models(image_mock: Service) -> None:
    assert "loras" in await image_mock.json("/models")
    assert await image_mock.json("/models/checkpoints") == ["mock.safetensors"]
    assert await image_mock.json("/api/models/controlnet") == []
    reply = await image_mock.http.get("/models/nope")
    assert (reply.status_code, reply.content) == (404, b"")
    settings = comfyui().state.mock.settings
    async with running(create_app(settings, checkpoints=())) as service:
        assert await service.json("/models/checkpoints") == []


async def test_small_routes_of_the_server(image_mock: Service) -> None:
    assert await image_mock.json("/users") == {"storage": "server", "migrated": False}
    assert await image_mock.json("/embeddings") == []
    assert (await image_mock.json("/features"))["max_upload_size"] == 104857600
    assert isinstance(await image_mock.json("/extensions"), list)
    assert await image_mock.json("/settings") == {}


async def test_freed_memory_has_nothing_cached(image_mock: Service) -> None:
    cached = []
    for body in (None, {"unload_models": True}, {"unload_models": True, "free_memory": True}):
        if body is not None:
            assert (await image_mock.post("/free", body)).status_code == 200
        answer = await queue(image_mock, simple_graph())
        messages = (await history_of(image_mock, answer["prompt_id"]))["status"]["messages"]
        cached.append(messages[1][1]["nodes"])
    assert cached == [[], ["1", "2"], []]


async def test_texts_and_animations(image_mock: Service) -> None:
    save = {"fps": 6.0, "lossless": True, "quality": 80, "method": "default"}
    graphs = {
        "text": {"2": _node("PreviewAny", source="text here")},
        "animated": {
            "1": simple_graph()["1"],
            "2": _node("SaveAnimatedWEBP", images=["1", 0], filename_prefix="anim", **save),
        },
    }
    graphs["animated"]["1"]["inputs"]["batch_size"] = 3
    jobs = {}
    for name, graph in graphs.items():
        answer = await queue(image_mock, graph)
        await history_of(image_mock, answer["prompt_id"])
        jobs[name] = await image_mock.json(f"/api/jobs/{answer['prompt_id']}")
    text = jobs["text"]
    assert text["outputs"] == {"2": {"text": ["text here"]}}
    preview = {"content": "text here", "nodeId": "2", "mediaType": "text"}
    assert (text["outputs_count"], text["preview_output"]) == (0, preview)
    (image,) = jobs["animated"]["outputs"]["2"]["images"]
    assert (image["filename"], jobs["animated"]["outputs"]["2"]["animated"]) == (
        "anim_00001_.webp",
        [True],
    )
    reply = await image_mock.http.get("/view", params=image)
    assert Image.open(io.BytesIO(reply.content)).format == "WEBP"
