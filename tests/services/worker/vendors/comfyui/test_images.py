"""A ComfyUI's images: known by our id, by its file, and only with the headers that let us in."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.chosen import chosen_images
from services.worker.vendors.comfyui.calls import IEND, JOB_BYTES
from shared.errors import OutcomeUnknown, RefusedForGood
from shared.pipeline.vendor import Vendor
from tests.fixtures.present import present
from tests.services.mock_core.serving import Json, served
from tests.services.worker.graphs.examples import WITH_MODEL, WITHOUT_MODELS, example
from tests.services.worker.vendors.comfyui import bodies
from tests.services.worker.vendors.comfyui.bodies import (
    CANCEL,
    HISTORY,
    ID,
    IMAGE,
    JOB,
    NO_FILE,
    NO_JOB,
    NO_ROUTE,
    NOTHING,
    OTHER,
    OURS,
    QUEUE,
    VIEW,
)
from tests.services.worker.vendors.comfyui.clients import KEY, URL, images_at, status, told
from tests.services.worker.vendors.stub import CUT, Answer, StubVendor, reply

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels" + IEND
SIGNED = httpx.Response(302, headers={"location": "https://x/?s=1"})
WHOLE, HALF, EMPTY = bodies.picture(PNG), bodies.picture(PNG[:-20]), bodies.picture(b"")


async def test_running_prompt_has_the_percent_of_the_socket() -> None:
    found = await told(bodies.job("in_progress"))
    assert (found.state, found.percent, found.position) == ("running", 42, None)


async def test_prompt_is_found_by_either_id() -> None:
    vendor = StubVendor({JOB: [bodies.job("in_progress")], CANCEL: [reply(cancelled=True)]})
    images = images_at(vendor)
    assert await images.status(OURS) == await images.status(ID)
    await images.cancel(ID)
    assert vendor.asked == [JOB, JOB, CANCEL]


async def test_waiting_prompt_has_its_place_in_the_queue() -> None:
    """The rows that wait are a heap, and in no order."""
    pending = ((41, ID), (12, OTHER), (40, "c"), (55, "d"))
    answers = {
        JOB: [bodies.job("pending")],
        QUEUE: [bodies.queue(running=("a",), pending=pending)],
    }
    found = present(await status(answers))
    assert (found.state, found.position) == ("queued", 2)


BEYOND = reply(queue_pending=[[10**400, ID]])


@pytest.mark.parametrize(
    "answer", [bodies.TROUBLE, bodies.queue(), reply(queue_pending=[[]]), BEYOND]
)
async def test_missing_place_in_the_queue_changes_nothing(answer: Answer) -> None:
    found = present(await status({JOB: [bodies.job("pending")], QUEUE: [answer]}))
    assert (found.state, found.position) == ("queued", None)


@pytest.mark.parametrize("words", ["waiting_to_dispatch", None])
async def test_unknown_state_is_no_end(words: Any) -> None:
    assert (await told(bodies.job(words))).state == "running"


@pytest.mark.parametrize(
    ("files", "number"),
    [([NO_FILE], None), ([HALF, NO_FILE], None), ([HALF, EMPTY, WHOLE], 3), ([HALF], None)],
)
async def test_incomplete_file_does_not_count(files: list[Answer], number: int | None) -> None:
    """It stays for good where the server was killed, and the next run writes the next number."""
    found = await status({JOB: [NO_JOB], VIEW: files})
    if number is None:
        assert found is None
    else:
        assert found is not None
        assert f"image_0000{number}_.png" in str(found.url)


async def in_pieces(body: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(body), 5):
        yield body[at : at + 5]


@pytest.mark.parametrize(("body", "state"), [(PNG, "succeeded"), (PNG[:-1], None)])
async def test_server_without_ranges_is_read_to_the_end(body: bytes, state: str | None) -> None:
    def whole(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=in_pieces(body))

    found = await status({JOB: [NO_JOB], VIEW: [whole, NO_FILE]})
    assert (found.state if found else None) == state


WEBP = b"RIFF" + (20).to_bytes(4, "little") + b"WEBP" + b"p" * 16
JPEG = b"\xff\xd8\xff" + b"pixels" + b"\xff\xd9"


@pytest.mark.parametrize(
    ("kind", "name", "body"),
    [
        ("SaveImage", "image_00001_.png", PNG),
        ("SaveImageAdvanced", "image_00001.png", PNG),
        ("SaveAnimatedWEBP", "image_00001_.webp", WEBP),
        ("of somebody else", "image1.jpg", JPEG),
    ],
)
@pytest.mark.parametrize("ranges", [True, False])
async def test_file_is_found_by_the_name_of_its_node(
    kind: str, name: str, body: bytes, ranges: bool
) -> None:
    inputs = {"images": ["1", 0], "filename_prefix": "x", "format": "png"}
    nodes = example(WITHOUT_MODELS, n2={"class_type": kind, "inputs": inputs})
    output = f"2={name}" if kind == "of somebody else" else ""
    for whole, file in ((True, body), (False, body[:-1])):
        answer = bodies.picture(file) if ranges else httpx.Response(200, content=file)
        vendor = StubVendor({JOB: [NO_JOB], VIEW: [answer, NO_FILE]})
        found = await images_at(vendor, nodes=nodes, output=output).status(OURS)
        assert vendor.requests[1].url.params["filename"] == name
        assert (found is not None) == whole


async def test_file_at_a_signed_address_is_whole() -> None:
    assert present(await status({JOB: [NO_JOB], VIEW: [SIGNED]})).url == URL


@pytest.mark.parametrize(
    ("answer", "headers"), [(SIGNED, {}), (reply(302), KEY), (httpx.Response(304), KEY)]
)
async def test_unusable_redirect_is_no_file(answer: Answer, headers: Mapping[str, str]) -> None:
    with pytest.raises(RefusedForGood, match="redirects elsewhere"):
        await status({JOB: [NO_JOB], VIEW: [answer]}, headers=headers)


NOWHERE = httpx.Response(302, headers={"location": "mailto:a@b"})


@pytest.mark.parametrize("answer", [reply(500), httpx.ReadTimeout("slow"), NOWHERE])
async def test_unreadable_file_is_no_answer(answer: Answer) -> None:
    with pytest.raises(OutcomeUnknown):
        await status({JOB: [NO_JOB], VIEW: [answer]})


async def test_without_a_name_no_file_is_looked_for() -> None:
    preview = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    nodes = example(WITHOUT_MODELS, n2=preview)
    assert await status({JOB: [NO_JOB]}, nodes=nodes, output="2") is None


@pytest.mark.parametrize("other", [reply(404), reply(404, error="no such route")])
async def test_only_the_servers_own_answer_means_not_found(other: Answer) -> None:
    """A proxy's 404 is none: what runs would be submitted again."""
    vendor = StubVendor({JOB: [other], QUEUE: [bodies.queue(running=(ID,))]})
    found = await images_at(vendor).status(OURS)
    assert found is not None
    assert found.state == "running"


