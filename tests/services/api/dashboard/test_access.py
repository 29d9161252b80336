"""The page for keyboards, screen readers, narrow screens, both palettes and both languages."""

import re

import pytest
from playwright.async_api import Page, expect

from shared.jobs.genvideo import GenVideoInput
from shared.jobs.messages import Attempts, JobError
from shared.jobs.states import Status
from tests.fixtures.browser import DESKTOP, NewPage, seen_as, violations
from tests.services.api.conftest import change
from tests.services.api.dashboard.conftest import Place, job_id, ready
from tests.shared.standins import sample_record

LONG = "雪地里的红狐狸" * 40 + "withoutanyspace" * 40
VIEWS = ["jobs", "batches", "faults", "health"]
PHONE = {"color_scheme": "dark", "viewport": {"width": 360, "height": 740}}
WIDE = {"color_scheme": "light", "viewport": DESKTOP}
CHINESE = {"locale": "zh-CN", "viewport": {"width": 390, "height": 844}}

# The page's policy lets no style attribute in, so each property is set by itself.
SPOIL = """() => {
  const faint = document.createElement("p");
  faint.textContent = "faint";
  Object.assign(faint.style, { color: "#999", backgroundColor: "#888" });
  document.querySelector("main").prepend(document.createElement("button"), faint);
}"""
# The form of a new job, as it is if the page was loaded on a wide screen.
UNFOLD = """() => {
  for (const fold of document.querySelectorAll("details:has(form)")) fold.open = true;
}"""
# By how many pixels the page is wider than its window.
OVERFLOW = "Math.max(0, document.documentElement.scrollWidth - innerWidth)"


@pytest.fixture
def filled(lonely: Place) -> Place:
    """One job of each status, one of them with a prompt that is as long as it may be."""
    for number, status in enumerate(Status):
        prompt = LONG[:700] if status is Status.FAILED else f"prompt {number}"
        record = change(
            sample_record(job_id(number), GenVideoInput(prompt=prompt, style="ink", tag="t")),
            status=status,
            step="image",
            attempts=Attempts(image=1, video=0),
            error=JobError(code="x", message="y") if status is Status.FAILED else None,
        )
        lonely.records.write(record)
    return lonely


async def is_fine(page: Page, view: str) -> None:
    look = f"{view} at {page.viewport_size}"
    assert await violations(page) == [], look
    assert await page.evaluate(OVERFLOW) == 0, look


async def test_every_view_is_accessible_and_fits_the_screen(
    filled: Place, new_page: NewPage
) -> None:
    async with filled.running(), new_page("about:blank") as page:
        for view in [f"jobs&job={job_id([*Status].index(Status.FAILED))}", *VIEWS]:
            await seen_as(page, PHONE)
            await page.goto(f"{filled.base}/?view={view}")
            await ready(page)
            if "job=" in view:
                await expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
            await is_fine(page, view)
            if view == "jobs":
                # As cards, too, it is a table with its heads.
                table = page.get_by_role("table")
                await expect(table.get_by_role("row")).to_have_count(1 + len(Status))
                await expect(table.get_by_role("columnheader")).to_have_count(7)
                tab = page.get_by_role("link", name="Jobs")
                await expect(tab).to_have_attribute("aria-current", "page")
            await seen_as(page, WIDE)
            await page.evaluate(UNFOLD)
            await is_fine(page, view)

        # The checker finds what is wrong.
        await page.evaluate(SPOIL)
        assert {rule for rule, *_ in await violations(page)} >= {"button-name", "color-contrast"}


async def test_keyboard_is_enough(filled: Place, new_page: NewPage) -> None:
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

        # From another view, too.
        await page.get_by_role("link", name="Health").click()
        await page.keyboard.press("n")
        await expect(page.get_by_label("Prompt", exact=True)).to_be_focused()


# What is read or read aloud, without names of things and what services and people have said.
WORDS = """() => {
  const OTHERS = "noscript, pre, code, [lang=en], [dir=auto], option";
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode())
    if (!walk.currentNode.parentElement.closest(OTHERS))
      found.push(walk.currentNode.data);
  for (const name of ["aria-label", "title", "placeholder", "alt"])
    for (const element of document.querySelectorAll(`[${name}]`))
      found.push(element.getAttribute(name));
  return found;
}"""
NAMES = re.compile(
    r"（Failed client connect.*|genvideo|Temporal|temporal|API|\bapi\b|worker|semaphore|"
    r"callback|mock-\w+|Escape|JSON|make [\w =-]+|PRESET=[\w-]+|docs/faults\.md|job-\w+|\btag\b"
)


async def test_whole_page_is_chinese_in_a_chinese_browser(lonely: Place, new_page: NewPage) -> None:
    record = sample_record(job_id(1), GenVideoInput(prompt="水墨", style="ink", tag="t"))
    lonely.records.write(change(record, status=Status.RUNNING))
    async with lonely.running(), new_page(lonely.base, **CHINESE) as page:
        for view in [*VIEWS, f"jobs&job={job_id(1)}"]:
            await page.goto(f"{lonely.base}/?view={view}")
            await ready(page)
            if "job=" in view:
                await expect(page.get_by_role("heading", name="时间线")).to_be_visible()
            texts = [NAMES.sub("", text) for text in await page.evaluate(WORDS)]
            assert [text for text in texts if re.search(r"[A-Za-z]{3}", text)] == [], view
            assert await page.evaluate(OVERFLOW) == 0, view
        await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")


async def test_chosen_language_is_in_the_address(lonely: Place, new_page: NewPage) -> None:
    async with lonely.running(), new_page(f"{lonely.base}/?view=batches") as page:
        await page.get_by_role("link", name="中文").click()
        await expect(page.get_by_role("heading", name="批次")).to_be_visible()
        await page.get_by_role("link", name="健康状况").click()
        await expect(page).to_have_url(f"{lonely.base}/?view=health&lang=zh")
        await page.reload()
        await expect(page.get_by_role("heading", name="健康状况")).to_be_visible()
        await page.get_by_role("link", name="English").click()
        await expect(page.get_by_role("heading", name="Health")).to_be_visible()
