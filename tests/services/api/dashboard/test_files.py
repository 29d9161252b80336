"""The page's files: plain, layered, without addresses outside; and what its modules compute."""

import re
from collections.abc import AsyncIterator
from os.path import normpath
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page

from services.api.http.page import FOLDER
from shared.jobs.genvideo import GenVideoInput
from tests.fixtures.browser import Chromium
from tests.services.api.dashboard.conftest import lonely_place, nobody_else

TEXTS = {path: path.read_text("utf-8") for path in FOLDER.rglob("*") if path.is_file()}
SCRIPTS = {path: text for path, text in TEXTS.items() if path.suffix == ".js"}
# From the top down; `app.js` stands above them.
LAYERS = ("views", "data", "lib")
DOCUMENTED = Path("docs/dashboard.md").read_text(encoding="utf-8")
# Each makes markup or code out of text.
FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\("
)
OUTSIDE = re.compile(r"https?://(?!www\.w3\.org/2000/svg)|(?<!:)//[a-z]+\.[a-z]")


def test_no_script_turns_text_into_markup_or_code() -> None:
    assert [path for path, text in SCRIPTS.items() if FORBIDDEN.search(text)] == []


def test_no_file_names_an_outside_address() -> None:
    assert [path for path, text in TEXTS.items() if OUTSIDE.search(text)] == []


def test_scripts_import_only_lower_layers() -> None:
    def layer(path: Path) -> int:
        return -1 if path.parent == FOLDER else LAYERS.index(path.parent.name)

    imports = {
        (path, Path(normpath(path.parent / named)))
        for path, text in SCRIPTS.items()
        for named in re.findall(r'^(?:import|\}) .*from "(\.[^"]+)";$', text, re.M)
    }

    assert [pair for pair in imports if layer(pair[1]) < layer(pair[0])] == []
    assert [one for one, other in imports if (one.parent.name, other.stem) == ("data", "dom")] == []
    unused = {path.name for path in SCRIPTS} - {path.name for _, path in imports}
    assert unused == {"app.js", "reload.js"}


def test_form_and_retry_have_the_whole_input() -> None:
    [listed] = re.findall(
        r"^export const INPUT = \[(.+)\];$", SCRIPTS[FOLDER / "data" / "jobs.js"], re.M
    )

    assert set(re.findall(r'"(\w+)"', listed)) == set(GenVideoInput.model_fields)


def test_every_part_of_the_address_is_documented() -> None:
    address = SCRIPTS[FOLDER / "data" / "address.js"].split("DEFAULTS = {", 1)[1].split("}")[0]
    parts = [f"| `{name}` |" for name in re.findall(r'(\w+): "', address)]

    assert parts
    assert [each for each in parts if each not in DOCUMENTED] == []


CALL = """async ([module, name, values]) => {
  const found = (await import(`/dashboard/${module}`))[name];
  return found(...values);
}"""
STORED = """async (versions) => {
  const { JobStore } = await import("/dashboard/data/store.js");
  const store = new JobStore();
  for (const version of versions) store.put({ job_id: "job-1", version });
  return store.get("job-1").version;
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def page(chromium: Chromium, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Page]:
    """One for all tests here, which only import the page's modules."""
    place = await lonely_place(tmp_path_factory.mktemp("api"), nobody_else())
    icon = f"{place.base}/dashboard/icon.svg"
    async with place.running(), chromium.page(icon) as page:
        yield page


async def compute(page: Page, module: str, name: str, *values: Any) -> Any:
    """What a function of a module returns."""
    return await page.evaluate(CALL, [module, name, values])


async def test_older_version_never_replaces_a_newer_one(page: Page) -> None:
    assert await page.evaluate(STORED, [2, 3, 1]) == 3


def job(status: str, **fields: Any) -> dict[str, Any]:
    known = {"job_id": "job-1", "status": status, "step": None, "asset_url": None, "percent": 0}
    return {**known, "pipeline": "genvideo", "attempts": {"image": 1, "video": 0}, **fields}


SPEECH = {"pipeline": "speech", "attempts": {"speech": 1}}


async def test_paid_results_are_shown_however_the_job_ended(page: Page) -> None:
    for given, files in (
        (job("queued"), []),
        (job("cancelled", step="image"), []),
        (job("cancelled", step="image", asset_url="/jobs/job-1/image"), ["image"]),
        (job("running", step="video"), ["image"]),
        (job("failed", step="video", asset_url="/jobs/job-1/video"), ["image", "video"]),
        (job("succeeded", asset_url="/jobs/job-1/video"), ["image", "video"]),
        (job("running", step="speech", **SPEECH), []),
        (job("failed", step="speech", asset_url="/jobs/job-1/speech", **SPEECH), ["speech"]),
    ):
        found = await compute(page, "data/jobs.js", "storedStages", given)
        assert [stage["name"] for stage in found] == files


async def test_each_stage_has_the_same_share_of_the_percent(page: Page) -> None:
    for given, share in (
        (job("queued"), 0),
        (job("running", step="image", percent=50), 25),
        (job("running", step="video", percent=50), 75),
        (job("running", step="speech", percent=50, **SPEECH), 50),
        (job("succeeded"), 100),
    ):
        assert await compute(page, "data/jobs.js", "overall", given) == share


async def test_rule_is_described_in_words(page: Page) -> None:
    for rule, whom, often in (
        ({}, "every job", "always"),
        (
            {"match": {"share": 0.5, "prompt": "t*"}, "often": {"probability": 0.15}},
            "share 0.5, prompt t*",
            "probability 0.15",
        ),
        (
            {"often": {"first": 2}, "until": {"count": 3}},
            "every job",
            "first 2, until count 3",
        ),
    ):
        assert await compute(page, "data/mocks.js", "whomOf", rule) == whom
        assert await compute(page, "data/mocks.js", "oftenOf", rule) == often


AWAY, WAITS = "does not answer", "temporal: does not answer"


async def test_services_that_are_not_ready_are_named(page: Page) -> None:
    for details, alarm in (
        ({"api": "", "worker 1": "", "worker 2": AWAY}, "1 of 2 workers"),
        ({"api": "", "worker 1": AWAY, "worker 2": AWAY}, "2 services not ready"),
        ({"api": AWAY, "worker 1": "", "worker 2": AWAY}, "api not ready, 1 of 2 workers"),
        ({"api": "", "worker": AWAY}, "worker not ready"),
        # A service that waits for Temporal is not counted beside it.
        ({"temporal": AWAY, "callback": WAITS, "worker": WAITS}, "temporal not ready"),
        ({"temporal": AWAY, "callback": AWAY}, "2 services not ready"),
        ({"temporal": "", "callback": WAITS}, "callback not ready"),
    ):
        services = [
            {"name": name, "ready": not detail, "detail": detail}
            for name, detail in details.items()
        ]
        assert await compute(page, "views/health.js", "alarmOf", services) == alarm
