"""Every report for keyboards, screen readers, narrow screens and both palettes, by axe's rules."""

import asyncio
from pathlib import Path

from playwright.async_api import expect

from loadtest.books import raw
from loadtest.judge.judge import judge
from loadtest.report.write import write_report
from loadtest.run.plan import planned
from tests.fixtures.browser import NewPage, seen_as, violations
from tests.loadtest.forging.recorded import unpack
from tests.loadtest.synthetic import Synthetic

DESKTOP = {"color_scheme": "light", "viewport": {"width": 1440, "height": 900}}
PHONE = {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}}
LOOKS = [(DESKTOP, "English"), (PHONE, "中文")]
# By how many pixels the page is wider than its window.
OVERFLOW = "Math.max(0, document.documentElement.scrollWidth - innerWidth)"


def _pages(folder: Path) -> list[tuple[Path, str]]:
    """The reports of a recorded run with faults, and of one that has lost a job."""
    good = unpack("everything-at-once", folder / "good")
    bad = Synthetic(folder, plan=planned("1,5", seed="7")).write()
    bad.edit(raw.STATES, lambda rows: rows.pop())
    for run in (good, bad.folder):
        write_report(run, judge(run))
    return [(good.path / "report.html", "PASS"), (bad.folder.path / "report.html", "FAIL")]


async def test_report_is_accessible_and_fits_the_screen(tmp_path: Path, new_page: NewPage) -> None:
    pages = await asyncio.to_thread(_pages, tmp_path)
    async with new_page("about:blank") as page:
        for file, verdict in pages:
            await page.goto(file.as_uri())
            for look, language in LOOKS:
                await seen_as(page, look)
                await page.get_by_label(language).check()
                assert await violations(page) == [], (verdict, language)
                assert await page.evaluate(OVERFLOW) == 0, (verdict, language)
            await expect(page.locator(".tiles dd").first).to_have_text(verdict)
