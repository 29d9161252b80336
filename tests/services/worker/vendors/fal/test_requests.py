"""By which address a request of fal's is found again, and that no other one is asked."""

import httpx
import pytest

from services.worker.vendors.fal.chosen import fal_videos
from shared.errors import OutcomeUnknown
from tests.services.worker.vendors.fal.clients import (
    AT,
    ID,
    KEPT,
    STATUS,
    SUBMIT,
    queued,
    settings_of,
    status,
    submit,
)
from tests.services.worker.vendors.stub import CUT, StubVendor, picture_at


@pytest.mark.parametrize(
    ("status_url", "kept"),
    [
        (f"http://vendor/workflows/a/b/requests/{ID}/status", f"workflows/a/b/requests/{ID}"),
        (f"http://elsewhere/fal-ai/other/requests/{ID}/status", KEPT),
        (f"https://vendor/fal-ai/other/requests/{ID}/status", KEPT),
        (f"http://vendor:81/fal-ai/other/requests/{ID}/status", KEPT),
        (f"http://vendor@elsewhere/fal-ai/other/requests/{ID}/status", KEPT),
        (f"http://vendor/a/../requests/{ID}/status?x=1", KEPT),
        ("http://vendor/fal-ai/other/requests/another/status", KEPT),
        ("http://[/", KEPT),
        (f"http://vendor/{CUT}/requests/{ID}/status", KEPT),
        (7, KEPT),
        (None, KEPT),
    ],
)
async def test_a_request_is_kept_by_its_own_address_at_the_queue_and_nowhere_else(
    status_url: object, kept: str
) -> None:
    assert await submit(StubVendor({SUBMIT: [queued(status_url=status_url)]})) == kept


@pytest.mark.parametrize(
    ("status_url", "kept"),
    [(f"http://vendor/proxy/a/b/requests/{ID}/status", f"a/b/requests/{ID}"), (AT, KEPT)],
)
async def test_the_queue_may_be_below_a_path(status_url: str, kept: str) -> None:
    vendor = StubVendor({SUBMIT.replace("/", "/proxy/", 1): [queued(status_url=status_url)]})
    async with httpx.AsyncClient(
        transport=vendor.transport(), base_url="http://vendor/proxy/"
    ) as http:
        videos = fal_videos(http, settings_of())
        picture = picture_at("x")
        found = await videos.submit("o", 1, prompt="p", picture=picture, callback_url="c")
    assert found == kept


@pytest.mark.parametrize("request_id", [None, 7, "", "a/b", "..", "a b", CUT, "x" * 201])
async def test_a_submit_that_is_answered_without_an_id_may_have_been_taken(
    request_id: object,
) -> None:
    with pytest.raises(OutcomeUnknown, match="request_id"):
        await submit(StubVendor({SUBMIT: [queued(request_id=request_id)]}))


OTHER = "00000000-b745-4b3e-ae38-1200304cf45b"


@pytest.mark.parametrize(
    "told",
    [
        {"request_id": OTHER},
        {"status": "COMPLETED", "request_id": OTHER},
        {"status": "COMPLETED", "response_url": AT.replace(ID, OTHER)},
    ],
)
async def test_a_status_of_another_request_is_no_news(told: dict[str, object]) -> None:
    """Else one job would get the file of another."""
    vendor = StubVendor({STATUS: [queued(**told)]})
    with pytest.raises(OutcomeUnknown, match="another generation"):
        await status(vendor)
    assert vendor.asked == [STATUS]
