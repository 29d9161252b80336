"""From the form to the result: its drawer, what was kept of it, its files, and its link."""

import asyncio
import re

from playwright.async_api import Route, expect

from shared.jobs.assets import asset_path
from shared.jobs.messages import Attempts, JobInput
from shared.jobs.states import Status, Step
from tests.fixtures.browser import NewPage
from tests.services.api.conftest import change
from tests.services.api.dashboard.conftest import Place
from tests.services.api.dashboard.test_life import opened, submit
from tests.services.worker.samples import png
from tests.shared.standins import sample_record


async def test_the_way_to_the_result_is_not_taken_from_under_the_focus(
    lonely: Place, new_page: NewPage
) -> None:
    tell = """async () => {
      const { notify } = await import("/dashboard/lib/dom.js");
      const link = document.createElement("a");
      link.href = "/";
      link.textContent = "Open it";
      notify("Submitted.", "good", link);
      notify("Said.");
    }"""
    async with lonely.running(), new_page("about:blank") as page:
        await page.clock.install()
        await page.goto(lonely.base)
        await page.evaluate(tell)
        link = page.get_by_role("link", name="Open it")
        await page.clock.run_for(10_000)
        await expect(page.get_by_text("Said.")).to_have_count(0)
        await link.focus()
        await page.clock.run_for(60_000)
        await expect(link).to_be_focused()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Tab")
        await page.clock.run_for(60_000)
        await expect(link).to_have_count(0)


async def test_a_cancelled_jobs_paid_picture_is_reached_from_the_form(
    place: Place, new_page: NewPage
) -> None:
    async with new_page(place.base) as page:
        await submit(page, "to be kept")
        await page.get_by_role("link", name="Open it").click()
        job_id = await opened(page)

        path = asset_path(place.data_dir, job_id, Step.IMAGE)
        path.parent.mkdir(parents=True)
        path.write_bytes(png())
        record = sample_record(job_id, JobInput(prompt="to be kept", style=""))
        fields = {"step": Step.VIDEO, "attempts": Attempts(image=1, video=1)}
        record = change(record, status=Status.RUNNING, **fields)
        place.records.write(
            change(
                record,
                status=Status.CANCELLED,
                asset_url=f"{place.base}/jobs/{job_id}/image",
                finished_at=record.created_at,
            )
        )
        drawer = page.get_by_role("dialog")
        await expect(drawer).to_contain_text("1 image, 1 video")
        link = drawer.get_by_role("link", name="Image", exact=True)
        await expect(link).to_have_attribute("href", f"/jobs/{job_id}/image")

        held = asyncio.Event()

        async def hold(route: Route) -> None:
            await held.wait()
            await route.continue_()

        await page.route("**/dashboard/config", hold)
        await page.reload()
        await expect(drawer.get_by_role("heading", name="Timeline")).to_be_visible()
        await expect(drawer.get_by_role("link", name="Temporal UI")).to_be_hidden()
        held.set()
        link = drawer.get_by_role("link", name="Temporal UI")
        await expect(link).to_have_attribute("href", re.compile(f"/workflows/{job_id}$"))
