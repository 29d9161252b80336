"""What the pages say in numbers and codes is what the code has."""

import json
import re

import pytest

from compose.stack.commands.lifecycle import DATA_FOLDERS
from services.callback import __main__ as program
from services.callback import app, receipts, receiver, routes
from services.callback.routes import MAX_BODY
from services.worker.deterministic.cancellation import BAD_COMPLETION, UNCLASSED
from services.worker.policies import (
    ATTEMPT_CODES,
    FETCH_SECONDS,
    FETCH_TRIES,
    REPORT_SECONDS,
    RETRY_POLICY,
)
from services.worker.results.child import MAX_PIXELS, MAX_SECONDS, MAX_SIDE
from services.worker.settings.worker import WorkerSettings
from shared.errors import Fenced, GenvideoError, NotThisRun, StorageFailed, VendorError
from shared.failures import MAX_ATTEMPTS
from shared.http import web
from shared.semaphore.queue import AGEING_SECONDS
from shared.semaphore.state import DRAIN_HOLD_SECONDS, MAX_HISTORY
from shared.semaphore.watchdog import FAILED_DRAINS, FAILED_TASKS
from shared.temporal.client import WORKFLOW_TASK_TIMEOUT
from shared.temporal.pace import Pace
from tests.docs.pages import ROOT, read, spans, tables_headed
from tests.workflow.test_callbacks import DECIDED

PAGE = read(ROOT / "docs" / "failures.md")
ARCHITECTURE = read(ROOT / "docs" / "architecture.md")
KINDS: list[type[GenvideoError]] = [
    *VendorError.__subclasses__(),
    StorageFailed,
    Fenced,
    NotThisRun,
]
DEFAULTS = WorkerSettings.model_fields
RETRY_MOST = RETRY_POLICY.maximum_interval or RETRY_POLICY.initial_interval


def codes() -> dict[str, str]:
    [table] = [table for table in tables_headed(PAGE, "code")]
    return {row[0].strip("`"): row[2] for row in table.rows}


def test_every_code_of_a_failed_stage_is_explained() -> None:
    assert set(codes()) == {kind.code for kind in KINDS} | {BAD_COMPLETION, UNCLASSED}


def test_what_follows_is_what_the_code_does() -> None:
    retried = {kind.code for kind in KINDS if kind.retryable}

    assert {code for code, follows in codes().items() if "delivery retry" in follows} == retried
    assert {code for code, follows in codes().items() if follows == "next attempt"} == ATTEMPT_CODES


def test_the_events_add_up() -> None:
    [table] = tables_headed(ARCHITECTURE, "events")
    *parts, total, _ = [row[0].strip("*") for row in table.rows] + [""]

    history = ROOT / "tests/replay/histories/succeeded.json"
    assert sum(map(int, parts)) == int(total) == len(json.loads(read(history))["events"])


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("docs/limits.md", f"waited {AGEING_SECONDS:g} s"),
        ("docs/callbacks.md", f"{MAX_BODY // 1024} KiB"),
        ("docs/limits.md", f"{DEFAULTS['max_result_bytes'].default // 2**20} MiB"),
        ("docs/limits.md", f"images up to {MAX_PIXELS['image'] // 10**6} megapixels"),
        ("docs/limits.md", f"and {MAX_SECONDS} s, no side above {MAX_SIDE}"),
        ("docs/limits.md", f"all fetches of one within {FETCH_SECONDS:g} s"),
        ("docs/failures.md", f"not here and checked after {FETCH_SECONDS:g} s"),
        ("docs/limits.md", f"every {REPORT_SECONDS:g} s"),
        ("docs/slot.md", f"priority × {AGEING_SECONDS:g} s"),
        ("docs/slot.md", f"After {MAX_HISTORY} events"),
        ("docs/slot.md", f"{DRAIN_HOLD_SECONDS:g} s for activities"),
        (
            "docs/failures.md",
            f"unknown for {DEFAULTS['image_lost_seconds'].default:g} s (an image)"
            f" or {DEFAULTS['video_lost_seconds'].default:g} s (a video)",
        ),
        ("docs/slot.md", f"has failed {FAILED_TASKS} times in a row"),
        ("docs/slot.md", f"has failed {FAILED_TASKS} times,"),
        ("docs/slot.md", f"failed more than {FAILED_DRAINS} times"),
        ("docs/slot.md", f"Every {Pace.FAST.times.care.total_seconds():g} s it"),
        ("docs/failures.md", f"{Pace.FAST.times.sticky.total_seconds():g} s (sticky"),
        ("docs/failures.md", f"{WORKFLOW_TASK_TIMEOUT.total_seconds():g} s (task"),
        ("docs/failures.md", f"after {Pace.FAST.times.work.total_seconds():g} s without"),
        ("docs/failures.md", f"{MAX_ATTEMPTS} per stage"),
        (
            "docs/failures.md",
            f"{RETRY_POLICY.initial_interval.total_seconds():g} s doubling to"
            f" {RETRY_MOST.total_seconds():g} s",
        ),
        ("docs/decisions/0004-a-fixed-key-for-the-order.md", f"{4 * AGEING_SECONDS:g} s after"),
    ],
)
def test_numbers_are_those_of_the_code(page: str, words: str) -> None:
    assert words in read(ROOT / page)


