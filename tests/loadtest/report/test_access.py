"""Every report for keyboards, screen readers, narrow screens and both palettes, by axe's rules."""

import asyncio
from pathlib import Path

from playwright.async_api import Page, expect

from loadtest.books import raw
from loadtest.judge.judge import judge
from loadtest.report.write import write_report
from loadtest.run.plan import Options
from tests.fixtures.browser import NewPage, seen_as, violations
from tests.loadtest.forging.recorded import unpack
from tests.loadtest.synthetic import Synthetic

DESKTOP = {"color_scheme": "light", "viewport": {"width": 1440, "height": 900}}
PHONE = {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}}
LOOKS = [(DESKTOP, "English"), (PHONE, "中文")]
# By how many pixels the page is wider than its window.
OVERFLOW = "Math.max(0, document.documentElement.scrollWidth - innerWidth)"


def _passed(folder: Path) -> list[Path]:
    """The report of a recorded run with faults."""
    run = unpack("everything-at-once", folder / "run")
    write_report(run, judge(run))
    return [run.path / "report.html"]


def _failed(folder: Path) -> list[Path]:
    """The report of a run that has lost a job."""
    run = Synthetic(folder, plan=Options(stages="1,5", seed="7").plan()).write()
    run.edit(raw.STATES, lambda rows: rows.pop())
    write_report(run.folder, judge(run.folder))
    return [run.folder.path / "report.html"]


async def _is_fine(page: Page, file: Path) -> None:
    await page.goto(file.as_uri())
    for look, language in LOOKS:
        await seen_as(page, look)
        await page.get_by_label(language).check()
        assert await violations(page) == [], (file.name, language)
        assert await page.evaluate(OVERFLOW) == 0, (file.name, language)


async def test_every_page_of_a_run_that_passed_is_named_readable_and_fits(
    tmp_path: Path, new_page: NewPage
) -> None:
    pages = await asyncio.to_thread(_passed, tmp_path)
    async with new_page("about:blank") as page:
        for file in pages:
            await _is_fine(page, file)
        await expect(page.locator(".tiles dd").first).to_have_text("PASS")


async def test_so_is_the_report_of_one_that_failed(tmp_path: Path, new_page: NewPage) -> None:
    [file] = await asyncio.to_thread(_failed, tmp_path)
    async with new_page("about:blank") as page:
        await _is_fine(page, file)
        await expect(page.locator(".tiles dd").first).to_have_text("FAIL")
