"""With a token set, the page asks for it once, and again only when it was wrong."""

from typing import Any

import pytest
from playwright.async_api import Dialog, expect

from shared.jobs.ids import new_job_id
from tests.fixtures.browser import NewPage
from tests.services.api.dashboard.conftest import Place
from tests.shared.standins import sample_record

TOKEN = "a-token-of-the-tests"
CHANGE = """
import('/dashboard/lib/api.js').then(({ call }) =>
  call('PUT', '/slots', { body: { limit: 2 } }).then((view) => view.limit, (error) => error.status))
"""


@pytest.fixture
def away(away: dict[str, Any]) -> dict[str, Any]:
    return {**away, "api_token": TOKEN}


async def test_the_page_asks_for_the_token(place: Place, new_page: NewPage) -> None:
    answers = ["not-the-right-token", TOKEN]
    asked: list[str] = []

    async def answered(dialog: Dialog) -> None:
        asked.append(dialog.message)
        if answers:
            await dialog.accept(answers.pop(0))
        else:
            await dialog.dismiss()

    async with new_page(place.base) as page:
        page.on("dialog", answered)
        await expect(page.locator("#link[data-state=live]")).to_be_visible()
        assert asked == []
        assert await page.evaluate(CHANGE) == 2
        assert await page.evaluate(CHANGE) == 2
        assert len(asked) == 2
        await page.context.clear_cookies()
        assert await page.evaluate(CHANGE) == 401


async def test_where_other_machines_reach_it_the_page_asks_first(
    lonely: Place, new_page: NewPage
) -> None:
    lonely.settings["api_exposed"] = True
    record = sample_record(new_job_id())
    lonely.records.write(record)
    asked: list[str] = []

    async def answered(dialog: Dialog) -> None:
        asked.append(dialog.message)
        await dialog.accept(TOKEN)

    async with lonely.running(), new_page(f"{lonely.base}/dashboard/icon.svg") as page:
        page.on("dialog", answered)
        await page.goto(lonely.base)
        await expect(page.locator("#link[data-state=live]")).to_be_visible()
        await expect(page.locator(f"tr[data-job={record.job_id}]")).to_be_visible()
        await page.reload()
        await expect(page.locator("#link[data-state=live]")).to_be_visible()
        kept = "[document.cookie, sessionStorage.length, localStorage.length]"
        assert await page.evaluate(kept) == ["", 0, 0]
    assert len(asked) == 1
