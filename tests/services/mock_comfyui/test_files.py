"""Files of the native wire: there once they are saved, whole once they are written; uploads."""

import io
from hashlib import sha256
from pathlib import Path

import httpx
from PIL import Image

from tests.services.mock_comfyui.client import (
    entry_of,
    history_of,
    queue,
    simple_graph,
)
from tests.services.mock_core.serving import Json, Service, comfyui, running

END = b"IEND\xaeB`\x82"


async def _status_of(service: Service, subfolder: str, name: str = "pic_00001_.png") -> int:
    reply = await service.http.get("/view", params={"filename": name, "subfolder": subfolder})
    return reply.status_code


async def _image_of(service: Service, graph: Json, **members: object) -> Json:
    outputs = (await entry_of(service, graph, **members))["outputs"]
    return dict(next(iter(outputs.values()))["images"][0])


async def test_file_appears_only_after_its_node_has_saved_it(image_mock: Service) -> None:
    await image_mock.arm({"where": "start", "do": "stick"})
    runs = await queue(image_mock, simple_graph(1, "early/1/pic"))
    waits = await queue(image_mock, simple_graph(2, "early/2/pic"))
    await image_mock.until("/queue", lambda it: it["queue_running"])
    assert [await _status_of(image_mock, f"early/{n}") for n in (1, 2)] == [404, 404]
    for answer in (waits, runs):
        await image_mock.post(f"/api/jobs/{answer['prompt_id']}/cancel", None)
    await history_of(image_mock, runs["prompt_id"])
    assert [await _status_of(image_mock, f"early/{n}") for n in (1, 2)] == [404, 404]


async def test_restart_keeps_only_saved_files(image_mock: Service) -> None:
    done = await _image_of(image_mock, simple_graph(1, "jobs/1/pic"))
    temp = simple_graph(2)
    temp["2"] = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    shown = await _image_of(image_mock, temp)
    assert shown["type"] == "temp"
    assert (await image_mock.http.get("/view", params=shown)).status_code == 200
    await image_mock.arm({"where": "start", "do": "stick"})
    answers = [await queue(image_mock, simple_graph(n, f"jobs/{n}/pic")) for n in (2, 3)]
    await image_mock.until("/queue", lambda it: it["queue_running"])
    await image_mock.post("/admin/restart", None)
    assert await image_mock.json("/queue") == {"queue_running": [], "queue_pending": []}
    for answer in answers:
        path = f"/api/jobs/{answer['prompt_id']}"
        assert (await image_mock.http.get(path)).status_code == 404
        assert (await image_mock.post(f"{path}/cancel", None)).json() == {"cancelled": False}
    assert [await _status_of(image_mock, f"jobs/{n}") for n in (1, 2, 3)] == [200, 404, 404]
    assert (await image_mock.http.get("/view", params=shown)).status_code == 404
    await image_mock.http.delete("/admin/faults")
    answer = await queue(image_mock, simple_graph(1, "jobs/1/pic"))
    assert answer["number"] == 0
    again = (await history_of(image_mock, answer["prompt_id"]))["outputs"]["2"]["images"][0]
    assert (done["filename"], again["filename"]) == ("pic_00001_.png", "pic_00002_.png")


async def test_file_is_served_while_written_and_stays_incomplete_after_a_kill(
    image_mock: Service,
) -> None:
    await image_mock.configure(native={"write_seconds": 4000})
    answer = await queue(image_mock, simple_graph(1, "jobs/1/pic"))
    where = {"filename": "pic_00001_.png", "subfolder": "jobs/1"}
    bodies: list[bytes] = []
    while not bodies or not bodies[-1].endswith(END):
        reply = await image_mock.http.get("/view", params=where)
        if reply.status_code == 200:
            bodies.append(reply.content)
        if len({len(body) for body in bodies}) == 2:
            await image_mock.hurry()
    lengths = [len(body) for body in bodies]
    assert lengths == sorted(lengths)
    assert (lengths[0], len(set(lengths)) > 2) == (0, True)
    await image_mock.configure(speed=1000)
    Image.open(io.BytesIO(bodies[-1])).load()
    assert (await history_of(image_mock, answer["prompt_id"]))["status"]["completed"]

    await queue(image_mock, simple_graph(2, "jobs/2/pic"))
    where["subfolder"] = "jobs/2"
    while len((await image_mock.http.get("/view", params=where)).content) == 0:
        pass
    await image_mock.post("/admin/restart", None)
    left = (await image_mock.http.get("/view", params=where)).content
    assert 0 < len(left) < lengths[-1]
    assert not left.endswith(END)
    await image_mock.quiet()
    assert (await image_mock.http.get("/view", params=where)).content == left


