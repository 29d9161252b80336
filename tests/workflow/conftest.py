"""The running pipeline: small pictures, and short pauses where they only protect real vendors.

The tests of a file share an event loop, and the pipelines that run in it: to start one takes longer
than most jobs.
"""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from services.mock_comfyui import pictures
from services.mock_core.settings import RuntimeConfig
from services.worker.results import checker
from services.worker.vendors.kling import videos
from shared.pipeline import storage
from shared.semaphore import rebuild
from tests.fixtures.temporal import NewClient
from tests.services.mock_core.serving import Json
from tests.workflow.pipeline import Pipeline, working

# The pipeline of these settings, as if it had just been started; `keys`: its PAYLOAD_KEY.
Lines = Callable[..., Awaitable[Pipeline]]

# Half as many pixels as the mock's: drawn, looked at, filmed and checked for every job. The video
# vendors take no shorter side.
SMALL = (320, 300)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run each test of this folder in its file's loop; so must its fixtures."""
    for item in items:
        own = isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj)
        if own and item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)


@pytest.fixture(autouse=True, scope="module")
def _quick(forked_openers: tuple[str, ...]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checker, "COMMAND", forked_openers)
        patch.setattr("temporalio.worker._worker.load_default_build_id", _read_all_code)
        patch.setattr(rebuild, "LISTING_PAUSE_SECONDS", 0.05)
        patch.setattr(storage, "FETCH_PAUSE_SECONDS", 0.01)
        patch.setattr(storage, "FETCH_PATIENCE_SECONDS", 2)
        patch.setattr(videos, "PAUSE_SECONDS", 0.02)
        for side, pixels in zip(("WIDTH", "HEIGHT"), SMALL, strict=True):
            patch.setattr(pictures, side, pixels)
        yield


def _read_all_code() -> str:
    """A process imports its own code only; the SDK would read that of every module."""
    raise AssertionError("the code of every module was read")


@pytest.fixture
def vendor_api() -> Json:
    """How vendors are spoken to, as settings: by the small contract, where a test doesn't say."""
    return {}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lines(
    new_client: NewClient, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Lines]:
    async with AsyncExitStack() as running:
        known: dict[str, tuple[Pipeline, list[RuntimeConfig]]] = {}

        async def renewed(*, keys: str = "", **settings: Any) -> Pipeline:
            name = f"{keys} {sorted(settings.items())}"
            if name not in known:
                begun = working(await new_client(keys), tmp_path_factory.mktemp("line"), **settings)
                line = await running.enter_async_context(begun)
                mocks = [service.app.state.mock for service in (line.images, line.videos)]
                known[name] = line, [mock.config for mock in mocks]
            line, configs = known[name]
            await line.renew(*configs)
            return line

        yield renewed


@pytest_asyncio.fixture(loop_scope="module")
async def line(lines: Lines, vendor_api: Json) -> Pipeline:
    return await lines(**vendor_api)
