"""The page in Chinese: by the browser or the address, switched by hand, every word of it."""

import re

from playwright.async_api import Page, expect

from shared.jobs.messages import JobInput
from shared.jobs.states import Status
from tests.fixtures.browser import NewPage, violations
from tests.services.api.conftest import change
from tests.services.api.dashboard.conftest import Place
from tests.services.api.dashboard.test_access import OVERFLOW, ready
from tests.shared.standins import sample_record

CHINESE = {"locale": "zh-CN", "viewport": {"width": 390, "height": 844}}
JOB = f"job-{1:024x}"
VIEWS = ["jobs", "batches", "faults", "health", f"jobs&job={JOB}"]
# What is read or read aloud, names of things and what the services themselves say apart.
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
    r"callback|mock-\w+|curl|Escape|JSON|make [\w -]+|PRESET=[\w-]+|docs/faults\.md|job-\w+|\btag\b"
)


async def english(page: Page) -> list[str]:
    """The texts that have English words in them."""
    texts = [NAMES.sub("", text) for text in await page.evaluate(WORDS)]
    return [text for text in texts if re.search(r"[A-Za-z]{3}", text)]


async def test_all_of_it_is_chinese_for_a_browser_that_is(lonely: Place, new_page: NewPage) -> None:
    record = sample_record(JOB, JobInput(prompt="水墨", style="ink", tag="t"))
    lonely.records.write(change(record, status=Status.RUNNING))
    async with lonely.running(), new_page(lonely.base, **CHINESE) as page:
        for view in VIEWS:
            await page.goto(f"{lonely.base}/?view={view}")
            await ready(page)
            if "job=" in view:
                await expect(page.get_by_role("heading", name="时间线")).to_be_visible()
            assert await english(page) == [], view
            assert await violations(page) == [], view
            assert await page.evaluate(OVERFLOW) == 0, view
        await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")


async def test_it_is_switched_by_hand_and_stays_in_the_address(
    lonely: Place, new_page: NewPage
) -> None:
    async with lonely.running(), new_page(f"{lonely.base}/?view=batches") as page:
        await page.get_by_role("link", name="中文").click()
        await expect(page.get_by_role("heading", name="批次")).to_be_visible()
        await page.get_by_role("link", name="健康状况").click()
        await expect(page).to_have_url(f"{lonely.base}/?view=health&lang=zh")
        await page.reload()
        await expect(page.get_by_role("heading", name="健康状况")).to_be_visible()
        await page.get_by_role("link", name="English").click()
        await expect(page.get_by_role("heading", name="Health")).to_be_visible()
        await page.go_back()
        await expect(page.get_by_role("heading", name="健康状况")).to_be_visible()
