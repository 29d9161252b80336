"""The page's link to the API: lost, frozen, guarded by a token; the page comes back by itself."""

import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Dialog, Page, Route, expect
from temporalio.client import Client

from shared.jobs.ids import new_job_id
from shared.jobs.messages import Attempts
from shared.jobs.states import Status
from tests.fixtures.browser import NewPage
from tests.fixtures.processes import Running, free_port, running
from tests.fixtures.records import RecordStore
from tests.services.api.conftest import change
from tests.services.api.dashboard.conftest import Place, job_id, nobody_else, ready, shows_link
from tests.shared.standins import sample_record, standing_in

JOB, OTHER = job_id(1), job_id(2)


async def shows(page: Page, job: str, text: str) -> None:
    await expect(page.locator(f"tr[data-job={job}]")).to_contain_text(text)


async def test_restart_of_the_api_loses_no_change(lonely: Place, new_page: NewPage) -> None:
    record = sample_record(JOB)
    lonely.records.write(record)
    async with new_page("about:blank") as page:
        async with lonely.running():
            await page.goto(lonely.base)
            await shows(page, JOB, "queued")
            await shows_link(page, "live")
            await page.evaluate("window.untouched = true")

        await shows_link(page, "lost")
        attempts = Attempts(image=1, video=2)
        running = change(record, status=Status.RUNNING, step="video", percent=70)
        lonely.records.write(running.model_copy(update={"attempts": attempts}))
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


async def test_incomplete_page_is_loaded_again(lonely: Place, new_page: NewPage) -> None:
    """As happens when a container's network comes or goes on this machine."""
    lost: list[str] = []

    async def lose_once(route: Route) -> None:
        if route.request.url in lost:
            await route.continue_()
        else:
            lost.append(route.request.url)
            await route.abort("connectionaborted")

    lonely.records.write(sample_record(JOB))
    async with lonely.running(), new_page("about:blank") as page:
        for number, part in enumerate(("lib/dom.js", "app.css"), start=1):
            await page.route(f"**/{part}", lose_once)
            await page.goto(lonely.base)
            await expect(page.locator("body")).to_have_css("margin", "0px")
            await shows(page, JOB, "queued")
            assert len(lost) == number


# The limits as they are, but twenty times as short.
HURRIED = """{
  const timeout = AbortSignal.timeout;
  AbortSignal.timeout = (milliseconds) => timeout.call(AbortSignal, milliseconds / 20);
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def api(folder: Path) -> AsyncIterator[Running]:
    """An API in a process of its own, which can be frozen; its Temporal is away."""
    environment = {"DATA_DIR": str(folder), "TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}"}
    environment.update({name.upper(): str(port) for name, port in nobody_else().items()})
    log = folder / "log"
    async with running("services.api", "API_PORT", environment=environment, log=log) as api:
        yield api


@contextmanager
def frozen(api: Running) -> Iterator[None]:
    api.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        api.process.send_signal(signal.SIGCONT)


async def open_job(page: Page, api: Running, folder: Path) -> str:
    """A page of a new job, as soon as all of it is there; its limits are short."""
    record = sample_record(new_job_id())
    RecordStore(folder).write(record)
    await page.add_init_script(HURRIED)
    await page.goto(f"{api.base}/?job={record.job_id}")
    await ready(page)
    await expect(page.locator(".facts")).to_be_visible()
    return record.job_id


async def test_frozen_api_is_reported_and_the_page_recovers(
    api: Running, folder: Path, new_page: NewPage
) -> None:
    late = "API 在 {} 秒内没有应答。"
    async with new_page("about:blank", locale="zh-CN") as page:
        job = await open_job(page, api, folder)
        with frozen(api):
            await expect(page.locator("#link")).to_contain_text("API 没有应答")
            await expect(page.get_by_text(late.format(10)).first).to_be_visible()
            await page.locator(".actions .danger").click()
            await expect(page.get_by_role("alert")).to_contain_text(late.format(30))
            RecordStore(folder).write(change(sample_record(job), status=Status.RUNNING))

        await expect(page.locator("#link")).to_have_text("实时")
        await expect(page.locator(f"tr[data-job={job}][data-status=running]")).to_be_visible()
        await expect(page.get_by_text(late.format(10))).to_have_count(0)


async def test_failed_first_requests_are_repeated(
    api: Running, folder: Path, new_page: NewPage
) -> None:
    silent = {"config", "jobs", "record"}

    async def no_answer_at_first(route: Route) -> None:
        name = route.request.url.partition("?")[0].rpartition("/")[2]
        if name in silent:
            silent.remove(name)
        else:
            await route.continue_()

    async with new_page("about:blank") as page:
        await page.route(lambda _: True, no_answer_at_first)
        await open_job(page, api, folder)
        await expect(page.get_by_role("link", name="Temporal UI")).to_have_count(2)
    assert silent == set()


TOKEN = "a-token-of-the-tests"
CHANGE = """
import('/dashboard/lib/api.js').then(({ call }) =>
  call('PUT', '/slots', { body: { limit: 2 } }).then((view) => view.limit, (error) => error.status))
"""


@pytest_asyncio.fixture(loop_scope="session")
async def guarded(lonely: Place, client: Client) -> AsyncIterator[Place]:
    """An API with a token, not yet started, in front of a real server."""
    lonely.settings["api_token"] = TOKEN
    lonely.client = client
    async with standing_in(client):
        yield lonely


async def test_change_asks_for_the_token_until_it_is_right(
    guarded: Place, new_page: NewPage
) -> None:
    answers = ["not-the-right-token", TOKEN]
    asked: list[str] = []

    async def answer(dialog: Dialog) -> None:
        asked.append(dialog.message)
        if answers:
            await dialog.accept(answers.pop(0))
        else:
            await dialog.dismiss()

    async with guarded.running(), new_page(guarded.base) as page:
        page.on("dialog", answer)
        await shows_link(page, "live")
        assert asked == []
        assert await page.evaluate(CHANGE) == 2
        assert await page.evaluate(CHANGE) == 2
        assert len(asked) == 2
        await page.context.clear_cookies()
        assert await page.evaluate(CHANGE) == 401


async def test_exposed_api_asks_for_the_token_first(guarded: Place, new_page: NewPage) -> None:
    guarded.settings["api_exposed"] = True
    guarded.records.write(sample_record(JOB))
    asked: list[str] = []

    async def answer(dialog: Dialog) -> None:
        asked.append(dialog.message)
        await dialog.accept(TOKEN)

    async with guarded.running(), new_page(f"{guarded.base}/dashboard/icon.svg") as page:
        page.on("dialog", answer)
        await page.goto(guarded.base)
        await shows_link(page, "live")
        await expect(page.locator(f"tr[data-job={JOB}]")).to_be_visible()
        await page.reload()
        await shows_link(page, "live")
        kept = "[document.cookie, sessionStorage.length, localStorage.length]"
        assert await page.evaluate(kept) == ["", 0, 0]
    assert len(asked) == 1
