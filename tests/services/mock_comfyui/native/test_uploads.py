"""Uploads as the real server takes them; source of the cases: comfyui-capture-2.txt, 11 and 14."""

import io

import httpx
import pytest
from PIL import Image

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


async def test_a_mask_becomes_the_alpha_of_its_picture(image_mock: Service) -> None:
    original = _png(Image.new("RGB", (4, 4), "red"))
    await _upload(image_mock, "orig.png", original)
    url = "/upload/mask"
    mask = {"image": ("masked.png", _png(Image.new("RGBA", (4, 4), (0, 0, 0, 7))), "image/png")}
    data = {"original_ref": '{"filename": "orig.png", "type": "input"}', "subfolder": "clipspace"}
    reply = await image_mock.http.post(url, files=mask, data=data)
    assert reply.json() == {"name": "masked.png", "subfolder": "clipspace", "type": "input"}
    place = {"filename": "masked.png", "subfolder": "clipspace", "type": "input"}
    found = await image_mock.http.get("/view", params=place)
    assert Image.open(io.BytesIO(found.content)).getpixel((0, 0)) == (255, 0, 0, 7)
    assert (await image_mock.http.post(url, files=mask)).status_code == 500
    missing = {"original_ref": '{"filename": "nope.png", "type": "input"}'}
    reply = await image_mock.http.post(url, files=mask, data=missing)
    assert reply.status_code == 200
    gone = await image_mock.http.get("/view?filename=masked.png&type=input")
    assert gone.status_code == 404


async def test_a_picture_of_another_folder_is_loaded_by_its_name(image_mock: Service) -> None:
    first = await queue(image_mock, simple_graph(prefix="pos"))
    await history_of(image_mock, first["prompt_id"])
    graph = simple_graph(prefix="again")
    graph["1"] = {"class_type": "LoadImage", "inputs": {"image": "pos_00001_.png [output]"}}
    answer = await queue(image_mock, graph)
    assert (await history_of(image_mock, answer["prompt_id"]))["status"]["completed"]


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