def test_what_clean_removes_is_told() -> None:
    said = read(ROOT / "docs" / "operating.md").split("`make clean` also removes", 1)[1]

    assert spans(said.split("below", 1)[0]) == list(DATA_FOLDERS)


def test_fetches_are_counted() -> None:
    assert FETCH_TRIES == 3
    assert "after three fetches" in PAGE


VERDICT = read(ROOT / "docs" / "verdict.md")


def said(pattern: str) -> int:
    [found] = re.findall(pattern, VERDICT)
    return int(found)


def test_the_semaphore_is_about_as_long_as_it_says() -> None:
    files = (ROOT / "shared" / "semaphore").rglob("*.py")
    lines = sum(len(read(file).splitlines()) for file in files)

    assert said(r"a semaphore \(some (\d+) lines\)") == pytest.approx(lines, rel=0.1)


def test_the_events_of_a_job() -> None:
    history = ROOT / "tests/replay/histories/succeeded.json"

    assert said(r"\| (\d+) events\.") == len(json.loads(read(history))["events"])


CALLBACKS = read(ROOT / "docs" / "callbacks.md")
RACE = ROOT / "tests" / "workflow" / "test_callbacks.py"


def test_the_race_is_decided_as_the_tests_are() -> None:
    [table] = tables_headed(CALLBACKS, "case")
    told = {
        case: (status.strip("`"), int(videos), tuple(spans(fates)))
        for case, _, status, videos, fates, _ in table.rows
    }
    assert told == {case: (it.status, it.videos, it.fates) for case, it in DECIDED.items()}


@pytest.mark.parametrize("case", DECIDED)
def test_each_case_has_a_test_of_its_own(case: str) -> None:
    [table] = tables_headed(CALLBACKS, "case")
    [name] = [spans(row[5])[0] for row in table.rows if row[0] == case]
    text = read(RACE).partition(f"async def {name}(")[2].partition("\nasync def ")[0]
    assert f'"{case}"' in text


@pytest.mark.parametrize(
    "said",
    [
        f"{web.HEAD_BYTES // 1024} KiB",
        f"| {receiver.AT_ONCE} callbacks at a time |",
        f"{routes.MAX_BODY // 1024} KiB, {routes.READ_SECONDS:g} s",
        f"undecided | 503 | {receipts.MOST} of a job |",
        f"signalled to the job | 503 | {receiver.SIGNAL_SECONDS:g} s",
        f"after {receipts.ABANDONED.seconds} s as `applied`",
        f"| connections | {program.CONNECTIONS} |",
        *(f"`{path}`" for path in sorted(app.FOR_EVERYBODY)),
        f"| receipts of one job | {receipts.MOST} |",
        f"| receipts of forged ones for one job | {receipts.MOST_FORGED};",
        f"| forged ones that are being noted | {receiver.AT_ONCE // 2} |",
    ],
)
def test_the_bounds_are_those_of_the_code(said: str) -> None:
    assert said in re.sub(r"\s+", " ", CALLBACKS)
