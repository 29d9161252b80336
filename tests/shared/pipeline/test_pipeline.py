"""Pipelines of the test's own on the engine: three stages, one stage, and one slot for both."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, ClassVar

import pytest
from pydantic import SecretStr
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from temporalio import workflow
from temporalio.client import Client, WorkflowHandle

from services.semaphore.worker import running_semaphore
from shared.errors import BadResult
from shared.jobs.ids import new_job_id
from shared.jobs.messages import Progress, Record
from shared.jobs.states import Status
from shared.pipeline.definition import Definition, FileKind, JobInput, Stage
from shared.pipeline.pipeline import Pipeline
from shared.pipeline.settings import PipelineWorkerSettings
from shared.pipeline.storage import Checker
from shared.pipeline.vendor import SourceFile, Traits, VendorStatus
from shared.pipeline.worker import pipeline_worker
from shared.store.records import RecordStore
from tests.services.mock_core.serving import served

SECRET = SecretStr("a-secret-of-32-characters-or-more")
TEXT = FileKind("TEXT", "txt", "text/plain")
DRAFT = Stage(name="draft", file=TEXT, vendor="pen", deadline=60, give_up=600)
POLISH = Stage(name="polish", file=TEXT, vendor="pen", deadline=60, give_up=600)
PRINT = Stage(
    name="print", file=TEXT, vendor="press", deadline=60, give_up=600, poll=0.1, callback="press"
)


class BookInput(JobInput):
    text: str

    @property
    def title(self) -> str:
        return self.text


class NoteInput(BookInput):
    pass


BOOK = Definition(
    name="book", workflow="BookWorkflow", input=BookInput, stages=(DRAFT, POLISH, PRINT)
)
NOTE = Definition(name="note", workflow="NoteWorkflow", input=NoteInput, stages=(DRAFT,))


@workflow.defn(name=BOOK.workflow)
class BookWorkflow(Pipeline[BookInput]):
    definition = BOOK

    @workflow.init
    def __init__(self, job: BookInput) -> None:
        super().__init__(job)

    @workflow.run
    async def run(self, job: BookInput) -> Progress:
        return await self.until_ended()

    async def stages(self, job: BookInput) -> None:
        await self.make(DRAFT, text=job.text)
        await self.make(POLISH)
        await self.make(PRINT, copies=2)


@workflow.defn(name=NOTE.workflow)
class NoteWorkflow(Pipeline[NoteInput]):
    definition = NOTE

    @workflow.init
    def __init__(self, job: NoteInput) -> None:
        super().__init__(job)

    @workflow.run
    async def run(self, job: NoteInput) -> Progress:
        return await self.until_ended()

    async def stages(self, job: NoteInput) -> None:
        await self.make(DRAFT, text=job.text)


class BookSettings(PipelineWorkerSettings):
    pipeline: ClassVar[Definition] = BOOK
    vendor_url: str
    polish_attempt_seconds: float = 7

    def vendor_addresses(self) -> dict[str, str]:
        return {"pen": self.vendor_url, "press": self.vendor_url}


class NoteSettings(BookSettings):
    pipeline: ClassVar[Definition] = NOTE


class Vendor:
    """Makes of a text or of a file another text, at once, and serves its files; a text `held` it
    works at until it is stopped."""

    def __init__(self) -> None:
        self.traits = Traits()
        self.base = ""
        self.made: dict[str, bytes] = {}
        self.given: dict[str, Mapping[str, object]] = {}
        self.holds = asyncio.Event()
        self.cancelled: list[str] = []

    async def submit(
        self, external_id: str, token: int, *, source: SourceFile | None = None, **inputs: object
    ) -> str:
        stage = external_id.split(".")[1]
        before = b"" if source is None else await source.fitted(None) + b", "
        self.given[external_id] = inputs
        self.made[external_id] = before + stage.encode()
        if inputs.get("text") == "held":
            self.holds.set()
        return external_id

    async def status(self, task_id: str) -> VendorStatus | None:
        if task_id not in self.made:
            return None
        if self.given[task_id].get("text") == "held":
            over = task_id in self.cancelled
            return VendorStatus(vendor_id=task_id, state="failed" if over else "running")
        return VendorStatus(vendor_id=task_id, state="succeeded", url=f"{self.base}/{task_id}")

    async def address(self, status: VendorStatus) -> str | None:
        return status.url

    async def cancel(self, vendor_id: str) -> None:
        self.cancelled.append(vendor_id)

    def credentials(self) -> Mapping[str, str]:
        return {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await Response(self.made[scope["path"].lstrip("/")])(scope, receive, send)


class NotEmpty(Checker):
    async def check(self, path: Path, step: str, kinds: Sequence[str], out: IO[bytes]) -> None:
        assert list(kinds) == ["TEXT"]
        if not await asyncio.to_thread(lambda: path.stat().st_size):
            raise BadResult("It is empty.")


class Press:
    """Both pipelines, each with a worker of its own, on one slot."""

    def __init__(self, client: Client, data_dir: Path, vendor: Vendor) -> None:
        self.client = client
        self.data_dir = data_dir
        self.vendor = vendor

    async def start(self, pipeline: Definition, text: str) -> WorkflowHandle[object, Progress]:
        return await self.client.start_workflow(
            pipeline.workflow,
            pipeline.input.model_validate({"text": text}),
            id=new_job_id(),
            task_queue=pipeline.name,
            memo=pipeline.memo(3),
            result_type=Progress,
        )

    def record(self, job_id: str) -> Record:
        record = RecordStore(self.data_dir).read(job_id)
        assert record is not None
        return record

    def stored(self, job_id: str) -> dict[str, bytes]:
        folder = self.data_dir / "assets" / job_id
        return {path.name: path.read_bytes() for path in folder.iterdir()}


@asynccontextmanager
async def printing(client: Client, data_dir: Path) -> AsyncIterator[Press]:
    vendor = Vendor()
    async with served(vendor) as base:
        vendor.base = base
        given = {"callback_secret": SECRET, "data_dir": data_dir, "vendor_url": base}
        quick = {"accept_seconds": 0.5, "shutdown_seconds": 0.1}
        vendors = {"pen": vendor, "press": vendor}
        async with (
            running_semaphore(client, pipelines=(BOOK, NOTE), shutdown_seconds=0.1),
            pipeline_worker(
                BookWorkflow,
                BookSettings.model_validate({**given, **quick}),
                client,
                vendors=vendors,
                checker=NotEmpty(),
            ),
            pipeline_worker(
                NoteWorkflow,
                NoteSettings.model_validate({**given, **quick}),
                client,
                vendors=vendors,
                checker=NotEmpty(),
            ),
        ):
            yield Press(client, data_dir, vendor)


@pytest.fixture
async def press(client: Client, tmp_path: Path) -> AsyncIterator[Press]:
    async with printing(client, tmp_path) as made:
        yield made


async def test_each_stage_gets_its_inputs_and_the_file_before_it(
    press: Press,
) -> None:
    job = await press.start(BOOK, "once upon a time")
    assert (await job.result()).status is Status.SUCCEEDED
    record = press.record(job.id)
    assert press.stored(job.id) == {
        "draft.txt": b"draft",
        "polish.txt": b"draft, polish",
        "print.txt": b"draft, polish, print",
    }
    assert list(record.assets) == list(record.attempts) == ["draft", "polish", "print"]
    assert set(record.attempts.values()) == {1}
    assert [change.note for change in record.transitions] == [
        "queued",
        "draft, attempt 1 of 4",
        "draft stored; polish, attempt 1 of 4",
        "polish stored; print, attempt 1 of 4",
        "print accepted, waiting for its callback",
        "print stored",
    ]
    draft, polish, printed = (press.vendor.given[f"{job.id}.{stage}.1"] for stage in BOOK.names)
    assert draft == {"text": "once upon a time"}
    assert polish == {}
    assert printed["copies"] == 2
    assert f"/callback/press?task={job.id}.print.1" in str(printed["callback_url"])


async def test_job_of_another_pipeline_waits_for_the_same_slot(press: Press) -> None:
    """The holder is terminated: its own pipeline's worker clears its vendor, and only then the
    other pipeline's job begins."""
    holder = await press.start(BOOK, "held")
    await press.vendor.holds.wait()
    other = await press.start(NOTE, "next")
    await holder.terminate("by the test")
    assert (await other.result()).status is Status.SUCCEEDED
    assert press.vendor.cancelled == [f"{holder.id}.draft.1"]
    ended = press.record(holder.id)
    assert (ended.status, ended.error and ended.error.code) == (Status.FAILED, "terminated")
    record = press.record(other.id)
    assert (record.pipeline, record.prompt, record.input) == ("note", "next", {"text": "next"})
    assert record.input_of(NOTE) == NoteInput(text="next")
    begun = next(each.at for each in record.transitions if each.step)
    assert ended.finished_at is not None
    assert ended.finished_at < begun


