"""A ComfyUI as the image vendor, against what a real one has answered."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from services.worker.graphs.plan import seed_of
from services.worker.vendors.comfyui.calls import IEND, Calls
from services.worker.vendors.comfyui.images import ComfyuiImages
from services.worker.vendors.comfyui.percents import Percents
from services.worker.vendors.vendor import VendorStatus
from shared.errors import (
    BadResult,
    NeverDelivered,
    OutcomeUnknown,
    RefusedForGood,
    RefusedForNow,
    VendorError,
)
from tests.services.worker.graphs.examples import (
    WITHOUT_MODELS,
    example,
    plan_of,
)
from tests.services.worker.vendors.comfyui import bodies
from tests.services.worker.vendors.comfyui.bodies import (
    CANCEL,
    DONE,
    DROP,
    FREE,
    HISTORY,
    ID,
    IMAGE,
    INTERRUPT,
    JOB,
    NO_FILE,
    NO_JOB,
    NO_ROUTE,
    NOTHING,
    OTHER,
    OURS,
    PROMPT,
    QUEUE,
    STATS,
    VIEW,
)
from tests.services.worker.vendors.stub import Answer, StubVendor, reply

URL = f"http://vendor/api/view?filename=image_00001_.png&subfolder=genvideo%2F{ID}&type=output"
PNG = b"\x89PNG\r\n\x1a\n" + b"pixels" + IEND
WHOLE, HALF, EMPTY = bodies.picture(PNG), bodies.picture(PNG[:-20]), bodies.picture(b"")


class Silent(Percents):
    """Opens no socket; remembers who has ended."""

    def __init__(self) -> None:
        super().__init__("http://vendor", {"1": 1}, {})
        self.ended: list[str] = []

    def of(self, prompt_id: str) -> int:
        return 42

    def forget(self, prompt_id: str) -> None:
        self.ended.append(prompt_id)


@asynccontextmanager
async def images_at(vendor: StubVendor, **plan: Any) -> AsyncIterator[ComfyuiImages]:
    nodes = plan.pop("nodes", None) or example()
    async with vendor.client() as http:
        yield ComfyuiImages(Calls(http), plan_of(nodes, **plan), Silent(), {"X-API-Key": "k"})


async def submit(vendor: StubVendor, **plan: Any) -> str:
    async with images_at(vendor, **plan) as images:
        return await images.submit(OURS, 7, prompt="猫", style="ink")


async def status(answers: dict[str, list[Answer]], **plan: Any) -> VendorStatus | None:
    async with images_at(StubVendor(answers), **plan) as images:
        return await images.status(OURS)


async def ended(answer: Answer, **plan: Any) -> VendorStatus:
    found = await status({JOB: [answer]}, **plan)
    assert found is not None
    return found


async def test_a_graph_is_queued_under_an_id_of_ours() -> None:
    vendor = StubVendor({PROMPT: [bodies.ACCEPTED]})
    assert await submit(vendor) == ID
    assert vendor.asked == [PROMPT]
    body = vendor.body()
    assert set(body) == {"prompt", "prompt_id", "client_id", "extra_data"}
    assert body["prompt_id"] == body["client_id"] == ID
    assert body["extra_data"] == {"external_id": OURS}
    assert body["prompt"]["6"]["inputs"]["text"] == "猫, ink"
    assert body["prompt"]["3"]["inputs"]["seed"] == seed_of(OURS)
    assert "origin" not in vendor.requests[-1].headers


async def test_a_server_that_ignores_our_id_is_refused_and_left_with_nothing() -> None:
    cancel = f"POST /api/jobs/{OTHER}/cancel"
    vendor = StubVendor(
        {
            PROMPT: [reply(prompt_id=OTHER, number=3, node_errors={})],
            cancel: [reply(cancelled=True)],
        }
    )
    with pytest.raises(RefusedForGood, match="too old"):
        await submit(vendor)
    assert vendor.asked == [PROMPT, cancel]


@pytest.mark.parametrize("given", ["", None, 5])
async def test_an_id_that_is_none_is_never_handed_on(given: object) -> None:
    """An interrupt with an empty id would stop whoever runs."""
    vendor = StubVendor({PROMPT: [reply(prompt_id=given)]})
    with pytest.raises(RefusedForGood):
        await submit(vendor)
    assert vendor.asked == [PROMPT]


@pytest.mark.parametrize(
    "answer", [bodies.half_accepted("9"), bodies.half_accepted("8", "9", "50")]
)
async def test_a_mistake_that_touches_the_output_is_final_and_cancelled_at_once(
    answer: Answer,
) -> None:
    vendor = StubVendor({PROMPT: [answer], CANCEL: [reply(cancelled=True)]})
    with pytest.raises(RefusedForGood, match="Required input is missing: images"):
        await submit(vendor)
    assert vendor.asked == [PROMPT, CANCEL]


async def test_a_mistake_elsewhere_is_none_of_ours() -> None:
    vendor = StubVendor({PROMPT: [bodies.half_accepted("50", "50")]})
    assert await submit(vendor) == ID


@pytest.mark.parametrize(
    ("answer", "kind", "why"),
    [
        (
            bodies.REFUSED,
            RefusedForGood,
            "node 4 .CheckpointLoaderSimple.: Value not in list: ckpt",
        ),
        (bodies.UNKNOWN_NODE, RefusedForGood, "My Nope' not found.*#1"),
        (reply(401), RefusedForGood, "COMFYUI_HEADERS"),
        (reply(403), RefusedForGood, "COMFYUI_HEADERS"),
        (reply(404), RefusedForGood, "COMFYUI_URL"),
        (reply(405), RefusedForGood, "COMFYUI_URL"),
        (reply(302), RefusedForGood, "COMFYUI_URL leads elsewhere"),
        (lambda _: httpx.Response(413, text="too large"), RefusedForGood, "COMFYUI_WORKFLOW"),
        (reply(429), RefusedForNow, "429"),
        (reply(503), RefusedForNow, "503"),
        (bodies.TROUBLE, OutcomeUnknown, "500"),
        (reply(504), OutcomeUnknown, "504"),
        (lambda _: httpx.Response(200, text="hello"), OutcomeUnknown, "not a JSON object"),
        (httpx.ConnectError("refused"), NeverDelivered, "refused"),
        (httpx.ReadTimeout("slow"), OutcomeUnknown, "slow"),
        (httpx.RemoteProtocolError("reset"), OutcomeUnknown, "reset"),
    ],
)
async def test_a_submit_that_goes_wrong_is_sorted(
    answer: Answer, kind: type[VendorError], why: str
) -> None:
    vendor = StubVendor({PROMPT: [answer]})
    with pytest.raises(VendorError, match=why) as error:
        await submit(vendor)
    assert type(error.value) is kind
    assert vendor.asked == [PROMPT]


async def test_a_success_has_the_bound_nodes_file() -> None:
    other = {"images": [{"filename": "other.png", "subfolder": "", "type": "output"}]}
    found = await ended(bodies.completed({"50": other, "9": {"images": [IMAGE]}}))
    assert found == VendorStatus(vendor_id=ID, state="succeeded", url=URL)


async def test_a_temporary_file_is_taken_only_of_a_node_that_was_named() -> None:
    temporary = {"filename": "ComfyUI_temp_a_00001_.png", "subfolder": "", "type": "temp"}
    done = bodies.completed({"9": {"images": [temporary]}})
    assert (await ended(done, output="9")).state == "succeeded"
    assert (await ended(done, nodes=example(titles=False))).state == "failed"
    both = bodies.completed({"9": {"images": [temporary, IMAGE]}})
    assert (await ended(both, output="9")).url == URL


@pytest.mark.parametrize(
    "outputs", [{}, {"9": {"text": ["猫"]}}, {"9": {"images": [{}]}}, {"9": 5}]
)
async def test_a_success_without_a_file_is_final(outputs: dict[str, Any]) -> None:
    found = await ended(bodies.completed(outputs))
    assert (found.state, found.final) == ("failed", True)
    assert "its node 9 (genvideo:output) gave no file" in found.message


async def test_outputs_of_a_run_that_was_interrupted_are_no_success() -> None:
    found = await ended(bodies.failed("cancelled", bodies.INTERRUPTED, {"9": {"images": [IMAGE]}}))
    assert (found.state, found.url, found.final) == ("failed", None, False)
    assert found.message == "It was cancelled at the ComfyUI."


async def test_completed_alone_is_a_success() -> None:
    found = await ended(bodies.completed({"9": {"images": [IMAGE]}}, completed=False))
    assert found.state == "failed"


@pytest.mark.parametrize(
    ("kind", "final"),
    [
        ("RuntimeError", False),
        ("torch.OutOfMemoryError", False),
        ("FileNotFoundError", True),
        ("PIL.UnidentifiedImageError", True),
        ("TypeError", True),
        ("ValueError", True),
    ],
)
async def test_a_failed_run_says_what_failed_without_the_servers_folders(
    kind: str, final: bool
) -> None:
    message = "cannot identify '/opt/ComfyUI/input/bad.png' or 'C:\\ComfyUI\\input\\bad.png'\n"
    answers = {JOB: [bodies.failed("failed", bodies.execution_error(kind, message))], FREE: [DONE]}
    found = await status(answers)
    assert found is not None
    assert (found.state, found.final) == ("failed", final)
    name = kind.rpartition(".")[2]
    assert found.message.startswith(f"node 3 (KSampler): {name}: cannot identify")
    assert "bad.png" in found.message
    for kept in ("/opt", "C:", "input", "execution.py", "Traceback"):
        assert kept not in found.message


async def test_a_server_out_of_memory_is_told_to_free_some_once() -> None:
    answer = bodies.failed("failed", bodies.execution_error("torch.OutOfMemoryError", "CUDA"))
    vendor = StubVendor({JOB: [answer], FREE: [bodies.TROUBLE]})
    async with images_at(vendor) as images:
        for _ in range(2):
            found = await images.status(OURS)
            assert found is not None
            assert (found.state, found.final) == ("failed", False)
    assert vendor.asked == [JOB, FREE, JOB]
    assert vendor.body(1) == {"unload_models": True, "free_memory": True}


async def test_one_that_runs_has_the_percent_that_was_heard() -> None:
    found = await ended(bodies.job("in_progress"))
    assert (found.state, found.percent, found.position) == ("running", 42, None)


async def test_it_is_known_by_either_id() -> None:
    vendor = StubVendor({JOB: [bodies.job("in_progress")], CANCEL: [reply(cancelled=True)]})
    async with images_at(vendor) as images:
        assert await images.status(OURS) == await images.status(ID)
        await images.cancel(ID)
    assert vendor.asked == [JOB, JOB, CANCEL]


async def test_one_that_waits_has_its_place_in_the_queue() -> None:
    """The rows that wait are a heap, and in no order."""
    pending = ((41, ID), (12, OTHER), (40, "c"), (55, "d"))
    answers = {
        JOB: [bodies.job("pending")],
        QUEUE: [bodies.queue(running=("a",), pending=pending)],
    }
    found = await status(answers)
    assert found is not None
    assert (found.state, found.position) == ("queued", 2)


@pytest.mark.parametrize("answer", [bodies.TROUBLE, bodies.queue(), reply(queue_pending=[[]])])
async def test_nothing_depends_on_the_place_in_the_queue(answer: Answer) -> None:
    found = await status({JOB: [bodies.job("pending")], QUEUE: [answer]})
    assert found is not None
    assert (found.state, found.position) == ("queued", None)


@pytest.mark.parametrize("words", ["waiting_to_dispatch", None])
async def test_a_word_that_is_not_known_is_no_end(words: Any) -> None:
    assert (await ended(bodies.job(words))).state == "running"


async def test_what_the_server_has_forgotten_is_found_by_its_whole_file() -> None:
    vendor = StubVendor({JOB: [NO_JOB], VIEW: [WHOLE]})
    async with images_at(vendor) as images:
        assert await images.status(OURS) == VendorStatus(vendor_id=ID, state="succeeded", url=URL)
    assert vendor.asked == [JOB, VIEW]
    assert str(vendor.requests[-1].url) == URL


@pytest.mark.parametrize(
    ("files", "number"),
    [([NO_FILE], None), ([HALF, NO_FILE], None), ([HALF, EMPTY, WHOLE], 3), ([HALF], None)],
)
async def test_a_half_file_counts_as_not_there(files: list[Answer], number: int | None) -> None:
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
async def test_a_server_that_gives_no_ranges_is_read_to_the_end(
    body: bytes, state: str | None
) -> None:
    def whole(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=in_pieces(body))

    found = await status({JOB: [NO_JOB], VIEW: [whole, NO_FILE]})
    assert (found.state if found else None) == state


async def test_a_file_behind_a_signed_address_is_whole() -> None:
    signed: Answer = lambda _: httpx.Response(302, headers={"location": "https://x/?s=1"})  # noqa: E731
    found = await status({JOB: [NO_JOB], VIEW: [signed]})
    assert found is not None
    assert found.url == URL


@pytest.mark.parametrize("answer", [reply(500), httpx.ReadTimeout("slow")])
async def test_a_file_that_cannot_be_looked_at_is_no_answer(answer: Answer) -> None:
    with pytest.raises(OutcomeUnknown):
        await status({JOB: [NO_JOB], VIEW: [answer]})


async def test_without_a_name_of_its_own_no_file_is_looked_for() -> None:
    preview = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    nodes = example(WITHOUT_MODELS, n2=preview)
    assert await status({JOB: [NO_JOB]}, nodes=nodes, output="2") is None


async def test_an_older_server_is_asked_for_its_queue_and_then_its_history() -> None:
    error = {"status_str": "error", "completed": False, "messages": [bodies.INTERRUPTED]}
    image = {"9": {"images": [IMAGE]}}
    for queued, history, state, position in (
        (bodies.queue(running=(ID,)), NOTHING, "running", None),
        (bodies.queue(pending=((7, OTHER), (8, ID))), NOTHING, "queued", 1),
        (bodies.queue(), bodies.entry(image, bodies.SUCCESS), "succeeded", None),
        (bodies.queue(), bodies.entry(image, error), "failed", None),
    ):
        vendor = StubVendor({JOB: [NO_ROUTE], QUEUE: [queued], HISTORY: [history]})
        async with images_at(vendor) as images:
            found = await images.status(OURS)
        assert found is not None
        assert (found.state, found.position) == (state, position)
        assert vendor.asked[:2] == [JOB, QUEUE]


async def test_an_older_server_that_knows_nothing_may_have_the_file() -> None:
    answers = {JOB: [NO_ROUTE], QUEUE: [bodies.queue()], HISTORY: [NOTHING]}
    assert await status({**answers, VIEW: [NO_FILE]}) is None
    found = await status({**answers, VIEW: [WHOLE]})
    assert found is not None
    assert found.state == "succeeded"


@pytest.mark.parametrize("answer", [bodies.TROUBLE, reply(queue_running=[["x"]])])
async def test_an_older_servers_queue_decides_so_that_it_must_be_read(answer: Answer) -> None:
    with pytest.raises(OutcomeUnknown):
        await status({JOB: [NO_ROUTE], QUEUE: [answer]})


async def test_an_end_ends_the_listening() -> None:
    vendor = StubVendor({JOB: [bodies.job("in_progress"), bodies.completed({"9": IMAGE})]})
    silent = Silent()
    async with vendor.client() as http:
        images = ComfyuiImages(Calls(http), plan_of(example()), silent, {})
        await images.status(OURS)
        assert silent.ended == []
        await images.status(OURS)
    assert silent.ended == [ID]


async def test_a_result_can_be_asked_for_anew() -> None:
    async with images_at(StubVendor({JOB: [NO_JOB], VIEW: [WHOLE]})) as images:
        assert await images.result_url(OURS) == URL
    for answers in ({JOB: [NO_JOB], VIEW: [NO_FILE]}, {JOB: [bodies.job("in_progress")]}):
        async with images_at(StubVendor(answers)) as images:
            with pytest.raises(BadResult):
                await images.result_url(OURS)


async def cancelled(answers: dict[str, list[Answer]]) -> list[str]:
    vendor = StubVendor(answers)
    async with images_at(vendor) as images:
        await images.cancel(OURS)
    return vendor.asked


@pytest.mark.parametrize("answer", [reply(cancelled=True), reply(cancelled=False)])
async def test_a_cancel_is_one_call(answer: Answer) -> None:
    assert await cancelled({CANCEL: [answer]}) == [CANCEL]


@pytest.mark.parametrize(("cancelled", "state"), [(True, "failed"), (False, None)])
async def test_what_was_cancelled_while_it_waited_is_over(
    cancelled: bool, state: str | None
) -> None:
    """The server doesn't know it any more, as it knows none that it never got."""
    vendor = StubVendor({CANCEL: [reply(cancelled=cancelled)], JOB: [NO_JOB], VIEW: [NO_FILE]})
    async with images_at(vendor) as images:
        assert await images.status(OURS) is None
        await images.cancel(ID)
        found = await images.status(OURS)
    assert (found.state if found else None) == state


