"""The example page of docs/examples: from another origin, in a browser, over the socket."""

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from shared.jobs.genvideo import VIDEO, GenVideoInput
from shared.jobs.messages import Attempts
from shared.jobs.states import Status
from tests.fixtures.browser import NewPage
from tests.fixtures.eventually import eventually
from tests.services.api.conftest import change, ended
from tests.services.api.dashboard.conftest import Place
from tests.services.worker.samples import mp4
from tests.shared.standins import asset_path, sample_record

FOLDER = Path("docs/examples")
PLAYS = "document.querySelector('video').readyState > 0"


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and logs nothing."""

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """Another origin, which serves the examples."""
    handler = functools.partial(Quiet, directory=str(FOLDER))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def away(away: dict[str, Any], elsewhere: str) -> dict[str, Any]:
    return {**away, "api_origins": elsewhere}


async def test_job_is_watched_from_another_origin(
    place: Place, elsewhere: str, new_page: NewPage
) -> None:
    async with new_page(f"{elsewhere}/watch.html?api={place.base}") as page:
        says = page.locator("output")
        await page.get_by_role("button", name="Make it").click()

        async def submitted() -> list[dict[str, Any]]:
            jobs = await page.evaluate(f"fetch('{place.base}/jobs').then((it) => it.json())")
            return list(jobs["jobs"])

        [job] = await eventually(submitted, bool)
        record = sample_record(job["job_id"], GenVideoInput(prompt=job["prompt"], style="ink"))
        place.records.write(record)
        await expect(says).to_contain_text("queued")
        record = change(
            record,
            status=Status.RUNNING,
            step="video",
            percent=40,
            attempts=Attempts(image=0, video=1),
        )
        place.records.write(record)
        await expect(says).to_contain_text("running video")
        await expect(page.locator("progress")).to_have_js_property("value", 70)

        video = asset_path(place.data_dir, record.job_id, VIDEO)
        video.parent.mkdir(parents=True)
        video.write_bytes(mp4())
        place.records.write(ended(record))
        await expect(says).to_contain_text("succeeded")
        await page.wait_for_function(PLAYS)
