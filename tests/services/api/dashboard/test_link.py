"""The page's link to the API: what changed while it was away is there after it."""

import pytest
from playwright.async_api import Page, Route, expect

from shared.jobs.messages import Attempts
from shared.jobs.states import Status, Step
from tests.fixtures.browser import NewPage
from tests.services.api.conftest import change
from tests.services.api.dashboard.conftest import Place
from tests.shared.standins import sample_record

JOB, OTHER = f"job-{'c' * 24}", f"job-{'d' * 24}"


async def shows_link(page: Page, state: str) -> None:
    await expect(page.locator(f"#link[data-state={state}]")).to_be_visible()


async def shows(page: Page, job_id: str, text: str) -> None:
    await expect(page.locator(f"tr[data-job={job_id}]")).to_contain_text(text)


async def test_a_restart_of_the_api_loses_no_change(lonely: Place, new_page: NewPage) -> None:
    record = sample_record(JOB)
    lonely.records.write(record)
    async with new_page("about:blank") as page:
        async with lonely.running():
            await page.goto(lonely.base)
            await shows(page, JOB, "queued")
            await shows_link(page, "live")
            await page.evaluate("window.untouched = true")

        await shows_link(page, "lost")
        running = change(record, status=Status.RUNNING, step=Step.VIDEO, percent=70)
        lonely.records.write(running.model_copy(update={"attempts": Attempts(image=1, video=2)}))
        lonely.records.write(sample_record(OTHER))
        async with lonely.running():
            await shows_link(page, "live")
            await shows(page, JOB, "video 70 %")
            await shows(page, OTHER, "queued")

        # Jobs that are gone leave the page.
        (lonely.records.folder / f"{JOB}.json").unlink()
        async with lonely.running():
            await expect(page.locator(f"tr[data-job={JOB}]")).to_have_count(0)
            await shows(page, OTHER, "queued")
            assert await page.evaluate("window.untouched")


@pytest.mark.parametrize("part", ["app.js", "lib/dom.js", "app.css"])
async def test_a_page_of_which_a_part_did_not_arrive_is_loaded_anew(
    lonely: Place, new_page: NewPage, part: str
) -> None:
    """As happens where a network comes or goes on this machine, with each container."""
    lost: list[str] = []

    async def lose_once(route: Route) -> None:
        if route.request.url in lost:
            await route.continue_()
        else:
            lost.append(route.request.url)
            await route.abort("connectionaborted")

    lonely.records.write(sample_record(JOB))
    async with lonely.running(), new_page("about:blank") as page:
        await page.route(f"**/{part}", lose_once)
        await page.goto(lonely.base)
        await expect(page.locator("body")).to_have_css("margin", "0px")
        await shows(page, JOB, "queued")
    assert len(lost) == 1