async def test_numbers_are_assigned_when_a_file_is_saved(image_mock: Service) -> None:
    await image_mock.arm({"where": "start", "do": "fail", "match": {"nth": 1}})
    await entry_of(image_mock, simple_graph(1, "pic"))
    assert (await _image_of(image_mock, simple_graph(2, "pic")))["filename"] == "pic_00001_.png"


async def test_files_and_numbers_outlive_the_process_but_temp_does_not(tmp_path: Path) -> None:
    kept = {"mock_ledger": "disk", "data_dir": tmp_path}
    temp = simple_graph(2)
    temp["2"] = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    half = {"filename": "pic_00001_.png", "subfolder": "half"}
    async with running(comfyui(**kept)) as service:
        first = await _image_of(service, simple_graph(1, "jobs/雪/pic"))
        shown = await _image_of(service, temp)
        await service.configure(native={"write_seconds": 4000})
        await queue(service, simple_graph(3, "half/pic"))
        while not (await service.http.get("/view", params=half)).content.startswith(b"\x89PNG"):
            pass
        await service.configure(speed=0.001)
    async with running(comfyui(**kept)) as service:
        assert (await service.http.get("/view", params=first)).status_code == 200
        assert (await service.http.get("/view", params=shown)).status_code == 404
        left = (await service.http.get("/view", params=half)).content
        assert left.startswith(b"\x89PNG")
        assert not left.endswith(END)
        again = await _image_of(service, simple_graph(1, "jobs/雪/pic"))
    assert again == {**first, "filename": "pic_00002_.png"}


async def test_cache_is_checked_when_a_prompt_begins(image_mock: Service) -> None:
    answers = [await queue(image_mock, simple_graph(5, "equal")) for _ in range(2)]
    first, second = [await history_of(image_mock, it["prompt_id"]) for it in answers]
    assert first["outputs"] == second["outputs"]
    cached = [entry["status"]["messages"][1][1]["nodes"] for entry in (first, second)]
    assert cached == [[], ["1", "2"]]


async def test_replaced_picture_is_loaded_again(image_mock: Service) -> None:
    async def upload(color: str) -> None:
        out = io.BytesIO()
        Image.new("RGB", (8, 8), color).save(out, "PNG")
        files = {"image": ("in.png", out.getvalue(), "image/png")}
        await image_mock.http.post("/upload/image", files=files, data={"overwrite": "true"})

    graph = simple_graph(prefix="loaded")
    graph["1"] = {"class_type": "LoadImage", "inputs": {"image": "in.png"}}
    names = []
    for color in ("red", "red", "blue"):
        await upload(color)
        names.append((await _image_of(image_mock, graph))["filename"])
    assert names == ["loaded_00001_.png", "loaded_00001_.png", "loaded_00002_.png"]


async def test_prefixes_become_the_captured_names(image_mock: Service) -> None:
    for prefix, subfolder, filename in (
        ("jobs/a/b/pic", "jobs/a/b", "pic_00001_.png"),
        ("画像/雪の狐", "画像", "雪の狐_00001_.png"),
        ("a b'c\"d", "", "a b'c\"d_00001_.png"),
        ("folder/", "", "folder_00001_.png"),
        ("", "", "._00001_.png"),
        ("a/../b/c", "b", "c_00001_.png"),
        ("a\\b", "", "a\\b_00001_.png"),
        ("pic_00001", "", "pic_00001_00001_.png"),
    ):
        image = await _image_of(image_mock, simple_graph(prefix=prefix))
        assert image == {"filename": filename, "subfolder": subfolder, "type": "output"}
        assert await _status_of(image_mock, subfolder, filename) == 200


async def test_prefix_outside_the_folder_fails_the_run(image_mock: Service) -> None:
    for prefix, kind, said in (
        ("/abs/x", "Exception", "Saving image outside the output folder is not allowed."),
        ("../../x", "Exception", "commonpath: "),
        ("M" * 300, "OSError", "File name too long"),
    ):
        status = (await entry_of(image_mock, simple_graph(prefix=prefix)))["status"]
        name, error = status["messages"][-1]
        assert (name, error["node_type"], error["exception_type"]) == (
            "execution_error",
            "SaveImage",
            kind,
        )
        assert said in error["exception_message"]


async def test_batch_is_saved_picture_by_picture(image_mock: Service) -> None:
    graph = simple_graph(prefix="batch")
    graph["1"]["inputs"]["batch_size"] = 3
    answer = await queue(image_mock, graph)
    entry = await history_of(image_mock, answer["prompt_id"])
    names = [image["filename"] for image in entry["outputs"]["2"]["images"]]
    assert names == [f"batch_0000{n}_.png" for n in (1, 2, 3)]
    assert (await image_mock.json(f"/api/jobs/{answer['prompt_id']}"))["outputs_count"] == 3
    assert (await _image_of(image_mock, simple_graph(9, "batch")))["filename"] == "batch_00004_.png"


