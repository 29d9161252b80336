"""Entry of `python -m tools.pictures`: draws the pictures of the documentation."""

import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright

from tests.fixtures.browser import CHROMIUM
from tests.stack.driver import Stack
from tools.pictures import drawing
from tools.pictures.stage import (
    PROMPTS,
    SEED,
    SLOW,
    USUAL,
    end,
    kill,
    kill_worker_of,
    slow_down,
    staged,
    submit,
    videos_of,
)

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "pictures"
SIZE = ViewportSize(width=1280, height=800)
SMALL = ViewportSize(width=900, height=560)
MOST_FRAMES = 40
PATIENCE_MILLISECONDS = 120_000
FIRED = """[...document.querySelectorAll("td[data-label=Fired]")]
  .some((each) => each.innerText !== "0")"""
LIVE = "#link[data-state='live']"


def main() -> int:
    """Start a stack of its own, take the pictures, take it away."""
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        staged(Path(folder)) as stack,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        # What is waited for is asked by a script that the page's own policy forbids.
        page = browser.new_page(viewport=SIZE, locale="en", bypass_csp=True)
        page.set_default_timeout(PATIENCE_MILLISECONDS)
        _page(stack, page)
        _killed(stack, page)
        _reports(stack, page)
        browser.close()
    return 0


def _page(stack: Stack, page: Page) -> None:
    ids = [submit(stack, prompt) for prompt in 3 * PROMPTS]
    end(stack, ids[len(PROMPTS)])
    page.goto(stack.url("API_PORT"))
    page.wait_for_selector(LIVE)
    page.wait_for_function("[...document.images].every((each) => each.complete)")
    page.wait_for_selector("tr[data-job] .status.running")
    drawing.save(drawing.shot(page), FOLDER / "page.png")
    page.goto(f"{stack.url('API_PORT')}/?job={ids[0]}")
    page.get_by_role("dialog").get_by_role("heading", name="Callbacks").wait_for()
    page.wait_for_function("document.querySelector('video')?.readyState >= 2")
    drawing.save(drawing.shot(page), FOLDER / "drawer.png")
    stack.make("fault", "PRESET=everything-at-once")
    page.goto(f"{stack.url('API_PORT')}/?view=faults")
    page.get_by_text("lost-callbacks").first.wait_for()
    page.wait_for_function(FIRED)
    drawing.save(drawing.shot(page), FOLDER / "faults.png")
    stack.make("faults-clear")
    end(stack, ids[-1])


def _killed(stack: Stack, page: Page) -> None:
    """A worker is killed while it waits for its job's video; the job goes on."""
    slow_down(stack, SLOW)
    page.set_viewport_size(SMALL)
    job_id = submit(stack, PROMPTS[0])
    page.goto(f"{stack.url('API_PORT')}/?job={job_id}")
    page.get_by_role("heading", name="Timeline").wait_for()
    frames: list[Image.Image] = []
    words, killed = "a job, two workers", ""
    for _ in range(MOST_FRAMES):
        frames.append(drawing.captioned(drawing.shot(page), words))
        state = page.locator(".drawer").inner_text()
        if not killed and "waiting for its callback" in state:
            killed = kill_worker_of(stack, job_id)
            words = f"kill -9 {killed}, in the middle of the video"
        elif page.locator(".drawer .status.succeeded").count():
            words = f"{killed} was killed; the job has ended well, and one video was paid for"
            frames.append(drawing.captioned(drawing.shot(page), words))
            break
        page.wait_for_timeout(drawing.FRAME_MILLISECONDS)
    assert killed, "nobody was killed"
    assert videos_of(stack, job_id) == 1
    drawing.animate(frames, FOLDER / "killed.gif")
    slow_down(stack, USUAL)
    page.set_viewport_size(SIZE)


def _reports(stack: Stack, page: Page) -> None:
    slow_down(stack, 100)
    said = stack.make("test-20", f"SEED={SEED}")
    drawing.terminal(page, "make test-20", said, FOLDER / "terminal.png")
    latest = Path(stack.settings["REPORTS_DIR"]) / "latest" / "report.html"
    _top(page, latest, FOLDER / "report-pass.png")
    with ThreadPoolExecutor() as beside:
        for number, name in enumerate(("worker-1", "callback", "worker-2", "semaphore"), 1):
            beside.submit(_kill_later, stack, name, seconds=10 * number)
        stack.make("test-20", f"SEED={SEED}", "PRESET=everything-at-once")
    shutil.copy(latest.with_name("lanes.svg"), FOLDER)
    stack.make("test-10", f"SEED={SEED}", "PRESET=policy-refusals", good=False)
    _top(page, latest, FOLDER / "report-fail.png")


def _kill_later(stack: Stack, name: str, *, seconds: float) -> None:
    time.sleep(seconds)
    kill(stack, name)


def _top(page: Page, report: Path, target: Path) -> None:
    page.goto(report.resolve().as_uri())
    drawing.save(drawing.shot(page), target)


if __name__ == "__main__":
    sys.exit(main())
