"""What the mocks do to a job is seen at the job, and on every view that something is armed."""

from playwright.async_api import expect
from pydantic import AnyHttpUrl

from tests.fixtures.browser import NewPage
from tests.services.api.dashboard.conftest import Place
from tests.services.mock_core.serving import Service
from tests.shared.standins import sample_record

JOB = f"job-{'a' * 24}"


async def test_a_fault_is_in_the_timeline_of_the_job_that_it_hit(
    lonely: Place, new_page: NewPage, image_mock: Service
) -> None:
    lonely.settings["mock_comfyui_url"] = AnyHttpUrl(str(image_mock.http.base_url))
    lonely.records.write(sample_record(JOB))
    await image_mock.arm({"name": "no-luck", "where": "submit", "do": "refuse"})
    async with lonely.running(), new_page(f"{lonely.base}/?job={JOB}") as page:
        await expect(page.get_by_role("link", name="1 rule armed")).to_be_visible()
        await image_mock.post("/img/submit", {"prompt": "a", "client_id": f"{JOB}.image.1"})
        await image_mock.post("/img/submit", {"prompt": "a", "client_id": f"{JOB}.image.2"})
        await expect(page.locator(f"tr[data-job={JOB}]")).to_contain_text("2 faults")
        told = page.get_by_role("dialog").locator(".transitions .fault")
        await expect(told).to_have_count(2)
        await expect(told.last).to_contain_text("no-luck: submit refuse (image 2)")

        await image_mock.http.delete("/admin/faults")
        await image_mock.post("/admin/reset", {})
        await expect(told).to_have_count(0)
        await expect(page.locator("#armed")).to_be_hidden()
