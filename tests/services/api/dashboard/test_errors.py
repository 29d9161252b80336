"""What went wrong, on the Chinese page: each code and each sentence of the API is in the table."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.async_api import Page, expect

from services.api import app
from services.callback import app as callback_app
from shared.errors import GenvideoError
from shared.http import mistakes
from shared.jobs import closing
from shared.jobs.messages import JobError
from shared.jobs.states import Status
from shared.store import probe
from shared.temporal import refusals
from shared.texts import ERRORS
from tests.fixtures.browser import NewPage
from tests.services.api.conftest import change
from tests.services.api.dashboard.conftest import Place
from tests.services.api.dashboard.test_language import CHINESE, JOB
from tests.shared.said import PROSE, said
from tests.shared.standins import sample_record

# By now every error is known that the API, and the receiver that it asks, may answer with.
SERVICES = (app, callback_app)
TABLE: dict[str, str] = json.loads(ERRORS.read_text(encoding="utf-8"))
CODE = re.compile(r"[a-z]+(_[a-z]+)*")
BLANK = re.compile(r"\{\w*\}")
# Of no class: what the framework refuses, how jobs end, and the mocks' own.
OTHER_CODES = {
    *("method_not_allowed", "bad_fault_plan"),
    *("cancelled", "job_timed_out", "bad_completion", *closing.MESSAGES),
}
API = [
    *sorted(Path("services/api").rglob("*.py")),
    *map(Path, ("shared/http/guard.py", "shared/http/problems.py", "shared/temporal/client.py")),
]
# Asked by the Temporal UI alone; settings, which end the process before it answers anybody.
NOT_SEEN = {"{1} is not {2}."}
SETTINGS = Path("services/api/settings.py")
# Put together of two.
MADE = {
    "{1}, attempt {2} failed: {3} ({4}; attempt {5} of {6} follows)",
    "{1} ({2}; attempt {3} of {4} follows)",
    "image stored; {1}",
    "image, video",
    "ended with the image alone ({1})",
    "failed ({1})",
    "does not answer ({1})",
    "does not answer ({1}); does it want TLS, or a client certificate?",
}
# What is said of whatever is not ready.
READINESS = (Path(refusals.__file__), Path(probe.__file__))
SHOWN = "given => import('/dashboard/lib/texts.js').then(m => m[given.by](given.what))"


def _kinds(kind: type[GenvideoError] = GenvideoError) -> Iterator[type[GenvideoError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _kinds(each)


def _raised(path: Path) -> Iterator[str]:
    """The sentences that a file's errors are made with, as they stand in its calls."""
    names = {kind.__name__ for kind in _kinds()} | {"ValueError", "PydanticCustomError"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            yield from (text for text in _texts(node.args[-1:]) if PROSE.fullmatch(text))


def _texts(nodes: list[ast.expr]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            parts = (each.value if isinstance(each, ast.Constant) else None for each in node.values)
            yield _numbered(list(parts))


def _numbered(parts: list[Any]) -> str:
    found, blanks = "", 0
    for part in parts:
        blanks += part is None
        found += f"{{{blanks}}}" if part is None else str(part)
    return found


def test_every_code_has_its_chinese() -> None:
    codes = {kind.code for kind in _kinds()} | OTHER_CODES
    assert SERVICES
    assert sorted(codes - set(TABLE)) == []
    assert sorted({key for key in TABLE if CODE.fullmatch(key)} - codes) == []


def test_every_sentence_of_the_api_has_its_chinese() -> None:
    sentences = {text for path in API if path != SETTINGS for text in _raised(path)}
    assert len(sentences) > 30
    assert sorted(sentences - set(TABLE) - NOT_SEEN) == []


def test_every_mistake_in_an_input_has_its_chinese() -> None:
    sentences = set(mistakes._SENTENCES.values()) - {"{error}"}
    assert sorted(sentences - set(TABLE)) == []


def test_every_reason_of_temporal_has_its_chinese() -> None:
    says = {BLANK.sub("{1}", text) for _, text in refusals._CONNECTIONS}
    raised = {text for path in READINESS for text in _raised(path)}
    assert sorted((says | raised | set(closing.MESSAGES.values())) - set(TABLE)) == []


def test_what_is_in_the_table_is_said() -> None:
    sources = [*API, *sorted(Path("shared").rglob("*.py")), *sorted(Path("services").rglob("*.py"))]
    every = {text for path in dict.fromkeys(sources) for text in said(path)}
    every |= {BLANK.sub("{1}", text) for _, text in refusals._CONNECTIONS}
    plain = {text for text in TABLE if not CODE.fullmatch(text)}
    assert sorted(plain - every - MADE) == []


# By which function, of what, and what is shown in Chinese.
SAID: list[tuple[str, Any, str]] = [
    ("sentenceText", "It must be at most 5.", "最多为 5。"),
    ("sentenceText", "Nobody has said this.", "Nobody has said this."),
    (
        "errorText",
        {"code": "queue_full", "message": "Nobody has said this."},
        "队列已满（Nobody has said this.）",
    ),
    ("errorText", {"code": "new_code", "message": "Nobody."}, "Nobody."),
    ("sentenceText", "There is no slot busy.", "没有槽位 busy。"),
    ("reasonsText", "temporal: does not answer; book: x", "temporal：没有应答；book：x"),
    (
        "reasonsText",
        "temporal: does not answer yet; waiting for it; store: the store does not answer",
        "temporal：尚未应答；正在等待；store：存储没有应答",
    ),
]


async def test_a_sentence_is_told_by_itself_or_by_its_code(
    lonely: Place, new_page: NewPage
) -> None:
    async with lonely.running():
        async with new_page(lonely.base, **CHINESE) as page:
            told = [await page.evaluate(SHOWN, {"by": by, "what": what}) for by, what, _ in SAID]
            assert told == [chinese for *_, chinese in SAID]
        async with new_page(lonely.base) as page:
            told = [await page.evaluate(SHOWN, {"by": by, "what": what}) for by, what, _ in SAID]
            assert told == [
                what["message"] if isinstance(what, dict) else what for _, what, _ in SAID
            ]


async def test_what_the_api_refuses_is_shown_in_chinese(lonely: Place, new_page: NewPage) -> None:
    record = sample_record(JOB)
    error = JobError(code="job_timed_out", message="The job did not end within 60 s.")
    lonely.records.write(change(record, status=Status.FAILED, error=error))
    async with lonely.running(), new_page(lonely.base, **CHINESE) as page:
        await expect(page.get_by_text("job_timed_out: 任务没有在 60 秒内结束。")).to_be_visible()
        await _submit(page, "\u200b")
        await expect(page.get_by_text("至少要有一个看得见的字符。")).to_be_visible()


async def _submit(page: Page, prompt: str) -> None:
    await page.keyboard.press("n")
    await page.locator("#new-prompt").fill(prompt)
    await page.locator("#new-prompt").press("Control+Enter")
