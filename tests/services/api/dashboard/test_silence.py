"""An API that is frozen keeps its connections: the page says so in time, and comes back."""

import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, Route, expect

from services.api.http.page import FOLDER
from shared.jobs.ids import new_job_id
from shared.jobs.states import Status
from shared.store.records import RecordStore
from tests.fixtures.browser import NewPage
from tests.fixtures.processes import Running, free_port, running
from tests.services.api.conftest import change
from tests.services.api.dashboard.conftest import nobody_else
from tests.shared.standins import sample_record

# The limits as they are, but twenty times as short.
HURRIED = """{
  const timeout = AbortSignal.timeout;
  AbortSignal.timeout = (milliseconds) => timeout.call(AbortSignal, milliseconds / 20);
}"""
SAID = {
    "en-GB": ("The API gives no answer", "The API gave no answer for {} s.", "Live"),
    "zh-CN": ("API 没有应答", "API 在 {} 秒内没有应答。", "实时"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def api(folder: Path) -> AsyncIterator[Running]:
    """An API in a process of its own, whose Temporal is away; the same for all tests here."""
    environment = {"DATA_DIR": str(folder), "TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}"}
    environment.update({name.upper(): str(port) for name, port in nobody_else().items()})
    log = folder / "log"
    async with running("services.api", "API_PORT", environment=environment, log=log) as api:
        yield api


@pytest.fixture
def records(folder: Path) -> RecordStore:
    return RecordStore(folder)


@pytest.fixture
def job(records: RecordStore) -> str:
    """A job of the test's own."""
    record = sample_record(new_job_id())
    records.write(record)
    return record.job_id


@contextmanager
def frozen(api: Running) -> Iterator[None]:
    """It does nothing until the end of the block."""
    api.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        api.process.send_signal(signal.SIGCONT)


async def opened(page: Page, api: Running, job: str) -> None:
    """The page of a job, as soon as all of it is there."""
    await page.add_init_script(HURRIED)
    await page.goto(f"{api.base}/?job={job}")
    await expect(page.locator("#link[data-state=live]")).to_be_visible()
    await expect(page.locator("#new-prompt")).to_be_visible()
    await expect(page.locator("#mode")).to_be_visible()
    await expect(page.locator(".facts")).to_be_visible()


@pytest.mark.parametrize("locale", SAID)
async def test_a_frozen_api_is_told_and_the_page_comes_back(
    locale: str, api: Running, records: RecordStore, job: str, new_page: NewPage
) -> None:
    silent, late, live = SAID[locale]
    async with new_page("about:blank", locale=locale) as page:
        await opened(page, api, job)
        with frozen(api):
            await expect(page.locator("#link")).to_contain_text(silent)
            await expect(page.get_by_text(late.format(10)).first).to_be_visible()
            await page.locator(".actions .danger").click()
            await expect(page.get_by_role("alert")).to_contain_text(late.format(30))
            records.write(change(sample_record(job), status=Status.RUNNING))

        await expect(page.locator("#link")).to_have_text(live)
        await expect(page.locator(f"tr[data-job={job}][data-status=running]")).to_be_visible()
        await expect(page.get_by_text(late.format(10))).to_have_count(0)


async def test_what_got_no_answer_at_the_start_is_asked_again(
    api: Running, job: str, new_page: NewPage
) -> None:
    silent = {"/dashboard/config", "/jobs", f"/jobs/{job}/record"}

    async def no_answer_at_first(route: Route) -> None:
        path = route.request.url.removeprefix(api.base).partition("?")[0]
        if path in silent:
            silent.remove(path)
        else:
            await route.continue_()

    async with new_page("about:blank") as page:
        await page.route(lambda _: True, no_answer_at_first)
        await opened(page, api, job)
        await expect(page.get_by_role("link", name="Temporal UI")).to_have_count(2)
    assert silent == set()


def test_there_is_one_place_that_asks() -> None:
    asking = re.compile(r"(?<![.\w])fetch\(")
    places = [path.name for path in FOLDER.rglob("*.js") if asking.search(path.read_text("utf-8"))]

    assert sorted(places) == ["api.js", "texts.js"]
