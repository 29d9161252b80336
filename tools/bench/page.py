"""Prints how fast the page is: `python -m tools.bench.page 1000`."""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright

from shared.jobs.genvideo import GenVideoInput
from shared.jobs.messages import Attempts, Record
from shared.jobs.states import Status
from tests.fixtures.browser import ARGUMENTS, CHROMIUM
from tests.fixtures.processes import free_port
from tests.services.api.conftest import change
from tests.services.api.dashboard.conftest import Place
from tests.shared.standins import client_of_nobody, sample_record

OPENINGS = 3
ROUNDS = 5
CHANGED = 200

UNTIL_ALL = """(text) => new Promise((done) => {
  const look = () => {
    if (document.querySelector("caption")?.textContent === text) done(performance.now());
    else requestAnimationFrame(look);
  };
  look();
})"""
PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
FRAMES = """() => {
  window.frames_ = [];
  let last = performance.now();
  const next = (now) => {
    window.frames_.push(now - last);
    last = now;
    requestAnimationFrame(next);
  };
  requestAnimationFrame(next);
}"""


async def main(number: int) -> None:
    """Open the page a few times, then change jobs in a burst and look at the frames."""
    with tempfile.TemporaryDirectory() as folder:
        place = Place(free_port(), Path(folder), await client_of_nobody(free_port()), {})
        records = [sample_record(f"job-{each:024x}", _job(each)) for each in range(number)]
        for record in records:
            place.records.write(record)
        async with place.running(), async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=str(CHROMIUM), args=ARGUMENTS
            )
            for _ in range(OPENINGS):
                page = await browser.new_page()
                await _open(page, place.base, number=number)
            await _burst(page, place, records=records[:CHANGED])
            await browser.close()


def _job(number: int) -> GenVideoInput:
    return GenVideoInput(prompt=f"雪地里的红狐狸 {number}", style="ink", tag="many")


async def _open(page: Page, url: str, *, number: int) -> None:
    await page.goto(url, wait_until="commit")
    shown = await page.evaluate(UNTIL_ALL, f"{number:,} jobs")
    _say(f"first paint {await page.evaluate(PAINT):.0f} ms, all {number} known {shown:.0f} ms")


async def _burst(page: Page, place: Place, *, records: list[Record]) -> None:
    await page.evaluate(FRAMES)
    for percent in range(0, 100, 100 // ROUNDS):
        records = [_running(record, percent) for record in records]
        for record in records:
            await asyncio.to_thread(place.records.write, record)
    await asyncio.sleep(1)
    frames: list[Any] = sorted(await page.evaluate("window.frames_"))
    _say(
        f"{ROUNDS * len(records)} changes: {len(frames)} frames, median"
        f" {frames[len(frames) // 2]:.0f} ms, longest {frames[-1]:.0f} ms"
    )


def _running(record: Record, percent: int) -> Record:
    fields = {"step": "image", "percent": percent, "attempts": Attempts(image=1, video=0)}
    return change(record, status=Status.RUNNING, **fields)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
