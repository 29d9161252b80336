"""A job's life on the page: submitted, watched to its end, cancelled, run again."""

import re

from playwright.async_api import Locator, Page, expect
from temporalio.client import WorkflowExecutionStatus

from shared.jobs.assets import asset_path
from shared.jobs.messages import Attempts, JobError, JobInput, Record
from shared.jobs.states import Status, Step
from shared.telemetry.job_lines import LINES
from tests.fixtures.browser import NewPage
from tests.fixtures.eventually import eventually
from tests.services.api.conftest import change, ended
from tests.services.api.dashboard.conftest import Place
from tests.services.worker.samples import mp4, png
from tests.shared.standins import sample_record

HOSTILE = "<img src=x onerror=alert(1)> 雪地里的红狐狸 \u202eright to left"


async def submit(page: Page, prompt: str, **fields: str) -> None:
    await page.get_by_label("Prompt", exact=True).fill(prompt)
    for label, value in fields.items():
        await page.get_by_label(label.capitalize(), exact=True).fill(value)
    await page.get_by_role("button", name="Submit").click()


def row(page: Page, text: str) -> Locator:
    return page.get_by_role("row").filter(has_text=text)


async def opened(page: Page) -> str:
    """The id of the job in the drawer."""
    await page.wait_for_url(re.compile("job=job-"))
    return str(re.findall(r"job=(job-\w+)", page.url)[0])


def store_files(place: Place, job_id: str) -> None:
    for step, data in ((Step.IMAGE, png()), (Step.VIDEO, mp4())):
        path = asset_path(place.data_dir, job_id, step)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


async def test_a_submitted_job_is_watched_to_its_end(place: Place, new_page: NewPage) -> None:
    async with new_page(place.base) as page:
        await expect(page.get_by_text("No jobs yet.")).to_be_visible()
        await submit(page, HOSTILE, style="ink")
        line = row(page, "雪地里的红狐狸")
        await expect(line).to_contain_text("queued")
        await line.get_by_role("button").click()
        job_id = await opened(page)

        record = sample_record(job_id, JobInput(prompt=HOSTILE, style="ink"))
        record = change(
            record, status=Status.RUNNING, step=Step.IMAGE, percent=40, attempts=Attempts(image=1)
        )
        place.records.write(record)
        await expect(line).to_contain_text("image 40 %")
        await expect(line).to_contain_text("1 of 4")

        store_files(place, job_id)
        place.records.write(
            ended(change(record, step=Step.VIDEO, attempts=Attempts(image=1, video=1)))
        )
        await expect(line).to_contain_text("succeeded")
        drawer = page.get_by_role("dialog")
        await expect(drawer.get_by_role("heading", name="Timeline")).to_be_visible()
        said = {"timestamp": "2026-01-01T00:00:00Z", "event": HOSTILE, "job_id": job_id}
        LINES(None, "warning", {**said, "level": "warning", "service": "worker"})
        await drawer.get_by_text("Log lines").click()
        await expect(drawer.locator(".lines")).to_contain_text("雪地里的红狐狸")
        await expect(drawer).to_contain_text("No answer: worker 1, semaphore, callback.")
        assert await page.locator("img[src='x']").count() == 0
        video = drawer.locator("video")
        assert (
            await video.evaluate(
                "async (video) => { await video.play(); return video.videoWidth; }"
            )
            == 64
        )


async def test_cancel_asks_temporal(place: Place, new_page: NewPage) -> None:
    async with new_page(place.base) as page:
        await submit(page, "to be cancelled")
        await row(page, "to be cancelled").get_by_role("button").click()
        job_id = await opened(page)
        await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        await expect(page.get_by_text("Asked to cancel")).to_be_visible()
        await expect(row(page, "to be cancelled")).to_contain_text("cancelling")
        await expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_hidden()

        handle = place.client.get_workflow_handle(job_id)
        await eventually(
            handle.describe, lambda found: found.status is WorkflowExecutionStatus.CANCELED
        )
        record = sample_record(job_id, JobInput(prompt="to be cancelled", style=""))
        place.records.write(ended(record, Status.CANCELLED))
        await expect(row(page, "to be cancelled")).to_contain_text("cancelled")
        await expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_hidden()


def failed(job_id: str) -> Record:
    record = sample_record(job_id, JobInput(prompt="no luck", style="ink", tag="t"))
    record = change(record, status=Status.RUNNING, step=Step.IMAGE, attempts=Attempts(image=1))
    return change(
        record,
        status=Status.FAILED,
        error=JobError(code="generation_failed", message="the vendor's reason"),
        finished_at=record.created_at,
    )


async def test_a_failed_job_says_why_and_is_run_again(place: Place, new_page: NewPage) -> None:
    first = place.records
    job_id = f"job-{'a' * 24}"
    first.write(failed(job_id))
    async with new_page(f"{place.base}/?job={job_id}") as page:
        drawer = page.get_by_role("dialog")
        await expect(drawer).to_contain_text("generation_failed: the vendor's reason")
        await drawer.get_by_role("button", name="Retry").click()
        await expect(page).not_to_have_url(re.compile(job_id))
        again = await opened(page)

        assert await place.client.get_workflow_handle(again).describe()
        await expect(row(page, "no luck")).to_have_count(2)


async def test_a_job_is_run_again_with_edits(place: Place, new_page: NewPage) -> None:
    job_id = f"job-{'b' * 24}"
    place.records.write(failed(job_id))
    async with new_page(f"{place.base}/?job={job_id}") as page:
        await page.get_by_role("button", name="Run again with edits").click()
        await expect(page).not_to_have_url(re.compile(job_id))
        prompt = page.get_by_label("Prompt", exact=True)
        await expect(prompt).to_have_value("no luck")
        await expect(prompt).to_be_focused()
        await prompt.fill("better luck")
        await page.get_by_role("button", name="Submit").click()
        await expect(row(page, "better luck")).to_contain_text("#t")


async def test_what_the_api_refuses_is_told_beside_the_field_and_many_are_submitted_at_once(
    place: Place, new_page: NewPage
) -> None:
    async with new_page(place.base) as page:
        tag = page.get_by_label("Tag", exact=True)
        # A tab is pasted into a tag, say: the browser lets it pass, the API doesn't.
        await tag.evaluate("(field) => { field.value = 'a\\tb'; }")
        await submit(page, "a prompt")
        error = page.locator("#new-tag-error")
        await expect(error).to_be_visible()
        await expect(tag).to_be_focused()

        await page.get_by_label("How many").fill("7")
        await submit(page, "one of many", tag="")
        await expect(page.get_by_text("7 jobs submitted.")).to_be_visible()
        await expect(page.get_by_role("link", name="Show the batch")).to_be_visible()
        await expect(row(page, "one of many")).to_have_count(7)
