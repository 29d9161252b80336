"""Many jobs on the page: it draws one page of lines, and touches only those that changed."""

from playwright.async_api import Page, expect

from shared.jobs.messages import Attempts, JobInput
from shared.jobs.states import Status, Step
from tests.fixtures.browser import NewPage
from tests.services.api.conftest import change
from tests.services.api.dashboard.conftest import Place
from tests.shared.standins import sample_record

# Collects which lines are changed, moved or made from now on.
WATCH = """() => {
  window.touched = new Set();
  const elementOf = (node) => (node.nodeType === 1 ? node : node.parentElement);
  const lineOf = (node) => elementOf(node)?.closest("tr[data-job]");
  new MutationObserver((records) => {
    for (const record of records) {
      for (const node of [record.target, ...record.addedNodes]) {
        const line = lineOf(node);
        if (line && !record.target.closest?.("td[data-label=Age], td[data-label=Time]"))
          window.touched.add(line.dataset.job);
      }
    }
  }).observe(document.querySelector("table.jobs tbody"), {
    subtree: true, childList: true, characterData: true, attributes: true });
}"""


def job_id(number: int) -> str:
    return f"job-{number:024x}"


def fill(place: Place, number: int) -> None:
    for each in range(number):
        job = JobInput(prompt=f"prompt {each}", style="ink", tag="many")
        place.records.write(sample_record(job_id(each), job))


async def shown(page: Page, number: int, count: str) -> None:
    await expect(page.locator("table.jobs caption")).to_have_text(count)
    await expect(page.locator("tr[data-job]")).to_have_count(number)


async def test_a_change_among_200_jobs_touches_its_line_alone(
    lonely: Place, new_page: NewPage
) -> None:
    fill(lonely, 200)
    async with lonely.running(), new_page(f"{lonely.base}/?sort=newest") as page:
        await shown(page, 200, "200 jobs")
        await page.evaluate(WATCH)
        record = lonely.records.read(job_id(120))
        assert record is not None
        running = change(record, status=Status.RUNNING, step=Step.IMAGE, percent=7)
        lonely.records.write(running.model_copy(update={"attempts": Attempts(image=1)}))
        await expect(page.locator(f"tr[data-job={job_id(120)}]")).to_contain_text("image 7 %")

        assert await page.evaluate("[...window.touched]") == [job_id(120)]


async def test_a_thousand_jobs_come_in_pages(lonely: Place, new_page: NewPage) -> None:
    fill(lonely, 1000)
    async with lonely.running(), new_page(lonely.base) as page:
        await shown(page, 200, "1,000 jobs")
        await page.get_by_role("button", name="Next").click()
        await expect(page.get_by_text("page 2 of 5")).to_be_visible()
        await shown(page, 200, "1,000 jobs")
        await page.get_by_label("Search").fill("777 prompt")
        await shown(page, 1, "1 of 1,000 jobs")
