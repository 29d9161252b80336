"""The running pipeline: small pictures, and short pauses where they only protect real vendors."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from temporalio.client import Client

from services.mock_comfyui import pictures
from services.worker.results import checker
from services.worker.vendors.kling import videos
from shared.pipeline import storage
from shared.semaphore import rebuild
from tests.services.mock_core.serving import Json
from tests.workflow.pipeline import Pipeline, working

# Half as many pixels as the mock's: drawn, looked at, filmed and checked for every job. The video
# vendors take no shorter side.
SMALL = (320, 300)


@pytest.fixture(autouse=True, scope="module")
def _quick(forked_openers: tuple[str, ...]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checker, "COMMAND", forked_openers)
        patch.setattr(rebuild, "LISTING_PAUSE_SECONDS", 0.05)
        patch.setattr(storage, "FETCH_PAUSE_SECONDS", 0.01)
        patch.setattr(storage, "FETCH_PATIENCE_SECONDS", 2)
        patch.setattr(videos, "PAUSE_SECONDS", 0.02)
        for side, pixels in zip(("WIDTH", "HEIGHT"), SMALL, strict=True):
            patch.setattr(pictures, side, pixels)
        yield


@pytest.fixture
def vendor_api() -> Json:
    """How vendors are spoken to, as settings: by the small contract, where a test doesn't say."""
    return {}


@pytest.fixture
async def line(client: Client, tmp_path: Path, vendor_api: Json) -> AsyncIterator[Pipeline]:
    async with working(client, tmp_path, **vendor_api) as line:
        yield line