async def test_older_server_is_asked_for_its_queue_then_its_history() -> None:
    error = {"status_str": "error", "completed": False, "messages": [bodies.INTERRUPTED]}
    image = {"9": {"images": [IMAGE]}}
    for queued, history, state, position in (
        (bodies.queue(running=(ID,)), NOTHING, "running", None),
        (bodies.queue(pending=((7, OTHER), (8, ID))), NOTHING, "queued", 1),
        (bodies.queue(), bodies.entry(image, bodies.SUCCESS), "succeeded", None),
        (bodies.queue(), bodies.entry(image, error), "failed", None),
    ):
        vendor = StubVendor({JOB: [NO_ROUTE], QUEUE: [queued], HISTORY: [history]})
        found = await images_at(vendor).status(OURS)
        assert found is not None
        assert (found.state, found.position) == (state, position)
        assert vendor.asked[:2] == [JOB, QUEUE]


async def test_answer_about_another_prompt_is_ignored() -> None:
    """Else one job would get the file of another, or the same prompt would run again."""
    other = bodies.entry({"9": {"images": [IMAGE]}}, bodies.SUCCESS, of=OTHER)
    for answers in (
        {JOB: [bodies.job("completed", id=OTHER)]},
        {JOB: [NO_ROUTE], QUEUE: [bodies.queue()], HISTORY: [other], VIEW: [NO_FILE]},
    ):
        with pytest.raises(OutcomeUnknown, match="another generation"):
            await status(answers)