async def test_paths_outside_the_folder_are_refused(image_mock: Service) -> None:
    """Source of the statuses: comfyui-capture-2.txt, section 10."""
    await _image_of(image_mock, simple_graph(1, "vw/pic"))
    for query, status in (
        ("", 404),
        ("filename=", 400),
        ("filename=../main.py", 400),
        ("filename=main.py&subfolder=../", 403),
        ("filename=passwd&subfolder=/etc", 403),
        ("filename=pic_00001_.png&subfolder=vw/../vw", 200),
        ("filename=vw/pic_00001_.png", 404),
        ("filename=pic_00001_.png&type=nope", 400),
        ("filename=pic_00001_.png&subfolder=vw&type=", 400),
        ("filename=pic_00001_.png%20[output]&subfolder=vw&type=input", 200),
    ):
        reply = await image_mock.http.get(f"/view?{query}")
        assert (query, reply.status_code) == (query, status)
    assert reply.headers["content-disposition"] == 'filename="pic_00001_.png"'
    assert reply.headers["x-content-type-options"] == "nosniff"


async def test_ledger_has_the_first_picture_new_or_cached(image_mock: Service) -> None:
    graph = simple_graph()
    graph["1"]["inputs"]["batch_size"] = 2
    image = await _image_of(image_mock, graph)
    await _image_of(image_mock, graph)
    body = (await image_mock.http.get("/view", params=image)).content
    rows = await image_mock.json("/admin/ledger")
    assert [row["sha256"] for row in rows] == [sha256(body).hexdigest()] * 2


async def _upload(
    service: Service, name: str = "up.png", body: bytes = b"one", **data: str
) -> httpx.Response:
    files = {"image": (name, body, "image/png")}
    return await service.http.post("/upload/image", files=files, data=data)


async def test_same_name_with_other_bytes_gets_a_number(image_mock: Service) -> None:
    names = [
        (await _upload(image_mock, body=body, **data)).json()["name"]
        for body, data in (
            (b"one", {}),
            (b"two", {}),
            (b"three", {"overwrite": "false"}),
            (b"two", {}),
            (b"four", {"overwrite": "true"}),
            (b"five", {"overwrite": "1"}),
        )
    ]
    expected = ["up.png", "up (1).png", "up (2).png", "up (1).png", "up.png", "up.png"]
    assert names == expected
    assert (await image_mock.http.get("/view?filename=up.png&type=input")).content == b"five"


async def test_names_and_folders(image_mock: Service) -> None:
    for name, data, told in (
        ("up.png", {"subfolder": "sub/dir"}, ("up.png", "sub/dir", "input")),
        ("up.png", {"subfolder": "sub/"}, ("up.png", "sub/", "input")),
        ("up.png", {"subfolder": "/tmp/x"}, 400),  # noqa: S108
        ("up.png", {"subfolder": "../x"}, 400),
        ("up.png", {"type": "temp"}, ("up.png", "", "temp")),
        ("up.png", {"type": "output"}, ("up.png", "", "output")),
        ("up.png", {"type": "nope"}, 500),
        ("雪 狐.png", {}, ("雪 狐.png", "", "input")),
        ("a'b(1)+#&.png", {}, ("a'b(1)+#&.png", "", "input")),
        ("a/up2.png", {}, 500),
        ("../up.png", {}, 400),
        (".", {}, 500),
        ("N" * 300, {}, 500),
    ):
        reply = await _upload(image_mock, name, b"one", **data)
        if isinstance(told, int):
            assert reply.status_code == told, (name, data)
        else:
            place = dict(zip(("name", "subfolder", "type"), told, strict=True))
            assert (reply.status_code, reply.json()) == (200, place)
            place["filename"] = place.pop("name")
            assert (await image_mock.http.get("/view", params=place)).content == b"one"


async def test_uploads_that_are_no_picture(image_mock: Service) -> None:
    url = "/upload/image"
    no_field = await image_mock.http.post(url, files={"other": (None, "x")})
    text = await image_mock.http.post(url, files={"image": (None, "x")})
    no_form = await image_mock.post(url, {"a": 1})
    assert [it.status_code for it in (no_field, text, no_form)] == [400, 500, 400]


async def test_script_is_served_harmlessly(image_mock: Service) -> None:
    await _upload(image_mock, "x.html", b"<script></script>")
    reply = await image_mock.http.get("/view?filename=x.html&type=input")
    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.headers["content-disposition"] == 'attachment; filename="x.html"'


async def test_picture_of_another_folder_is_loaded_by_its_name(image_mock: Service) -> None:
    await entry_of(image_mock, simple_graph(prefix="pos"))
    graph = simple_graph(prefix="again")
    graph["1"] = {"class_type": "LoadImage", "inputs": {"image": "pos_00001_.png [output]"}}
    assert (await entry_of(image_mock, graph))["status"]["completed"]
