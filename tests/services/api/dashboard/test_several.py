"""Several jobs chosen, and cancelled or run again together; the end of their batch is told."""

from playwright.async_api import expect

from shared.jobs.messages import JobInput
from shared.jobs.states import Status
from tests.fixtures.browser import NewPage
from tests.services.api.conftest import ended
from tests.services.api.dashboard.conftest import Place
from tests.services.api.dashboard.test_life import row, submit
from tests.services.api.dashboard.test_slot import TOP
from tests.shared.standins import sample_record


async def test_chosen_jobs_are_cancelled_and_run_again_together(
    place: Place, new_page: NewPage
) -> None:
    async with new_page(place.base) as page:
        await page.get_by_label("How many").fill("2")
        await submit(page, "of several", tag="both")
        await expect(row(page, "of several")).to_have_count(2)
        stood = await page.evaluate(TOP)
        for box in await page.get_by_role("checkbox").all():
            await box.check()
        assert await page.evaluate(TOP) == stood
        one = await page.locator("tr[data-job]").first.get_attribute("data-job")
        await page.get_by_label("Search").fill(str(one))
        await expect(page.get_by_text("2 jobs chosen, 1 of them not in view")).to_be_visible()
        asked: list[str] = []
        page.on("dialog", lambda dialog: asked.append(dialog.message))
        page.on("dialog", lambda dialog: dialog.accept())
        await page.get_by_role("button", name="Cancel 2").click()
        await expect(page.get_by_text("2 jobs asked to cancel.")).to_be_visible()
        assert asked == ["Cancel 2 jobs, 1 of them not in view?"]
        await page.get_by_label("Search").fill("")
        await expect(row(page, "cancelling")).to_have_count(2)
        await expect(page.get_by_role("dialog")).to_be_hidden()
        await expect(page.get_by_text("chosen")).to_be_hidden()

        for line in await page.locator("tr[data-job]").all():
            job_id = await line.get_attribute("data-job")
            assert job_id is not None
            job = JobInput(prompt="of several", style="", tag="both")
            place.records.write(ended(sample_record(job_id, job), Status.CANCELLED))
        await expect(row(page, "cancelled")).to_have_count(2)

        for box in await page.get_by_role("checkbox").all():
            await box.check()
        await page.get_by_role("button", name="Retry 2").click()
        await expect(page.get_by_text("2 jobs started again as new jobs.")).to_be_visible()
        assert asked[1:] == ["Retry 2 jobs? What they make is paid for anew."]
