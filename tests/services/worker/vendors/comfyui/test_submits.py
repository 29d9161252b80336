"""A graph is queued under our id, sorted by its answer, and cancelled by that id."""

import httpx
import pytest

from services.worker.graphs.plan import prompt_id_of, seed_of
from shared.errors import NeverDelivered, OutcomeUnknown, RefusedForGood, RefusedForNow, VendorError
from tests.services.worker.vendors.comfyui import bodies
from tests.services.worker.vendors.comfyui.bodies import (
    CANCEL,
    DONE,
    DROP,
    HISTORY,
    ID,
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
from tests.services.worker.vendors.comfyui.clients import images_at, submit
from tests.services.worker.vendors.stub import Answer, StubVendor, reply


async def test_graph_is_queued_under_our_id() -> None:
    vendor = StubVendor({PROMPT: [bodies.ACCEPTED]})
    assert await submit(vendor) == ID
    assert vendor.asked == [STATS, PROMPT]
    body = vendor.body()
    assert set(body) == {"prompt", "prompt_id", "client_id", "extra_data"}
    assert body["prompt_id"] == body["client_id"] == ID
    assert body["extra_data"] == {"external_id": OURS}
    assert body["prompt"]["6"]["inputs"]["text"] == "猫, ink"
    assert body["prompt"]["3"]["inputs"]["seed"] == seed_of(OURS)
    assert "origin" not in vendor.requests[-1].headers


async def test_too_old_server_is_refused_before_a_submit() -> None:
    vendor = StubVendor({STATS: [reply(system={"comfyui_version": "v0.3.44"})]})
    with pytest.raises(RefusedForGood, match=r"0\.3\.44 is too old: it does not take a prompt_id"):
        await submit(vendor)
    assert vendor.asked == [STATS]


async def test_version_is_asked_for_until_it_is_known() -> None:
    for told, asked in (
        (bodies.VERSION, [STATS, PROMPT, PROMPT]),
        (reply(404), [STATS, PROMPT, STATS, PROMPT]),
        (reply(system={"comfyui_version": "1" * 5000}), [STATS, PROMPT, STATS, PROMPT]),
    ):
        vendor = StubVendor({STATS: [told], PROMPT: [bodies.ACCEPTED]})
        images = images_at(vendor)
        for _ in range(2):
            await images.submit(OURS, 7, prompt="猫", style="")
        assert vendor.asked == asked


async def test_server_that_ignores_our_id_is_refused_and_cleaned_up() -> None:
    cancel = f"POST /api/jobs/{OTHER}/cancel"
    vendor = StubVendor(
        {
            PROMPT: [reply(prompt_id=OTHER, number=3, node_errors={})],
            cancel: [reply(cancelled=True)],
        }
    )
    with pytest.raises(RefusedForGood, match="too old"):
        await submit(vendor)
    assert vendor.asked == [STATS, PROMPT, cancel]


@pytest.mark.parametrize("given", ["", None, 5, "a\nb", "x" * 70_000])
async def test_unusable_id_is_not_passed_on(given: object) -> None:
    """An interrupt with an empty id would stop the running prompt of any client."""
    vendor = StubVendor({PROMPT: [reply(prompt_id=given)]})
    with pytest.raises(RefusedForGood):
        await submit(vendor)
    assert vendor.asked == [STATS, PROMPT]


async def test_answer_for_another_generation_leaves_ours_in_doubt() -> None:
    """Nothing is cancelled, because it is the prompt of another job."""
    others = prompt_id_of("job-ffffffffffffffffffffffff.image.1")
    vendor = StubVendor({PROMPT: [reply(prompt_id=others, number=3, node_errors={})]})
    with pytest.raises(OutcomeUnknown, match="another generation"):
        await submit(vendor)
    assert vendor.asked == [STATS, PROMPT]


@pytest.mark.parametrize(
    "answer", [bodies.half_accepted("9"), bodies.half_accepted("8", "9", "50")]
)
async def test_mistake_in_our_output_is_final_and_cancelled_at_once(
    answer: Answer,
) -> None:
    vendor = StubVendor({PROMPT: [answer], CANCEL: [reply(cancelled=True)]})
    with pytest.raises(RefusedForGood, match="Required input is missing: images"):
        await submit(vendor)
    assert vendor.asked == [STATS, PROMPT, CANCEL]


async def test_mistake_elsewhere_is_ignored() -> None:
    vendor = StubVendor({PROMPT: [bodies.half_accepted("50", "50")]})
    assert await submit(vendor) == ID


async def test_failed_submits_are_sorted() -> None:
    for answer, kind, why in (
        (
            bodies.REFUSED,
            RefusedForGood,
            "node 3 .CheckpointLoaderSimple.: Value not in list: ckpt",
        ),
        (bodies.UNKNOWN_NODE, RefusedForGood, "NopeNode' not found.*#1"),
        (reply(401), RefusedForGood, "COMFYUI_HEADERS"),
        (reply(403), RefusedForGood, "COMFYUI_HEADERS"),
        (reply(404), RefusedForGood, "COMFYUI_URL"),
        (reply(405), RefusedForGood, "COMFYUI_URL"),
        (reply(302), RefusedForGood, "COMFYUI_URL redirects elsewhere"),
        (lambda _: httpx.Response(413, text="too large"), RefusedForGood, "COMFYUI_WORKFLOW"),
        (reply(429), RefusedForNow, "429"),
        (reply(503), RefusedForNow, "503"),
        (bodies.TROUBLE, OutcomeUnknown, "500"),
        (reply(504), OutcomeUnknown, "504"),
        (lambda _: httpx.Response(200, text="hello"), OutcomeUnknown, "not a JSON object"),
        (httpx.ConnectError("refused"), NeverDelivered, "refused"),
        (httpx.ReadTimeout("slow"), OutcomeUnknown, "slow"),
        (httpx.RemoteProtocolError("reset"), OutcomeUnknown, "reset"),
    ):
        vendor = StubVendor({PROMPT: [answer]})
        with pytest.raises(VendorError, match=why) as error:
            await submit(vendor)
        assert type(error.value) is kind
        assert vendor.asked == [STATS, PROMPT]


@pytest.mark.parametrize(("cancelled", "state"), [(True, "failed"), (False, None)])
async def test_prompt_cancelled_while_waiting_has_ended(cancelled: bool, state: str | None) -> None:
    """The server doesn't know it any more, as it knows none that it never got."""
    vendor = StubVendor({CANCEL: [reply(cancelled=cancelled)], JOB: [NO_JOB], VIEW: [NO_FILE]})
    images = images_at(vendor)
    assert await images.status(OURS) is None
    await images.cancel(ID)
    found = await images.status(OURS)
    assert (found.state if found else None) == state


WAITS = bodies.queue(running=(OTHER,), pending=((2, ID),))
GONE = bodies.queue(running=(OTHER,))


@pytest.mark.parametrize(
    ("before", "after", "state"),
    [(WAITS, GONE, "failed"), (GONE, GONE, None), (WAITS, WAITS, "queued")],
)
async def test_older_server_drops_a_waiting_prompt_which_has_ended_then(
    before: Answer, after: Answer, state: str | None
) -> None:
    """Neither its queue nor its history has it, as if it had never arrived."""
    old = {JOB: [NO_ROUTE], HISTORY: [NOTHING], VIEW: [NO_FILE], CANCEL: [bodies.NOT_ALLOWED]}
    vendor = StubVendor({**old, DROP: [DONE], QUEUE: [before, after]})
    images = images_at(vendor)
    await images.cancel(OURS)
    assert vendor.asked == [CANCEL, QUEUE, DROP, QUEUE]
    found = await images.status(OURS)
    assert (found.state if found else None) == state


@pytest.mark.parametrize(
    ("version", "heeded"),
    [("0.3.64", True), ("v0.3.70", True), ("0.4.0", True), ("0.3.40", False), ("nightly", False)],
)
async def test_older_server_is_interrupted_only_if_it_uses_the_id(
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
    await images_at(vendor).cancel(OURS)
    asked = [CANCEL, QUEUE, DROP, QUEUE, STATS, *([INTERRUPT] if heeded else [])]
    assert vendor.asked == asked
    assert vendor.body(2) == {"delete": [ID]}
    if heeded:
        assert vendor.body() == {"prompt_id": ID}


async def test_failed_cancel_is_reported() -> None:
    images = images_at(StubVendor({CANCEL: [bodies.TROUBLE]}))
    with pytest.raises(OutcomeUnknown):
        await images.cancel(OURS)
