"""Uploads as the real server takes them; source of the cases: comfyui-capture-2.txt, 11 and 14."""

import httpx
import pytest

from tests.services.mock_comfyui.native.client import history_of, queue, simple_graph
from tests.services.mock_core.serving import Service


async def _upload(
    service: Service, name: str = "up.png", body: bytes = b"one", **data: str
) -> httpx.Response:
    files = {"image": (name, body, "image/png")}
    return await service.http.post("/upload/image", files=files, data=data)


async def test_the_same_name_with_other_bytes_gets_a_number(image_mock: Service) -> None:
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


@pytest.mark.parametrize(
    ("name", "data", "status", "told"),
    [
        ("up.png", {"subfolder": "sub/dir"}, 200, ("up.png", "sub/dir", "input")),
        ("up.png", {"subfolder": "sub/"}, 200, ("up.png", "sub/", "input")),
        ("up.png", {"subfolder": "/tmp/x"}, 400, None),  # noqa: S108
        ("up.png", {"subfolder": "../x"}, 400, None),
        ("up.png", {"type": "temp"}, 200, ("up.png", "", "temp")),
        ("up.png", {"type": "output"}, 200, ("up.png", "", "output")),
        ("up.png", {"type": "nope"}, 500, None),
        ("雪 狐.png", {}, 200, ("雪 狐.png", "", "input")),
        ("a'b(1)+#&.png", {}, 200, ("a'b(1)+#&.png", "", "input")),
        ("a/up2.png", {}, 500, None),
        ("../up.png", {}, 400, None),
        (".", {}, 500, None),
        ("N" * 300, {}, 500, None),
    ],
)
async def test_names_and_folders(
    image_mock: Service,
    name: str,
    data: dict[str, str],
    status: int,
    told: tuple[str, str, str] | None,
) -> None:
    reply = await _upload(image_mock, name, b"one", **data)
    assert reply.status_code == status
    if told is not None:
        assert reply.json() == dict(zip(("name", "subfolder", "type"), told, strict=True))
        place = {"filename": told[0], "subfolder": told[1], "type": told[2]}
        assert (await image_mock.http.get("/view", params=place)).content == b"one"


async def test_what_is_no_picture_in_a_form(image_mock: Service) -> None:
    url = "/upload/image"
    no_field = await image_mock.http.post(url, files={"other": (None, "x")})
    text = await image_mock.http.post(url, files={"image": (None, "x")})
    no_form = await image_mock.post(url, {"a": 1})
    assert [it.status_code for it in (no_field, text, no_form)] == [400, 500, 400]


async def test_a_script_is_served_as_what_can_do_no_harm(image_mock: Service) -> None:
    await _upload(image_mock, "x.html", b"<script></script>")
    reply = await image_mock.http.get("/view?filename=x.html&type=input")
    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.headers["content-disposition"] == 'attachment; filename="x.html"'


async def test_a_picture_of_another_folder_is_loaded_by_its_name(image_mock: Service) -> None:
    first = await queue(image_mock, simple_graph(prefix="pos"))
    await history_of(image_mock, first["prompt_id"])
    graph = simple_graph(prefix="again")
    graph["1"] = {"class_type": "LoadImage", "inputs": {"image": "pos_00001_.png [output]"}}
    answer = await queue(image_mock, graph)
    assert (await history_of(image_mock, answer["prompt_id"]))["status"]["completed"]
