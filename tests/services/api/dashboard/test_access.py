"""The page for keyboards, screen readers, narrow screens and both palettes, by axe-core's rules."""

import pytest
from playwright.async_api import Page, expect

from shared.jobs.messages import Attempts, JobError, JobInput
from shared.jobs.states import Status, Step
from tests.fixtures.browser import DESKTOP, NewPage, seen_as, violations
from tests.services.api.conftest import change
from tests.services.api.dashboard.conftest import Place
from tests.shared.standins import sample_record

LONG = "雪地里的红狐狸" * 40 + "withoutanyspace" * 40
VIEWS = ["jobs", "batches", "faults", "health"]
PHONE = {"color_scheme": "dark", "viewport": {"width": 360, "height": 740}}
WIDE = {"color_scheme": "light", "viewport": DESKTOP}

# The page's policy lets no style attribute in, so each property is set by itself.
SPOIL = """() => {
  const faint = document.createElement("p");
  faint.textContent = "faint";
  Object.assign(faint.style, { color: "#999", backgroundColor: "#888" });
  document.querySelector("main").prepend(document.createElement("button"), faint);
}"""
# The form of a new job, as it is where the page was loaded on a wide screen.
UNFOLD = """() => {
  for (const fold of document.querySelectorAll("details:has(form)")) fold.open = true;
}"""
# By how many pixels the page is wider than its window.
OVERFLOW = "Math.max(0, document.documentElement.scrollWidth - innerWidth)"


@pytest.fixture
def filled(lonely: Place) -> Place:
    """One job of each look, and a prompt that is as long as it may be."""
    for number, status in enumerate(Status):
        job = JobInput(
            prompt=LONG[:700] if number == 0 else f"prompt {number}", style="ink", tag="t"
        )
        record = change(
            sample_record(f"job-{number:024x}", job),
            status=status,
            step=Step.IMAGE,
            attempts=Attempts(image=1),
            error=JobError(code="x", message="y") if status is Status.FAILED else None,
        )
        lonely.records.write(record)
    return lonely


async def ready(page: Page) -> None:
    await expect(page.locator("#link[data-state=live]")).to_be_visible()
    await expect(page.locator("#mode")).to_be_visible()


async def test_every_view_is_named_readable_and_fits(filled: Place, new_page: NewPage) -> None:
    async with filled.running(), new_page("about:blank") as page:
        for view in [f"jobs&job=job-{0:024x}", f"jobs&job=job-{4:024x}", *VIEWS]:
            await seen_as(page, PHONE)
            await page.goto(f"{filled.base}/?view={view}")
            await ready(page)
            if "job=" in view:
                await page.get_by_text("Log lines").click()
                await expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
            await is_fine(page, view)
            await seen_as(page, WIDE)
            await page.evaluate(UNFOLD)
            await is_fine(page, view)

        # The checker finds what is wrong.
        await page.evaluate(SPOIL)
        assert {rule for rule, *_ in await violations(page)} >= {"button-name", "color-contrast"}


async def is_fine(page: Page, view: str) -> None:
    look = f"{view} at {page.viewport_size}"
    assert await violations(page) == [], look
    assert await page.evaluate(OVERFLOW) == 0, look


async def test_landmarks_headings_and_the_table_are_told(filled: Place, new_page: NewPage) -> None:
    async with filled.running(), new_page(filled.base, viewport=PHONE["viewport"]) as page:
        await ready(page)
        for role in ("banner", "main", "search"):
            await expect(page.get_by_role(role)).to_have_count(1)
        await expect(page.get_by_role("navigation", name="Views")).to_be_visible()
        await expect(page.get_by_role("heading", level=1)).to_have_text("genvideo")
        # As cards, too, it is a table with its heads.
        table = page.get_by_role("table")
        await expect(table.get_by_role("row")).to_have_count(1 + len(Status))
        await expect(table.get_by_role("columnheader")).to_have_count(7)
        await expect(page.get_by_role("link", name="Jobs")).to_have_attribute(
            "aria-current", "page"
        )


async def test_the_keyboard_alone_opens_and_closes_a_job(filled: Place, new_page: NewPage) -> None:
    async with filled.running(), new_page(filled.base) as page:
        await ready(page)
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        opener = page.get_by_role("button", name="prompt 3", exact=True)
        await opener.focus()
        await page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog", name="prompt 3")
        await expect(dialog.get_by_role("heading", name="prompt 3")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(dialog).to_be_hidden()
        await expect(opener).to_be_focused()

        titles = page.locator("tr .title")
        await titles.nth(0).focus()
        for key, place in (("ArrowDown", 1), ("ArrowDown", 2), ("ArrowUp", 1)):
            await page.keyboard.press(key)
            await expect(titles.nth(place)).to_be_focused()


async def test_n_writes_a_new_job(filled: Place, new_page: NewPage) -> None:
    async with filled.running(), new_page(filled.base) as page:
        await ready(page)
        prompt = page.get_by_label("Prompt", exact=True)
        await page.keyboard.press("n")
        await expect(prompt).to_be_focused()
        assert await violations(page) == []

        await page.get_by_role("link", name="Health").click()
        await expect(prompt).to_have_count(0)
        await page.keyboard.press("n")
        await expect(prompt).to_be_focused()
