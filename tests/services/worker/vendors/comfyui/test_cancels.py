"""A ComfyUI as the image vendor: a prompt is cancelled, by what the server's release knows."""

import pytest

from shared.errors import OutcomeUnknown
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
    QUEUE,
    STATS,
    VIEW,
)
from tests.services.worker.vendors.comfyui.clients import images_at
from tests.services.worker.vendors.stub import Answer, StubVendor, reply


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


WAITS = bodies.queue(running=(OTHER,), pending=((2, ID),))
GONE = bodies.queue(running=(OTHER,))


@pytest.mark.parametrize(
    ("before", "after", "state"),
    [(WAITS, GONE, "failed"), (GONE, GONE, None), (WAITS, WAITS, "queued")],
)
async def test_an_older_server_drops_one_that_waits_which_is_over_then(
    before: Answer, after: Answer, state: str | None
) -> None:
    """Neither its queue nor its history tells of it, as of one that it never got."""
    old = {JOB: [NO_ROUTE], HISTORY: [NOTHING], VIEW: [NO_FILE], CANCEL: [bodies.NOT_ALLOWED]}
    vendor = StubVendor({**old, DROP: [DONE], QUEUE: [before, after]})
    async with images_at(vendor) as images:
        await images.cancel(OURS)
        assert vendor.asked == [CANCEL, QUEUE, DROP, QUEUE]
        found = await images.status(OURS)
    assert (found.state if found else None) == state


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
    asked = [CANCEL, QUEUE, DROP, QUEUE, STATS, *([INTERRUPT] if heeded else [])]
    assert vendor.asked == asked
    assert vendor.body(2) == {"delete": [ID]}
    if heeded:
        assert vendor.body() == {"prompt_id": ID}


async def test_a_cancel_that_fails_is_told() -> None:
    with pytest.raises(OutcomeUnknown):
        await cancelled({CANCEL: [bodies.TROUBLE]})
