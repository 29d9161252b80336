"""`/docs` of every service in a real browser: it is drawn, works, and asks no other address.

Each app is mounted, so that its lifespan does not run: the page needs nothing of its parts.
"""

import httpx
import pytest
from fastapi import FastAPI
from playwright.async_api import Page, expect
from starlette.routing import Mount

from tests.docs.openapi import APPS
from tests.fixtures.browser import NewPage
from tests.services.mock_core.serving import served


async def test_page_works_and_calls_no_other_host(new_page: NewPage) -> None:
    asked: list[str] = []
    wrong: list[str] = []
    async with new_page("about:blank") as page:
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        app = APPS["callback"]()
        async with served(Mount("/", app)) as base:
            await page.goto(f"{base}/docs")
            await _is_drawn_and_works(page, app)
            others = ("about:blank", f"{base}/", "data:")
            assert [url for url in asked if not url.startswith(others)] == []
    assert wrong == []


async def _is_drawn_and_works(page: Page, app: FastAPI) -> None:
    operations = sum(len(calls) for calls in app.openapi()["paths"].values())
    await expect(page.get_by_role("heading", name=app.title)).to_be_visible()
    await expect(page.locator(".opblock")).to_have_count(operations)
    block = page.locator(".opblock").filter(has_text="/healthz")
    await block.click()
    await block.get_by_role("button", name="Try it out").click()
    await block.get_by_role("button", name="Execute").click()
    answer = block.locator(".live-responses-table .response .response-col_status")
    await expect(answer).to_have_text("200")


@pytest.mark.parametrize("name", sorted(APPS))
async def test_page_may_load_nothing_from_elsewhere(name: str) -> None:
    async with (
        served(Mount("/", APPS[name]())) as base,
        httpx.AsyncClient(base_url=base) as http,
    ):
        page = await http.get("/docs")
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'self'")
        assert "http" not in policy
        assert "//" not in page.text.replace("</", "")
        for part in ("swagger-ui.css", "swagger-ui-bundle.js"):
            assert f"docs/{part}" in page.text
            assert (await http.get(f"/docs/{part}")).status_code == 200
        for unfit in ("bytes=x", "bytes=-", "bytes=999999999-"):
            answer = await http.get("/docs/swagger-ui.css", headers={"Range": unfit})
            told = answer.headers["content-type"] == "application/problem+json"
            assert told or answer.status_code == 200
        for nothing in ("/docs/x", "/docs/..%2Fmain.py", "/redoc", "/docs/oauth2-redirect"):
            assert (await http.get(nothing)).status_code == 404
