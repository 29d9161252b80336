"""The slot panel: what it sets, the semaphore has; what a job says counts before older news."""

from playwright.async_api import expect

from shared.jobs.states import Status, Step
from shared.semaphore.messages import SEMAPHORE_QUEUE, SEMAPHORE_WORKFLOW, SlotView, semaphore_id
from tests.fixtures.browser import NewPage
from tests.services.api.conftest import change
from tests.services.api.dashboard.conftest import Place
from tests.shared.standins import sample_record

TOP = "document.querySelector('table.jobs tbody').getBoundingClientRect().top"
FIRST, SECOND = f"job-{'e' * 24}", f"job-{'f' * 24}"


async def test_pause_and_limit_reach_the_semaphore(place: Place, new_page: NewPage) -> None:
    async with new_page(place.base) as page:
        panel = page.get_by_role("region", name="Slot")
        await panel.get_by_role("button", name="Pause").click()
        await expect(panel).to_contain_text("Paused; free")
        await panel.get_by_label("At once, at most").fill("3")
        await panel.get_by_role("button", name="Set").click()
        await expect(page.get_by_text("At most 3 jobs at once.")).to_be_visible()

        semaphore = place.client.get_workflow_handle(semaphore_id("job"))
        view = await semaphore.query("view", result_type=SlotView)
        assert (view.limit, view.paused) == (3, True)
        await expect(panel.get_by_role("button", name="Resume")).to_be_visible()


async def test_a_job_that_has_started_is_not_shown_as_waiting(
    place: Place, new_page: NewPage
) -> None:
    await place.client.start_workflow(
        SEMAPHORE_WORKFLOW, [FIRST, SECOND], id=semaphore_id("job"), task_queue=SEMAPHORE_QUEUE
    )
    record = sample_record(FIRST)
    for each in (record, sample_record(SECOND)):
        place.records.write(each)
    async with new_page(place.base) as page:
        panel = page.get_by_role("region", name="Slot")
        await expect(panel).to_contain_text("free, 2 waiting")
        turn = page.locator(f"tr[data-job={SECOND}] td[data-label=Turn]")
        await expect(turn).to_have_text("2")
        stood = await page.evaluate(TOP)

        place.records.write(change(record, status=Status.RUNNING, step=Step.IMAGE, percent=5))
        await expect(panel).to_contain_text("1 of 1 in use, 1 waiting")
        await expect(panel).to_contain_text("image 5 %")
        await expect(turn).to_have_text("1")
        assert await page.evaluate(TOP) == stood