async def test_an_older_server_drops_one_that_waits() -> None:
    asked = await cancelled(
        {CANCEL: [bodies.NOT_ALLOWED], DROP: [DONE], QUEUE: [bodies.queue(running=(OTHER,))]}
    )
    assert asked == [CANCEL, DROP, QUEUE]


@pytest.mark.parametrize(
    ("version", "heeded"),
    [("0.3.64", True), ("v0.3.70", True), ("0.4.0", True), ("0.3.40", False), ("nightly", False)],
)
async def test_an_older_server_is_interrupted_only_where_it_heeds_the_id(
    version: str, heeded: bool
) -> None:
    vendor = StubVendor(
        {
            CANCEL: [bodies.NOT_ALLOWED],
            DROP: [DONE],
            QUEUE: [bodies.queue(running=(ID,))],
            STATS: [reply(system={"comfyui_version": version})],
            INTERRUPT: [DONE],
        }
    )
    async with images_at(vendor) as images:
        await images.cancel(OURS)
    assert vendor.asked == [CANCEL, DROP, QUEUE, STATS, *([INTERRUPT] if heeded else [])]
    assert vendor.body(1) == {"delete": [ID]}
    if heeded:
        assert vendor.body() == {"prompt_id": ID}


async def test_a_cancel_that_fails_is_told() -> None:
    with pytest.raises(OutcomeUnknown):
        await cancelled({CANCEL: [bodies.TROUBLE]})


async def test_its_results_need_the_headers() -> None:
    async with images_at(StubVendor({})) as images:
        assert images.credentials() == {"X-API-Key": "k"}
        assert (images.traits.looked_up, images.traits.cancels) == (True, True)
