"""The tables of the page's texts: what the page and the services say is in them, and no more."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.async_api import expect

from services.api import app
from services.api.http.page import FOLDER
from services.callback import app as callback_app
from services.callback.models import Fate
from services.mock_core.faults.presets import PRESETS
from shared.errors import GenvideoError
from shared.http import mistakes
from shared.jobs import closing
from shared.jobs.genvideo import GENVIDEO
from shared.jobs.messages import JobError
from shared.jobs.states import OnVideoFailure, Status
from shared.store import chosen
from shared.temporal import refusals
from shared.texts import ERRORS, PAGE
from tests.fixtures.browser import NewPage
from tests.services.api.conftest import change
from tests.services.api.dashboard.conftest import Place, job_id
from tests.services.api.dashboard.test_access import CHINESE
from tests.shared.said import PROSE, said, text_of
from tests.shared.standins import sample_record
from tests.shared.test_texts import blanks

TEXTS: dict[str, str] = json.loads(PAGE.read_text(encoding="utf-8"))
COMMENT = re.compile(r"^\s*//[^\n]*$|/\*\*.*?\*/", re.M | re.S)
LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
CALLED = re.compile(r'\bt\(\s*"((?:[^"\\]|\\.)*)"')
# Several words, a word with a capital, or one that is cut off by dots.
SENTENCE = re.compile(r".*[A-Za-z{}][,;:.]? [A-Za-z{].*|[A-Z][a-z]+[.…]?|.*…")
NOT_SAID = {
    "Enter",
    "Escape",
    "English",
    "input, textarea, select, [contenteditable]",
    "waiting for its callback",
    "make test-10",
}
# Built from a word and a number, a name of a field, or a word of the API's.
COUNTED = ("fault", "job", "rule")
BUILT = {
    *(f"{{n}} {noun}{end}" for noun in COUNTED for end in ("", "s")),
    *(f"{{n}} {unit}" for unit in ("ms", "s", "min", "h", "d")),
    *("both", "demo", "usual", "fast", "mocks"),
    *Status,
    *GENVIDEO.names,
    *OnVideoFailure,
    *(fate.replace("_", " ") for fate in Fate),
    *(text.replace("`", "") for each in PRESETS.values() for text in (each.says, each.expect)),
}


def _literals() -> tuple[str, set[str]]:
    """The scripts without their comments, and every literal in them."""
    texts = (path.read_text(encoding="utf-8") for path in sorted(FOLDER.rglob("*.js")))
    scripts = COMMENT.sub("", "\n".join(texts))
    return scripts, set(LITERAL.findall(scripts))


def _marked() -> set[str]:
    """What the HTML says by itself."""
    text = (FOLDER / "index.html").read_text(encoding="utf-8")
    marked = re.findall(r"<[^>]*? data-t>[^<]*", text)
    found = (re.search(r'aria-label="([^"]+)"|>(.+)', each) for each in marked)
    return {match[1] or match[2] for match in found if match}


def test_table_has_exactly_the_texts_of_the_page() -> None:
    scripts, literals = _literals()
    sentences = {text for text in literals if SENTENCE.fullmatch(text)}
    page_says = (set(CALLED.findall(scripts)) | sentences | _marked() | BUILT) - NOT_SAID

    assert sorted(page_says - set(TEXTS)) == []
    assert sorted(set(TEXTS) - page_says - literals) == []
    assert sorted(NOT_SAID - literals) == []


def test_texts_of_presets_have_no_placeholders() -> None:
    texts = [text for each in PRESETS.values() for text in (each.says, each.expect)]

    assert [text for text in texts if blanks(text)] == []


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
# Settings end the process before it answers anybody.
API = [
    *(path for path in sorted(Path("services/api").rglob("*.py")) if path.name != "settings.py"),
    *map(Path, ("shared/http/guard.py", "shared/http/problems.py", "shared/temporal/client.py")),
]
# Asked by the Temporal UI only.
NOT_SEEN = {"{1} is not {2}."}
# Put together of two.
MADE = {
    "{1}, attempt {2} failed: {3} ({4}; attempt {5} of {6} follows)",
    "{1} ({2}; attempt {3} of {4} follows)",
    "image stored; {1}",
    "video accepted, waiting for its callback",
    "video stored",
    "image, video",
    "ended with the image alone ({1})",
    "failed ({1})",
    "does not answer ({1})",
    "does not answer ({1}); does it want TLS, or a client certificate?",
}
# What is said of what is not ready.
READINESS = (Path(refusals.__file__), Path(chosen.__file__))


def _kinds(kind: type[GenvideoError] = GenvideoError) -> Iterator[type[GenvideoError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _kinds(each)


def _raised(path: Path) -> Iterator[str]:
    """The sentences that a file's errors are made with, as they stand in its calls."""
    names = {kind.__name__ for kind in _kinds()} | {"ValueError", "PydanticCustomError"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            yield from (it for it in map(text_of, node.args[-1:]) if it and PROSE.fullmatch(it))


def test_every_code_has_a_chinese_text() -> None:
    # Not those of the UI's proxy, which the page never meets and some other test may have loaded.
    kinds = {kind for kind in _kinds() if kind.__module__.startswith(("shared.", "services."))}
    codes = {kind.code for kind in kinds} | OTHER_CODES
    assert SERVICES
    assert sorted(codes - set(TABLE)) == []
    assert sorted({key for key in TABLE if CODE.fullmatch(key)} - codes) == []


def test_every_sentence_of_a_service_has_a_chinese_text() -> None:
    sentences = {text for path in (*API, *READINESS) for text in _raised(path)}
    assert len(sentences) > 30
    sentences |= {*mistakes._SENTENCES.values(), *mistakes._BY_PATTERN.values()} - {"{error}"}
    sentences |= {BLANK.sub("{1}", text) for _, text in refusals._CONNECTIONS}
    sentences |= set(closing.MESSAGES.values())
    assert sorted(sentences - set(TABLE) - NOT_SEEN) == []


def test_every_text_of_the_table_is_used() -> None:
    sources = [*Path("shared").rglob("*.py"), *Path("services").rglob("*.py")]
    every = {text for path in sources for text in said(path)}
    every |= {BLANK.sub("{1}", text) for _, text in refusals._CONNECTIONS}
    plain = {text for text in TABLE if not CODE.fullmatch(text)}
    assert sorted(plain - every - MADE) == []


SHOWN = """([name, given]) =>
  import('/dashboard/lib/texts.js').then((module) => module[name](given))"""
# By which function, of what, and what is shown in Chinese.
SAID: list[tuple[str, Any, str]] = [
    ("sentenceText", "It must be at most 5.", "最多为 5。"),
    ("sentenceText", "Nobody has said this.", "Nobody has said this."),
    ("sentenceText", "There is no slot busy.", "没有名额 busy。"),
    (
        "errorText",
        {"code": "queue_full", "message": "Nobody has said this."},
        "队列已满（Nobody has said this.）",
    ),
    ("errorText", {"code": "new_code", "message": "Nobody."}, "Nobody."),
    ("reasonsText", "temporal: does not answer; book: x", "temporal：没有应答；book：x"),
    (
        "reasonsText",
        "temporal: does not answer yet; waiting for it; store: the store does not answer",
        "temporal：尚未应答；正在等待；store：存储没有应答",
    ),
    # Notes of a record, one within another.
    (
        "sentenceText",
        "image stored; video, attempt 1 of 4",
        "图片已保存；视频，第 1 次尝试（最多 4 次）",
    ),
    (
        "sentenceText",
        "video, attempt 1 failed: no luck (generation_failed; attempt 2 of 4 follows)",
        "视频第 1 次尝试失败：no luck（generation_failed；接着进行第 2 次，共 4 次）",
    ),
]


async def test_texts_of_services_are_shown_in_chinese(lonely: Place, new_page: NewPage) -> None:
    record = sample_record(job_id(1))
    error = JobError(code="job_timed_out", message="The job did not end within 60 s.")
    lonely.records.write(change(record, status=Status.FAILED, error=error))
    async with lonely.running(), new_page(lonely.base, **CHINESE) as page:
        await expect(page.get_by_text("job_timed_out: 任务没有在 60 秒内结束。")).to_be_visible()
        for name, given, chinese in SAID:
            assert await page.evaluate(SHOWN, [name, given]) == chinese
        await page.keyboard.press("n")
        await page.locator("#new-prompt").fill("\u200b")
        await page.locator("#new-prompt").press("Control+Enter")
        await expect(page.get_by_text("至少要有一个看得见的字符。")).to_be_visible()