def test_time_of_a_stage_has_a_setting_and_a_default() -> None:
    limits = BookSettings(callback_secret=SECRET, vendor_url="http://v").limits().stages
    assert [each.deadline for each in limits.values()] == [60, 7, 60]
    assert [each.setting for each in limits.values()] == [
        "its deadline",
        "POLISH_ATTEMPT_SECONDS",
        "its deadline",
    ]


ENGINE = Path(__file__).parents[3] / "shared" / "pipeline"
# `genvideo` is the project's own name, in its metrics and errors.
NAMED = re.compile(r"(?<!gen)(image|video|kling|comfy)", re.IGNORECASE)


def test_engine_names_no_stage_no_medium_and_no_vendor() -> None:
    files = sorted(ENGINE.glob("*.py"))
    assert len(files) > 10
    named = {file.name: NAMED.findall(file.read_text(encoding="utf-8")) for file in files}
    assert {name: found for name, found in named.items() if found} == {}


@pytest.mark.parametrize("name", ["", "Image", "a.b", "1st", "a" * 32, "a-b", "a\n"])
def test_invalid_names_of_stages(name: str) -> None:
    """It becomes a part of ids, of names of activities and of files."""
    with pytest.raises(ValueError, match="not a stage name"):
        Stage(name=name, file=TEXT, vendor="tts", deadline=1, give_up=1)
