"""What the pages say in numbers and codes is what the code has."""

import json
import re

import pytest

from services.callback import __main__ as program
from services.callback import app, receipts, receiver, routes
from services.worker.results.child import MAX_PIXELS, MAX_SECONDS, MAX_SIDE
from services.worker.settings.worker import WorkerSettings
from shared.errors import Fenced, GenvideoError, NotThisRun, StorageFailed, VendorError
from shared.http import web
from shared.pipeline.cancellation import BAD_COMPLETION, UNCLASSED
from shared.pipeline.policies import ATTEMPT_CODES, FETCH_SECONDS, REPORT_SECONDS
from shared.semaphore.state import AGEING_SECONDS
from tests.docs.pages import ROOT, read, spans, tables_headed
from tests.workflow.test_callbacks import DECIDED

PAGE = read(ROOT / "docs" / "failures.md")
KINDS: list[type[GenvideoError]] = [
    *VendorError.__subclasses__(),
    StorageFailed,
    Fenced,
    NotThisRun,
]
DEFAULTS = WorkerSettings.model_fields


def codes() -> dict[str, str]:
    [table] = [table for table in tables_headed(PAGE, "code")]
    return {row[0].strip("`"): row[2] for row in table.rows}


def test_every_code_of_a_failed_stage_is_explained() -> None:
    assert set(codes()) == {kind.code for kind in KINDS} | {BAD_COMPLETION, UNCLASSED}


def test_documented_consequences_match_the_code() -> None:
    retried = {kind.code for kind in KINDS if kind.retryable}

    assert {code for code, follows in codes().items() if "delivery retry" in follows} == retried
    assert {code for code, follows in codes().items() if follows == "next attempt"} == ATTEMPT_CODES


def test_documented_number_of_events_matches_the_recorded_history() -> None:
    history = json.loads(read(ROOT / "tests/replay/histories/succeeded.json"))

    for page in ("architecture.md", "cost.md", "verdict.md"):
        assert re.search(
            rf"\b{len(history['events'])} (history )?events", read(ROOT / "docs" / page)
        )


@pytest.mark.parametrize(
    "words",
    [
        f"waited {AGEING_SECONDS:g} s",
        f"{DEFAULTS['max_result_bytes'].default // 2**20} MiB",
        f"images up to {MAX_PIXELS['image'] // 10**6} megapixels",
        f"and {MAX_SECONDS} s, no side above {MAX_SIDE}",
        f"all fetches of one within {FETCH_SECONDS:g} s",
        f"every {REPORT_SECONDS:g} s",
    ],
)
def test_documented_limits_match_the_code(words: str) -> None:
    assert words in read(ROOT / "docs" / "limits.md")


CALLBACKS = read(ROOT / "docs" / "callbacks.md")


def test_documented_race_matches_the_tests() -> None:
    [table] = tables_headed(CALLBACKS, "case")
    told = {
        case: (status.strip("`"), int(videos), tuple(spans(fates)))
        for case, _, status, videos, fates, _ in table.rows
    }
    assert told == {case: (it.status, it.videos, it.fates) for case, it in DECIDED.items()}


@pytest.mark.parametrize(
    "said",
    [
        f"{web.HEAD_BYTES // 1024} KiB",
        f"| {receiver.AT_ONCE} callbacks at a time |",
        f"{routes.MAX_BODY // 1024} KiB, {routes.READ_SECONDS:g} s",
        f"undecided | 503 | {receipts.MOST} of a job |",
        f"signalled to the job | 503 | {receiver.SIGNAL_SECONDS:g} s",
        f"after {receipts.ABANDONED.seconds} s as `applied`",
        f"Beyond {program.CONNECTIONS} connections",
        f"Callbacks beyond {receiver.AT_ONCE} at work",
        *(f"`{path}`" for path in sorted(app.FOR_EVERYBODY)),
        f"at most {receipts.MOST} receipts",
        f"{receipts.MOST_FORGED} of one job and {receiver.AT_ONCE // 2} at a time",
    ],
)
def test_documented_bounds_match_the_code(said: str) -> None:
    assert said in re.sub(r"\s+", " ", CALLBACKS)
