"""Another ComfyUI behind the native wire, by its configuration."""

import io
import uuid
from pathlib import Path

import httpx
import pytest
from PIL import Image
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.fixtures.processes import running
from tests.services.mock_comfyui.client import (
    entry_of,
    history_of,
    listening,
    long_graph,
    queue,
    simple_graph,
)
from tests.services.mock_core.serving import Json, Service

KEY = "a-key-of-some-length"


async def _set(service: Service, **native: object) -> None:
    await service.configure(native=native)


async def _image(service: Service, graph: Json) -> Json:
    entry = await entry_of(service, graph)
    return dict(entry["outputs"]["2"]["images"][0])


async def test_old_server_takes_any_id_and_has_no_jobs(image_mock: Service) -> None:
    await _set(image_mock, version="0.3.64")
    taken = [
        (await queue(image_mock, simple_graph(color), prompt_id=given))["prompt_id"]
        for color, given in enumerate(["job-1.1", "F2C8D010-E669-4337-BE70-15D322DF8CE3", 5, None])
    ]
    assert taken == ["job-1.1", "F2C8D010-E669-4337-BE70-15D322DF8CE3", "5", "None"]
    assert (await queue(image_mock, simple_graph(9), prompt_id=""))["prompt_id"] == ""
    entry = await history_of(image_mock, "job-1.1")
    assert "create_time" not in entry["prompt"][3]
    assert (await image_mock.http.get("/api/jobs/job-1.1")).status_code == 404
    assert (await image_mock.post("/api/jobs/job-1.1/cancel", None)).status_code == 405
    assert (await image_mock.json("/system_stats"))["system"]["comfyui_version"] == "0.3.64"


async def test_old_interrupt_ignores_the_id(image_mock: Service) -> None:
    await _set(image_mock, interrupt="global")
    await image_mock.arm({"where": "start", "do": "stick", "match": {"nth": 1}})
    runs = await queue(image_mock, simple_graph(1))
    await image_mock.until("/queue", lambda it: it["queue_running"])
    await image_mock.post("/interrupt", {"prompt_id": str(uuid.uuid4())})
    messages = (await history_of(image_mock, runs["prompt_id"]))["status"]["messages"]
    assert messages[-1][0] == "execution_interrupted"


async def test_client_ids_can_be_ignored(image_mock: Service) -> None:
    await _set(image_mock, prompt_ids="ignored")
    ours = str(uuid.uuid4())
    theirs = (await queue(image_mock, simple_graph(), prompt_id=ours))["prompt_id"]
    assert theirs != ours
    assert (await history_of(image_mock, theirs))["status"]["completed"]
    assert await image_mock.json(f"/history/{ours}") == {}
    assert (await image_mock.http.get(f"/api/jobs/{ours}")).status_code == 404
    # The bill knows whose it is.
    assert (await image_mock.row(ours))["job_id"] == theirs


async def test_stalled_socket_gets_its_frames_later(image_mock: Service) -> None:
    async with listening(image_mock) as socket:
        await _set(image_mock, sockets="stalled")
        assert (await entry_of(image_mock, simple_graph(), client_id="me"))["status"]["completed"]
        assert await socket.hears_nothing()
        await _set(image_mock, sockets="live")
        kinds = [event["type"] for event in await socket.finish()]
    assert kinds[-3:] == ["execution_success", "status", "executing"]


async def test_replaced_socket_is_deaf_until_it_reconnects(image_mock: Service) -> None:
    async with listening(image_mock) as socket:
        await _set(image_mock, sockets="stolen")
        await entry_of(image_mock, simple_graph(1), client_id="me")
        assert await socket.hears_nothing()
        async with listening(image_mock, "late") as late:
            await queue(image_mock, simple_graph(2), client_id="late")
            await image_mock.quiet()
            assert await late.hears_nothing()
    await _set(image_mock, sockets="live")
    async with listening(image_mock) as socket:
        await queue(image_mock, simple_graph(3), client_id="me")
        await socket.finish()


