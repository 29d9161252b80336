"""What the page shows is in its address; batches, faults and health have a view each."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest_asyncio
from playwright.async_api import Page, expect
from pydantic import AnyHttpUrl

from shared.jobs.genvideo import GenVideoInput
from shared.jobs.states import Status
from tests.fixtures.browser import NewPage
from tests.services.api.conftest import change, ended
from tests.services.api.dashboard.conftest import Place, job_id
from tests.services.mock_core.serving import Service
from tests.shared.standins import CREATED, sample_record

ENDS = [Status.SUCCEEDED, Status.FAILED, Status.SUCCEEDED, Status.CANCELLED]


@pytest_asyncio.fixture(loop_scope="session")
async def filled(lonely: Place) -> AsyncIterator[Place]:
    """Four jobs that have ended, of two tags, and one that waits."""
    for number, status in enumerate(ENDS):
        job = GenVideoInput(prompt=f"prompt {number}", style="ink", tag=f"tag-{number % 2}")
        record = sample_record(job_id(number), job)
        running = change(record, status=Status.RUNNING, started_at=CREATED - timedelta(seconds=2))
        lonely.records.write(ended(running, status))
    lonely.records.write(sample_record(job_id(9)))
    async with lonely.running():
        yield lonely


async def lines(page: Page, number: int) -> None:
    await expect(page.locator("tr[data-job]")).to_have_count(number)


async def test_search_and_filters_are_in_the_address(filled: Place, new_page: NewPage) -> None:
    async with new_page(filled.base) as page:
        await lines(page, 5)
        await page.keyboard.press("/")
        # Words in any order.
        await page.keyboard.type("2 prompt")
        await lines(page, 1)
        await expect(page).to_have_url(re.compile(r"q=2\+prompt"))
        await page.keyboard.press("ControlOrMeta+a")
        await page.keyboard.type("nowhere")
        await page.get_by_role("button", name="Show all jobs").click()
        await lines(page, 5)

        await page.get_by_role("button", name=re.compile("^succeeded")).click()
        await lines(page, 2)
        await expect(page).to_have_url(re.compile("status=succeeded"))
        await page.get_by_role("button", name=re.compile("^failed")).click()
        await lines(page, 3)
        await page.get_by_label("With tag").select_option("tag-1")
        await lines(page, 1)

        await page.reload()
        await lines(page, 1)
        await expect(page.get_by_label("With tag")).to_have_value("tag-1")
        await page.go_back()
        await lines(page, 3)


async def test_pressed_line_opens_even_if_it_moves(filled: Place, new_page: NewPage) -> None:
    async with new_page(filled.base) as page:
        await lines(page, 5)
        line = page.locator("tr[data-job]").filter(has_text="prompt 2")
        await line.get_by_role("cell").nth(4).hover()
        await page.mouse.down()
        filled.records.write(sample_record(job_id(8)))
        await lines(page, 6)
        await page.mouse.up()
        await expect(page.get_by_role("dialog")).to_contain_text("prompt 2")
        await page.keyboard.press("Escape")
        await expect(line.get_by_role("button")).to_be_focused()


async def test_batch_shows_its_figures_and_its_jobs(filled: Place, new_page: NewPage) -> None:
    job = GenVideoInput(prompt="a fox", style="ink", tag="x" * 200)
    filled.records.write(sample_record(job_id(10), job))
    async with new_page(f"{filled.base}/?view=batches") as page:
        # The longest tag wraps.
        await expect(page.get_by_role("button", name="x" * 200)).to_be_visible()
        table = page.get_by_role("group", name="Batches")
        assert await table.evaluate("it => it.scrollWidth - it.clientWidth") == 0

        row = page.get_by_role("row").filter(has_text="tag-1")
        figures = ["2", "2", "0 %", "2", "0 × image, 0 × video", "0 ms"]
        await expect(row.get_by_role("cell")).to_have_text([re.compile(r"20\d\d"), *figures])
        await page.get_by_role("button", name="tag-0").click()
        opened = page.locator("tr:has([aria-expanded=true]) + tr")
        await expect(opened).to_contain_text("2 succeeded · ")
        await page.get_by_role("link", name="Show in the table").click()
        await lines(page, 2)


async def test_unreachable_service_and_real_ones_are_shown_on_every_view(
    lonely: Place, new_page: NewPage
) -> None:
    lonely.settings["mocks"] = "off"
    async with lonely.running(), new_page(f"{lonely.base}/?view=faults") as page:
        await expect(page.get_by_text("real services")).to_be_visible()
        await expect(page.get_by_role("link", name="Faults")).to_have_count(0)
        await expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
        await page.get_by_role("link", name="services not ready").click()
        worker = page.get_by_role("row").filter(has_text="worker")
        await expect(worker).to_contain_text("does not answer")


@pytest_asyncio.fixture(loop_scope="session")
async def with_mocks(
    lonely: Place, image_mock: Service, video_mock: Service
) -> AsyncIterator[Place]:
    lonely.settings["mock_comfyui_url"] = AnyHttpUrl(str(image_mock.http.base_url))
    lonely.settings["mock_kling_url"] = AnyHttpUrl(str(video_mock.http.base_url))
    async with lonely.running():
        yield lonely


async def test_wrong_rule_is_explained_and_a_preset_is_armed_hit_and_cleared(
    with_mocks: Place, new_page: NewPage, image_mock: Service
) -> None:
    async with new_page(f"{with_mocks.base}/?view=faults") as page:
        await page.get_by_label(re.compile("^Rule")).fill('{"where": "nowhere"}')
        await page.get_by_role("button", name="Arm", exact=True).click()
        await expect(page.get_by_role("alert")).to_contain_text("where")

        await page.get_by_role("button", name="Arm failing-generations").click()
        armed = page.get_by_role("row").filter(has_text="failing-generations")
        await expect(armed).to_have_count(2)
        await image_mock.post("/img/submit", {"prompt": "a", "style": "b"})
        await expect(armed.filter(has_text="image").get_by_role("cell").nth(5)).to_have_text("1")
        await page.get_by_role("button", name="Clear all").click()
        await expect(armed).to_have_count(0)

        await page.get_by_role("button", name="demo (× 10)").click()
        await expect(page.get_by_text("image × 10, video × 10")).to_be_visible()


async def test_beside_real_images_faults_go_to_the_video_mock(
    lonely: Place, new_page: NewPage, video_mock: Service
) -> None:
    lonely.settings["mocks"] = "video"
    lonely.settings["mock_kling_url"] = AnyHttpUrl(str(video_mock.http.base_url))
    async with lonely.running(), new_page(f"{lonely.base}/?view=faults") as page:
        await expect(page.get_by_text("real images")).to_be_visible()
        await page.get_by_role("button", name="Arm failing-generations").click()
        armed = page.get_by_role("row").filter(has_text="failing-generations")
        await expect(armed).to_have_count(1)
        await page.get_by_role("button", name="Clear all").click()
        await expect(armed).to_have_count(0)


async def test_fault_is_in_the_timeline_of_its_job(
    lonely: Place, new_page: NewPage, image_mock: Service
) -> None:
    job = job_id(1)
    lonely.settings["mock_comfyui_url"] = AnyHttpUrl(str(image_mock.http.base_url))
    lonely.records.write(sample_record(job))
    await image_mock.arm({"name": "no-luck", "where": "submit", "do": "refuse"})
    async with lonely.running(), new_page(f"{lonely.base}/?job={job}") as page:
        await expect(page.get_by_role("link", name="1 rule armed")).to_be_visible()
        await image_mock.post("/img/submit", {"prompt": "a", "client_id": f"{job}.image.1"})
        await image_mock.post("/img/submit", {"prompt": "a", "client_id": f"{job}.image.2"})
        await expect(page.locator(f"tr[data-job={job}]")).to_contain_text("2 faults")
        told = page.get_by_role("dialog").locator(".transitions .fault")
        await expect(told).to_have_count(2)
        await expect(told.last).to_contain_text("no-luck: submit refuse (image 2)")

        await image_mock.http.delete("/admin/faults")
        await image_mock.post("/admin/reset", {})
        await expect(told).to_have_count(0)
        await expect(page.locator("#armed")).to_be_hidden()
