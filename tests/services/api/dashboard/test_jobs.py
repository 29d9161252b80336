"""Jobs on the page: submitted, watched, cancelled, run again; the slot; and many of them."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect
from temporalio.client import Client, WorkflowExecutionStatus

from examples.speech.definition import SPEECH, SpeechInput
from examples.speech.mock import SECONDS_A_CHARACTER, tone
from shared.jobs.genvideo import GENVIDEO, GenVideoInput
from shared.jobs.messages import Attempts, JobError, Record
from shared.jobs.states import Status
from shared.semaphore.messages import SEMAPHORE_QUEUE, SEMAPHORE_WORKFLOW, SlotView, semaphore_id
from tests.fixtures.browser import NewPage
from tests.fixtures.eventually import eventually
from tests.fixtures.processes import free_port
from tests.services.api.conftest import change, ended
from tests.services.api.dashboard.conftest import Place, job_id, row
from tests.services.worker.samples import mp4, png
from tests.shared.standins import CREATED, asset_path, sample_record

HOSTILE = "<img src=x onerror=alert(1)> 雪地里的红狐狸 \u202eright to left"
PLAY = "async (video) => { await video.play(); return video.videoWidth; }"
TOP = "document.querySelector('table.jobs tbody').getBoundingClientRect().top"


async def submit(page: Page, prompt: str, **fields: str) -> None:
    await page.get_by_label("Prompt", exact=True).fill(prompt)
    for label, value in fields.items():
        await page.get_by_label(label.capitalize(), exact=True).fill(value)
    await page.get_by_role("button", name="Submit").click()


async def opened(page: Page) -> str:
    """The id of the job in the drawer."""
    await page.wait_for_url(re.compile("job=job-"))
    return str(re.findall(r"job=(job-\w+)", page.url)[0])


def store_files(place: Place, job: str, **files: bytes) -> None:
    for step, data in files.items():
        path = asset_path(place.data_dir, job, GENVIDEO.stage(step))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


async def test_submitted_job_is_watched_to_its_end(place: Place, new_page: NewPage) -> None:
    async with new_page(place.base) as page:
        await expect(page.get_by_text("No jobs yet.")).to_be_visible()
        await submit(page, HOSTILE, style="ink")
        line = row(page, "雪地里的红狐狸")
        await expect(line).to_contain_text("queued")
        await line.get_by_role("button").click()
        job = await opened(page)

        record = sample_record(job, GenVideoInput(prompt=HOSTILE, style="ink"))
        record = change(
            record,
            status=Status.RUNNING,
            step="image",
            percent=40,
            attempts=Attempts(image=1, video=0),
        )
        place.records.write(record)
        await expect(line).to_contain_text("image 40 %")
        await expect(line).to_contain_text("1 of 4")

        store_files(place, job, image=png(), video=mp4())
        record = change(record, step="video", attempts=Attempts(image=1, video=1))
        place.records.write(ended(record))
        await expect(line).to_contain_text("succeeded")
        drawer = page.get_by_role("dialog")
        await expect(drawer.get_by_role("heading", name="Timeline")).to_be_visible()
        assert await page.locator("img[src='x']").count() == 0
        assert await drawer.locator("video").evaluate(PLAY) == 64


async def test_cancel_reaches_temporal(place: Place, new_page: NewPage) -> None:
    async with new_page(place.base) as page:
        await submit(page, "to be cancelled")
        line = row(page, "to be cancelled")
        await line.get_by_role("button").click()
        job = await opened(page)
        cancel = page.get_by_role("button", name="Cancel", exact=True)
        await cancel.click()
        await expect(page.get_by_text("Cancellation requested")).to_be_visible()
        await expect(line).to_contain_text("cancelling")
        await expect(cancel).to_be_hidden()

        handle = place.client.get_workflow_handle(job)
        await eventually(
            handle.describe, lambda found: found.status is WorkflowExecutionStatus.CANCELED
        )
        record = sample_record(job, GenVideoInput(prompt="to be cancelled", style=""))
        place.records.write(ended(record, Status.CANCELLED))
        await expect(line).to_contain_text("cancelled")
        await expect(cancel).to_be_hidden()


def failed(job: str) -> Record:
    record = sample_record(job, GenVideoInput(prompt="no luck", style="ink", tag="t"))
    record = change(
        record, status=Status.RUNNING, step="image", attempts=Attempts(image=1, video=0)
    )
    error = JobError(code="generation_failed", message="the vendor's reason")
    return change(record, status=Status.FAILED, error=error, finished_at=record.created_at)


async def test_failed_job_shows_the_reason_and_is_retried(place: Place, new_page: NewPage) -> None:
    job = job_id(1)
    place.records.write(failed(job))
    async with new_page(f"{place.base}/?job={job}") as page:
        drawer = page.get_by_role("dialog")
        await expect(drawer).to_contain_text("generation_failed: the vendor's reason")
        await drawer.get_by_role("button", name="Retry").click()
        await expect(page).not_to_have_url(re.compile(job))
        again = await opened(page)
        assert await place.client.get_workflow_handle(again).describe()
        await expect(row(page, "no luck")).to_have_count(2)

        await page.goto(f"{place.base}/?job={job}")
        await page.get_by_role("button", name="Run again with edits").click()
        await expect(page).not_to_have_url(re.compile(job))
        prompt = page.get_by_label("Prompt", exact=True)
        await expect(prompt).to_have_value("no luck")
        await expect(prompt).to_be_focused()
        await prompt.fill("better luck")
        await page.get_by_role("button", name="Submit").click()
        await expect(row(page, "better luck")).to_contain_text("#t")


async def test_phases_say_what_a_job_waits_for(place: Place, new_page: NewPage) -> None:
    job = job_id(1)
    record = sample_record(job).followed(CREATED, "queued")
    for note, step in (
        ("image, attempt 1 of 4", "image"),
        ("image stored; waiting for the video gate", "image"),
        ("video, attempt 1 of 4", "video"),
        ("video accepted, waiting for its callback", "video"),
    ):
        after = {"status": Status.RUNNING, "step": step, "version": record.version + 1}
        record = record.model_copy(update=after).followed(CREATED, note)
    place.records.write(ended(record))
    async with new_page(f"{place.base}/?job={job}") as page:
        phases = page.get_by_role("list", name="Phases").get_by_role("listitem")
        names = ("queued", "image", "waiting for the gate", "video", "waiting for the callback")
        await expect(phases).to_have_text([re.compile(f"^{name}: ") for name in names])


async def test_paid_picture_of_a_cancelled_job_is_linked(place: Place, new_page: NewPage) -> None:
    held = asyncio.Event()

    async def hold(route: Route) -> None:
        await held.wait()
        await route.continue_()

    async with new_page(place.base) as page:
        await submit(page, "to be kept")
        await page.get_by_role("link", name="Open").click()
        job = await opened(page)

        store_files(place, job, image=png())
        record = sample_record(job, GenVideoInput(prompt="to be kept", style=""))
        attempts = Attempts(image=1, video=1)
        record = change(record, status=Status.RUNNING, step="video", attempts=attempts)
        record = ended(record, Status.CANCELLED)
        place.records.write(
            record.model_copy(update={"asset_url": f"{place.base}/jobs/{job}/image"})
        )
        drawer = page.get_by_role("dialog")
        await expect(drawer).to_contain_text("1 × image, 1 × video")
        link = drawer.get_by_role("link", name="Image", exact=True)
        await expect(link).to_have_attribute("href", f"/jobs/{job}/image")

        # The address of the Temporal UI may come later than the job.
        await page.route("**/dashboard/config", hold)
        await page.reload()
        await expect(drawer.get_by_role("heading", name="Timeline")).to_be_visible()
        link = drawer.get_by_role("link", name="Temporal UI")
        await expect(link).to_be_hidden()
        held.set()
        await expect(link).to_have_attribute("href", re.compile(f"/workflows/{job}$"))


async def test_mistakes_are_shown_beside_their_field_and_many_jobs_submitted_at_once(
    place: Place, new_page: NewPage
) -> None:
    async with new_page(place.base) as page:
        tag = page.get_by_label("Tag", exact=True)
        # A tab is pasted into a tag: the browser lets it pass, the API doesn't.
        await tag.evaluate("(field) => { field.value = 'a\\tb'; }")
        await submit(page, "a prompt")
        await expect(page.locator("#new-tag-error")).to_be_visible()
        await expect(tag).to_be_focused()

        await page.get_by_label("How many").fill("7")
        await submit(page, "one of many", tag="seven")
        await expect(page.get_by_text("7 jobs submitted.")).to_be_visible()
        await expect(row(page, "one of many")).to_have_count(7)
        await page.get_by_role("link", name="Show the batch").click()
        await expect(page.locator("tr:has([aria-expanded=true])")).to_contain_text("7")


async def test_filtered_jobs_are_cancelled_and_retried_together(
    place: Place, new_page: NewPage
) -> None:
    asked: list[str] = []
    async with new_page(place.base) as page:
        page.on("dialog", lambda dialog: asked.append(dialog.message))
        page.on("dialog", lambda dialog: dialog.accept())
        await submit(page, "another", tag="other")
        await page.get_by_label("How many").fill("2")
        await submit(page, "of several", tag="both")
        await expect(page.locator("tr[data-job]")).to_have_count(3)
        cancel = page.get_by_role("button", name=re.compile(r"^Cancel \d"))
        await expect(cancel).to_be_hidden()
        await page.get_by_label("With tag").select_option("both")
        await cancel.click()
        await expect(page.get_by_text("Cancellation of 2 jobs requested.")).to_be_visible()
        await expect(row(page, "cancelling")).to_have_count(2)
        await expect(cancel).to_be_hidden()

        job = GenVideoInput(prompt="of several", style="", tag="both")
        # All at once, because a row moves as soon as its job has ended.
        listed = await page.locator("tr[data-job]").evaluate_all(
            "(rows) => rows.map((row) => row.dataset.job)"
        )
        for each in listed:
            place.records.write(ended(sample_record(each, job), Status.CANCELLED))
        await page.get_by_role("button", name="Retry 2").click()
        await expect(page.get_by_text("2 jobs started again as new jobs.")).to_be_visible()
    assert asked == ["Cancel 2 jobs?", "Retry 2 jobs? New generations are charged again."]


async def test_pause_and_limit_reach_the_semaphore(place: Place, new_page: NewPage) -> None:
    async with new_page(place.base) as page:
        panel = page.get_by_role("region", name="Slot")
        await panel.get_by_role("button", name="Pause").press("Enter")
        await expect(panel).to_contain_text("Paused; free")
        await expect(panel.get_by_role("button", name="Resume")).to_be_focused()
        await panel.get_by_label("Limit").fill("3")
        await panel.get_by_role("button", name="Set").click()
        await expect(page.get_by_text("At most 3 jobs at once.")).to_be_visible()

        semaphore = place.client.get_workflow_handle(semaphore_id("job"))
        view = await semaphore.query("view", result_type=SlotView)
        assert (view.limit, view.paused) == (3, True)
        await expect(panel.get_by_role("button", name="Resume")).to_be_visible()


async def test_started_job_is_not_shown_as_waiting(place: Place, new_page: NewPage) -> None:
    first, second = job_id(1), job_id(2)
    await place.client.start_workflow(
        SEMAPHORE_WORKFLOW, [first, second], id=semaphore_id("job"), task_queue=SEMAPHORE_QUEUE
    )
    record = sample_record(first)
    for each in (record, sample_record(second)):
        place.records.write(each)
    async with new_page(place.base) as page:
        panel = page.get_by_role("region", name="Slot")
        await expect(panel).to_contain_text("free, 2 waiting")
        turn = page.locator(f"tr[data-job={second}] td[data-label=Turn]")
        await expect(turn).to_have_text("2")
        stood = await page.evaluate(TOP)

        place.records.write(change(record, status=Status.RUNNING, step="image", percent=5))
        await expect(panel).to_contain_text("1 of 1 in use, 1 waiting")
        await expect(panel).to_contain_text("image 5 %")
        await expect(turn).to_have_text("1")
        assert await page.evaluate(TOP) == stood


async def test_failing_drain_shows_its_reason(lonely: Place, new_page: NewPage) -> None:
    holder = {
        "job_id": job_id(1),
        "token": 1,
        "since": "2026-01-01T00:00:00Z",
        "draining": True,
        "drain_failure": "the vendor does not answer",
    }
    slots = {"limit": 1, "paused": False, "holders": [holder], "waiting": [], "waiting_count": 0}
    async with lonely.running(), new_page("about:blank") as page:
        await page.route("**/slots", lambda route: route.fulfill(json=slots))
        await page.goto(lonely.base)
        panel = page.get_by_role("region", name="Slot")
        await expect(panel).to_contain_text("1 of 1 in use, none waiting")
        await expect(panel).to_contain_text("draining, held for")
        await expect(panel).to_contain_text("the vendor does not answer")


NOTIFY = """async () => {
  const { notify } = await import("/dashboard/lib/dom.js");
  const link = document.createElement("a");
  link.href = "/";
  link.textContent = "Open";
  notify("Submitted.", "good", link);
  notify("Said.");
}"""


async def test_focused_notice_does_not_vanish(lonely: Place, new_page: NewPage) -> None:
    async with lonely.running(), new_page("about:blank") as page:
        await page.clock.install()
        await page.goto(lonely.base)
        await page.evaluate(NOTIFY)
        link = page.get_by_role("link", name="Open")
        await page.clock.run_for(10_000)
        await expect(page.get_by_text("Said.")).to_have_count(0)
        await link.focus()
        await page.clock.run_for(60_000)
        await expect(link).to_be_focused()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Tab")
        await page.clock.run_for(60_000)
        await expect(link).to_have_count(0)


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


async def shown(page: Page, number: int, count: str) -> None:
    await expect(page.locator("table.jobs caption")).to_have_text(count)
    await expect(page.locator("tr[data-job]")).to_have_count(number)


async def test_long_list_is_paged_and_a_change_updates_one_line(
    lonely: Place, new_page: NewPage
) -> None:
    for number in range(600):
        job = GenVideoInput(prompt=f"prompt {number}", style="ink", tag="many")
        lonely.records.write(sample_record(job_id(number), job))
    async with lonely.running(), new_page(f"{lonely.base}/?sort=newest") as page:
        await shown(page, 200, "600 jobs")
        await page.evaluate(WATCH)
        running = change(
            sample_record(job_id(120), GenVideoInput(prompt="prompt 120", style="ink", tag="many")),
            status=Status.RUNNING,
            step="image",
            percent=7,
            attempts=Attempts(image=1, video=0),
        )
        lonely.records.write(running)
        await expect(page.locator(f"tr[data-job={job_id(120)}]")).to_contain_text("image 7 %")
        assert await page.evaluate("[...window.touched]") == [job_id(120)]

        await page.get_by_role("button", name="Next").click()
        await expect(page.get_by_text("page 2 of 3")).to_be_visible()
        await shown(page, 200, "600 jobs")
        await page.get_by_label("Search").fill("577 prompt")
        await shown(page, 1, "1 of 600 jobs")


async def test_other_pipeline_has_its_own_form_and_result(
    tmp_path: Path, client: Client, away: dict[str, Any], new_page: NewPage
) -> None:
    speech = {**away, "pipelines": "examples.speech.definition:SPEECH"}
    place = Place(free_port(), tmp_path, client, speech)
    async with place.running(), new_page(place.base) as page:
        await page.get_by_label("Pipeline").select_option("speech")
        await expect(page.get_by_label("Prompt", exact=True)).to_be_hidden()
        await page.get_by_label("text", exact=True).fill("good morning")
        await page.get_by_role("button", name="Submit").click()
        await page.get_by_role("link", name="Open").click()
        job = await opened(page)
        await expect(row(page, "good morning")).to_contain_text("speech")

        path = asset_path(place.data_dir, job, SPEECH.stage("speech"))
        path.parent.mkdir(parents=True)
        path.write_bytes(tone("good morning"))
        text, url = SpeechInput(text="good morning"), f"{place.base}/jobs/{job}/speech"
        record = Record.of(SPEECH, text, job_id=job, run_id="x", created_at=CREATED)
        record = change(record, status=Status.RUNNING, step="speech", attempts={"speech": 1})
        record = change(record, status=Status.SUCCEEDED, asset_url=url, finished_at=CREATED)
        place.records.write(record)
        drawer = page.get_by_role("dialog")
        await expect(drawer).to_contain_text("1 × speech")
        sound = drawer.locator("audio")
        await expect(sound).to_have_attribute("src", f"/jobs/{job}/speech")
        lasts = "async (audio) => { await audio.play(); return audio.duration; }"
        assert await sound.evaluate(lasts) == pytest.approx(12 * SECONDS_A_CHARACTER, abs=0.01)