async def test_missing_key_is_401(image_mock: Service) -> None:
    keys = [{"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}]
    image = await _image(image_mock, simple_graph())
    await _set(image_mock, key=KEY)
    view = str(httpx.URL("/view", params=image))
    for path in (view, "/queue", "/history", "/system_stats"):
        assert (await image_mock.http.get(path)).status_code == 401
        wrong = {"X-API-Key": "other", "Authorization": KEY}
        assert (await image_mock.http.get(path, headers=wrong)).status_code == 401
        for header in keys:
            assert (await image_mock.http.get(path, headers=header)).status_code == 200
    base = str(image_mock.http.base_url).replace("http", "ws").rstrip("/")
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{base}/ws", proxy=None)
    assert refused.value.response.status_code == 401
    for header in keys:
        async with connect(f"{base}/ws", proxy=None, additional_headers=header) as socket:
            assert "sid" in str(await socket.recv())
    # The plain wire, and the mock's own routes, want none.
    assert (await image_mock.post("/img/submit", {"prompt": "x"})).status_code == 202


async def test_file_at_a_signed_address(image_mock: Service) -> None:
    image = await _image(image_mock, simple_graph(prefix="sub/雪"))
    port = image_mock.http.base_url.port
    await _set(image_mock, view="signed", signed_base=f"http://localhost:{port}", key=KEY)
    headers = {"X-API-Key": KEY}
    assert (await image_mock.http.get("/view", params=image)).status_code == 401
    moved = await image_mock.http.get("/view", params=image, headers=headers)
    address = moved.headers["location"]
    assert (moved.status_code, httpx.URL(address).host) == (302, "localhost")
    address = address.replace("localhost", "127.0.0.1")
    assert (await image_mock.http.get(address)).content.startswith(b"\x89PNG")
    assert (await image_mock.http.get(address, headers=headers)).status_code == 400
    assert (await image_mock.http.get(f"{address}0")).status_code == 403
    later = address.replace("expires=", "expires=9")
    assert (await image_mock.http.get(later)).status_code == 403
    missing = await image_mock.http.get("/view?filename=nope.png", headers=headers)
    assert missing.status_code == 404


async def test_pictures_of_another_format(image_mock: Service) -> None:
    for color, (format_, ending) in enumerate((("jpeg", "jpg"), ("webp", "webp"))):
        await _set(image_mock, format=format_)
        image = await _image(image_mock, simple_graph(color, prefix=format_))
        assert image["filename"] == f"{format_}_00001_.{ending}"
        reply = await image_mock.http.get("/view", params=image)
        assert reply.headers["content-type"] == f"image/{format_}"
        assert Image.open(io.BytesIO(reply.content)).format == format_.upper()


async def test_out_of_memory(image_mock: Service) -> None:
    await image_mock.arm({"where": "start", "do": "out-of-memory", "with": {"at": 70}})
    answer = await queue(image_mock, long_graph(early=True))
    kind, error = (await history_of(image_mock, answer["prompt_id"]))["status"]["messages"][-1]
    assert (kind, error["exception_type"]) == ("execution_error", "torch.OutOfMemoryError")
    assert error["exception_message"].startswith("Allocation on device")
    job = await image_mock.json(f"/api/jobs/{answer['prompt_id']}")
    assert (job["status"], job["outputs_count"]) == ("failed", 1)
    assert not (await image_mock.json("/admin/ledger"))[-1]["charged"]


async def test_foreign_origins_are_refused_on_every_route(image_mock: Service) -> None:
    port = image_mock.http.base_url.port
    for origin, status in (
        (f"http://127.0.0.1:{port}", 200),
        ("null", 200),
        ("http://evil.example", 403),
        ("http://127.0.0.1:9", 403),
        (f"http://localhost:{port}", 403),
    ):
        reply = await image_mock.http.get("/prompt", headers={"Origin": origin})
        assert (origin, reply.status_code) == (origin, status)
    cross = {"Sec-Fetch-Site": "cross-site"}
    assert (await image_mock.http.get("/queue", headers=cross)).status_code == 403


async def test_refused_socket_logs_no_error(tmp_path: Path) -> None:
    log = tmp_path / "log"
    environment = {"DATA_DIR": str(tmp_path), "LOG_LEVEL": "DEBUG"}
    async with running(
        "services.mock_comfyui", "COMFYUI_PORT", environment=environment, log=log
    ) as mock:
        with pytest.raises(InvalidStatus):
            await connect(
                f"{mock.base.replace('http', 'ws', 1)}/ws?clientId=hunter2",
                proxy=None,
                origin="https://evil.example",  # type: ignore[arg-type]
            )
    said = log.read_text()
    assert "ASGI" not in said
    assert "hunter2" not in said