async def test_file_name_with_a_broken_character_has_no_address() -> None:
    """Another one would be fetched."""
    outputs = {"9": {"images": [{**IMAGE, "filename": f"{CUT}.png"}]}}
    old = {JOB: [NO_ROUTE], QUEUE: [bodies.queue()]}
    for answers in (
        {JOB: [bodies.completed(outputs)]},
        {**old, HISTORY: [bodies.entry(outputs, bodies.SUCCESS)]},
    ):
        found = present(await status(answers))
        assert (found.state, found.url) == ("succeeded", None)


async def test_older_server_without_the_prompt_may_have_the_file() -> None:
    answers = {JOB: [NO_ROUTE], QUEUE: [bodies.queue()], HISTORY: [NOTHING]}
    assert await status({**answers, VIEW: [NO_FILE]}) is None
    assert present(await status({**answers, VIEW: [WHOLE]})).state == "succeeded"


@pytest.mark.parametrize("answer", [bodies.TROUBLE, reply(queue_running=[["x"]])])
async def test_older_servers_queue_must_be_readable(answer: Answer) -> None:
    with pytest.raises(OutcomeUnknown):
        await status({JOB: [NO_ROUTE], QUEUE: [answer]})


@pytest.mark.parametrize("asked", [JOB, HISTORY, QUEUE])
async def test_size_of_an_answer_is_bounded_by_the_graph(asked: str) -> None:
    answers = {JOB: [NO_ROUTE], QUEUE: [bodies.queue()], HISTORY: [NOTHING]}
    huge = reply(**{ID: {"outputs": "x" * 2 * JOB_BYTES}})
    with pytest.raises(OutcomeUnknown, match="larger than"):
        await status({**answers, asked: [huge]})


class Guarded:
    """Answers who has the key, and remembers what it was sent."""

    def __init__(self, job: Json | None = None) -> None:
        self.headers: list[Json] = []
        self._job = job

    async def __call__(self, scope: Json, receive: object, send: object) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope)
        self.headers.append(dict(request.headers))
        answer: Response = Response(status_code=401)
        if "x-api-key" in request.headers or "authorization" in request.headers:
            unknown = JSONResponse({"error": "Job not found"}, status_code=404)
            answer = unknown if self._job is None else JSONResponse(self._job)
        await answer(scope, receive, send)  # type: ignore[arg-type]


@asynccontextmanager
async def reached(
    guarded: Guarded, headers: str = "", *, password: str = ""
) -> AsyncIterator[Vendor]:
    async with served(guarded) as base:
        settings = WorkerSettings.model_validate(
            {
                "callback_secret": SecretStr("x" * 32),
                "image_service_url": base.replace("//", f"//{password}"),
                "image_api": "comfyui",
                "comfyui_workflow": WITH_MODEL,
                "comfyui_headers": headers or None,
            }
        )
        async with chosen_images(settings) as images:
            yield images


async def test_missing_headers_are_refused() -> None:
    async with reached(Guarded()) as images:
        with pytest.raises(RefusedForGood, match="COMFYUI_HEADERS"):
            await images.status(OURS)


async def test_headers_are_sent_also_for_the_result() -> None:
    """A password of the address is one of them, unless there is a header of that name."""
    for headers, password, sent in (
        ("X-API-Key: k", "", {"X-API-Key": "k"}),
        ("", "us:pass@", {"Authorization": "Basic dXM6cGFzcw=="}),
        ("authorization: Bearer k", "us:pass@", {"authorization": "Bearer k"}),
    ):
        guarded = Guarded()
        async with reached(guarded, headers, password=password) as images:
            assert await images.status(OURS) is None
            assert images.credentials() == sent
        assert len(guarded.headers) == 2
        for each in guarded.headers:
            assert {name.lower(): value for name, value in sent.items()}.items() <= each.items()
            assert "origin" not in each


async def test_no_listener_remains() -> None:
    before = asyncio.all_tasks()
    async with reached(Guarded({"status": "in_progress"}), "X-API-Key: k") as images:
        assert await images.status(OURS) is not None
        assert any(map(listens, asyncio.all_tasks() - before))
    assert not any(map(listens, asyncio.all_tasks() - before))


def listens(task: asyncio.Task[object]) -> bool:
    return "_listen" in repr(task.get_coro())
