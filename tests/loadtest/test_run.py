"""A plan, its faults, whole runs of the pipeline in this process, and the replay behind them."""

import asyncio
import errno
import io
import json
import shlex
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from examples.speech.definition import SPEECH
from loadtest.books import raw, seal
from loadtest.books.prompts import prompt
from loadtest.judge.judge import Judgement, Verdict, judge
from loadtest.report.write import write_report
from loadtest.run import stage
from loadtest.run.plan import Plan, PlanError, planned
from loadtest.run.progress import Display
from loadtest.run.run import Run
from loadtest.run.session import armed, replay
from loadtest.run.stage import job_body
from loadtest.settings import Settings
from loadtest.wire.http import Http
from loadtest.wire.stack import NotReachable, Stack, open_stack, preflight
from loadtest.wire.temporal import Temporal
from loadtest.wire.vendor import Vendor
from services.api.app import create_app
from services.api.settings import ApiSettings
from services.semaphore.worker import running_semaphore
from services.worker.worker import running_worker
from shared.jobs.genvideo import GENVIDEO
from tests.fixtures.eventually import eventually
from tests.fixtures.processes import serving
from tests.loadtest.synthetic import Synthetic
from tests.workflow.pipeline import pipeline


def test_open_loop_plans_each_instant() -> None:
    plan = planned("10", rate="90/min")

    assert [plan.offset(n) for n in (0, 3, 9)] == [0, 2, 6]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"stages": "1,,5"}, "whole number"),
        ({"stages": "-1"}, "not between"),
        ({"stages": "1", "pipeline": "opera"}, "--pipeline: 'opera' is none of genvideo"),
        ({"stages": "1", "seed": "x"}, "--seed"),
        ({"stages": "1", "seed": "9" * 40}, "--seed"),
        ({"stages": "1", "rate": "0"}, "--rate"),
        ({"stages": "1", "rate": "9" * 400}, "--rate"),
        ({"stages": "1", "faults": ("[" * 100_000,)}, "not JSON"),
        ({"stages": "1", "stall": "soon"}, "--stall"),
        ({"stages": "1_0"}, "'1_0' is not a whole number"),
        ({"stages": "1", "concurrency": "0"}, "--concurrency"),
        ({"stages": "1", "on_video_failure": "cry"}, "--on-video-failure"),
        ({"stages": "1", "faults": ("{",)}, "not JSON"),
        ({"stages": "1", "faults": ("[]",)}, "not an object"),
        ({"stages": "1", "presets": ("x",), "mocks": ()}, "mocks are off"),
        ({"stages": "19", "thresholds": ("p95<1",)}, "20 jobs or more"),
    ],
)
def test_mistake_is_named(arguments: dict[str, Any], word: str) -> None:
    with pytest.raises(PlanError, match=word):
        planned(**arguments)


def test_all_mistakes_are_named_together() -> None:
    with pytest.raises(PlanError) as caught:
        planned("a", rate="b", timeout="c", thresholds=("d", "e"))

    assert len(caught.value.problems) == 5


class Mock:
    """The fault plan of one mock, behind HTTP."""

    def __init__(self, name: str) -> None:
        self.rules: list[dict[str, Any]] = [
            {
                "name": "the user's",
                "do": "x",
                "seed": 3,
                "fired": 1,
                "spent": False,
                "applies": True,
            }
        ]
        self.asked: list[dict[str, Any]] = []
        transport = httpx.MockTransport(self.answer)
        self.vendor = Vendor(name, f"http://{name}", transport=transport)

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return self.add(json.loads(request.content))
        if request.method == "DELETE":
            gone = request.url.params["name"]
            self.rules = [rule for rule in self.rules if rule["name"] != gone]
        return httpx.Response(200, json={"rules": self.rules})

    def add(self, plan: dict[str, Any]) -> httpx.Response:
        self.asked.append(plan)
        if plan.get("preset") == "nonsense":
            return httpx.Response(422, json={"code": "bad_fault_plan", "detail": "no such preset"})
        self.rules.append({"name": plan.get("preset") or plan["name"]})
        return httpx.Response(200, json={})

    @property
    def names(self) -> list[str]:
        return [rule["name"] for rule in self.rules]


async def test_rules_last_for_the_run_and_the_users_rules_stay() -> None:
    image, video = Mock("image"), Mock("video")
    plans = ['{"preset": "p"}', '{"name": "r", "do": "x", "seed": 4}']

    async with armed([image.vendor, video.vendor], plans, seed=7) as earlier:
        assert image.names == video.names == ["the user's", "p", "r"]
        assert video.asked == [
            {"seed": 7, "preset": "p"},
            {"seed": 4, "name": "r", "do": "x"},
        ]
        [line] = earlier
        assert line.startswith("make fault RULE=")
        [word] = shlex.split(line.removeprefix("make fault "))
        users = {"seed": 3, "rules": [{"name": "the user's", "do": "x"}]}
        assert json.loads(word.removeprefix("RULE=")) == users
    assert image.names == video.names == ["the user's"]


async def test_refusal_names_every_rule_and_arms_nothing() -> None:
    image = Mock("image")

    with pytest.raises(PlanError) as caught:
        async with armed([image.vendor], ['{"preset": "p"}', '{"preset": "nonsense"}'], seed=7):
            pytest.fail("the run must not begin")

    assert caught.value.problems == [
        "the image service refuses the faults: 422 bad_fault_plan: no such preset"
    ]
    assert image.names == ["the user's"]


async def test_without_faults_nothing_is_armed() -> None:
    image = Mock("image")
    async with armed([image.vendor], [], seed=7):
        pass

    assert image.asked == []


class Disturbance:
    """The API with a feed that breaks, submissions that are refused, or no answer any more."""

    def __init__(
        self,
        app: ASGIApp,
        refuse: int = 0,
        frames: int | None = None,
        away_after: int | None = None,
        slow_slots: int = 0,
    ) -> None:
        self._app, self._refuse, self._frames, self._left = app, refuse, frames, away_after
        self._slow_slots = slow_slots

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and self._frames is not None:
            send = _breaking(send, self._frames)
        if scope["type"] == "http":
            if self._left == 0:
                return await Response(status_code=502)(scope, receive, send)
            if scope["path"] == "/slots" and self._slow_slots:
                self._slow_slots -= 1
                return await Response(status_code=504)(scope, receive, send)
            if scope["method"] == "POST" and self._refuse:
                self._refuse -= 1
                refusal = Response(status_code=503, headers={"Retry-After": "0"})
                return await refusal(scope, receive, send)
            if scope["method"] == "POST" and self._left:
                self._left -= 1
        await self._app(scope, receive, send)


def _breaking(send: Send, frames: int) -> Send:
    left = frames

    async def few(message: Message) -> None:
        nonlocal left
        if message["type"] == "websocket.send":
            left -= 1
            if left < 0:
                return
            if left == 0:
                message = {"type": "websocket.close", "code": 1011}
        await send(message)

    return few


class LateClose(Temporal):
    """A server whose runs close only after their list was read once."""

    _lists = 0

    async def executions(self, tag: str) -> AsyncIterator[dict[str, Any]]:
        self._lists += 1
        async for row in super().executions(tag):
            yield row if self._lists > 1 else row | {"status": "RUNNING", "closed": None}

    async def history(
        self, job_id: str, run_id: str | None = None
    ) -> Sequence[HistoryEvent] | None:
        events = await super().history(job_id, run_id)
        return events if self._lists > 1 or not events else events[:-1]


@asynccontextmanager
async def disturbed(client: Client, folder: Path, **how: int) -> AsyncIterator[Stack]:
    """The whole pipeline in this process, reached through a disturbed API; its runs close late."""
    async with (
        pipeline(client, folder / "data") as line,
        running_semaphore(line.client, shutdown_seconds=0.1),
        running_worker(line.settings, line.client),
    ):
        # The answer comes from a semaphore that has rebuilt, so that each run goes the same way.
        await line.change(limit=1)
        app = create_app(ApiSettings(data_dir=line.settings.data_dir), line.client)
        app.add_middleware(Disturbance, **how)
        async with serving(app) as api:
            settings = Settings(
                api_url=api,
                callback_url=line.settings.callback_url,
                image_service_url=line.settings.image_service_url,
                video_service_url=line.settings.video_service_url,
                data_dir=line.settings.data_dir,
                reports_dir=folder / "reports",
            )
            temporal = LateClose(line.client, settings.payload_keys)
            async with open_stack(settings, temporal) as stack:
                yield stack


async def without_a_slot(stack: Stack) -> None:
    """No job begins."""
    async with Http(stack.settings.api_url) as http:
        assert (await http.put("/slots", json={"paused": True})).is_success


async def run_plan(
    stack: Stack, plan: Plan, *, stop: asyncio.Event | None = None
) -> tuple[Run, Judgement, str]:
    """Run a plan; the judgement, and what was shown meanwhile."""
    shown = io.StringIO()
    run = Run(stack, plan, command="python -m loadtest run")
    await run.go(Display(Console(file=shown), plan.stages), stop or asyncio.Event())
    judgement = judge(run.folder)
    write_report(run.folder, judgement)
    run.folder.point_latest()
    return run, judgement, shown.getvalue()


async def test_two_stages_pass_while_the_api_fails(client: Client, tmp_path: Path) -> None:
    async with disturbed(client, tmp_path, refuse=3, frames=2, slow_slots=1) as stack:
        run, judgement, shown = await run_plan(stack, planned("1,6"))

    facts = run.folder.read(raw.RUN)
    assert facts["pipeline"] == "genvideo"
    assert facts["stages"] == [
        {"name": each.name, "vendor": each.vendor, "called_back": each.called_back}
        for each in GENVIDEO.stages
    ]
    # Nothing replays here.
    assert judgement.findings == []
    assert judgement.headline == "NOT DECIDED: 7 of 7 jobs succeeded, at most 1 at once"
    assert sum(submit.tries for job in judgement.books.jobs for submit in job.submissions) == 10
    assert judgement.books.stages[1].feeds > 1
    assert {sweep.most for sweep in judgement.stages[1].at_once.values()} == {1}
    assert "stage 2/2, 6 jobs: 6 succeeded" in shown
    names = {path.name for path in run.folder.path.iterdir()}
    assert names >= {"report.html", "report.md", "results.json", "jobs.csv", "junit.xml"}
    assert (stack.settings.reports_dir / "latest").readlink() == Path(run.run_id)
    histories = list(run.folder.histories.iterdir())
    assert len(histories) == 7
    assert json.loads(histories[0].read_text("utf-8"))["events"][0]["eventType"]


def test_jobs_of_another_pipeline_have_its_input() -> None:
    settings = Settings(
        pipelines="examples.speech.definition:SPEECH",
        pipeline_services={"mock-speech": "http://127.0.0.1:9", "speech": "http://127.0.0.1:10"},
    )
    plan = planned("1", pipeline="speech", seed="7", pipelines=tuple(settings.known))
    body = job_body(SPEECH, plan, (0, 0), tag="load-x-1")
    assert body == {"pipeline": "speech", "text": prompt(7, 0, 0), "tag": "load-x-1"}
    assert SPEECH.input.model_validate(body).title == body["text"]
    assert settings.mocks_of(SPEECH) == {"speech": "http://127.0.0.1:9"}
    assert [*settings.mocks_of(GENVIDEO)] == ["image", "video"]


async def test_disk_that_takes_no_books_ends_the_stage() -> None:
    async def sample() -> None:
        raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"):
        async with stage.background(sample(), asyncio.Event().wait()):
            await asyncio.Event().wait()


async def test_interrupted_run_writes_a_partial_report(client: Client, tmp_path: Path) -> None:
    stop = asyncio.Event()
    stop.set()
    async with disturbed(client, tmp_path) as stack:
        await without_a_slot(stack)
        stopped, of_stopped, _ = await run_plan(stack, planned("2,5"), stop=stop)
        stalled, of_stalled, _ = await run_plan(stack, planned("2,1", stall="1"))

    assert stopped.why == "interrupted"
    assert len(of_stopped.stages) == 1
    # What was read before the interrupt is no contradiction.
    assert [found.rule for found in of_stopped.findings if "limit" in found.rule] == []
    assert stalled.why.startswith("stalled")
    assert of_stalled.stages[0].counts["still open"] == 2
    assert not of_stopped.passed
    assert not of_stalled.passed
    for run, said in ((stopped, "partial: interrupted"), (stalled, "still open")):
        assert said in (run.folder.path / "report.md").read_text("utf-8")


async def test_holder_of_no_ledger_is_asked_for(client: Client, tmp_path: Path) -> None:
    async with disturbed(client, tmp_path) as stack:
        rule = {"name": "full", "where": "submit", "do": "refuse", "with": {"status": 503}}
        async with Http(stack.settings.image_service_url) as image:
            assert (await image.put("/admin/faults", json={"rules": [rule]})).is_success
        async with Http(stack.settings.api_url) as api:
            answer = await api.post("/jobs", json={"prompt": "before", "style": "ink"})
            other = answer.json()["job_id"]
            await eventually(lambda: api.read("/slots"), lambda view: view["holders"])
        _, judgement, _ = await run_plan(stack, planned("1", stall="1"))

    assert judgement.books.stages[0].holders == {other}
    assert judgement.books.foreign_jobs[other]["known"]
    assert [found.job_id for found in judgement.findings if found.job_id == other] == []


async def test_lost_stack_is_in_the_report(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "AWAY_SECONDS", 0.5)
    async with disturbed(client, tmp_path, away_after=2) as stack:
        await without_a_slot(stack)
        run, judgement, _ = await run_plan(stack, planned("2"))

    assert run.why.startswith("unreachable")
    assert not judgement.passed
    assert "run.unread" in {found.rule for found in judgement.findings}
    assert "partial: unreachable" in (run.folder.path / "report.md").read_text("utf-8")


async def test_silent_service_is_named(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", client.service_client.config.target_host)
    away = Settings(api_url="http://127.0.0.1:9", video_service_url="http://127.0.0.1:9")

    with pytest.raises(NotReachable) as caught:
        await preflight(away)

    named = [problem.split(":")[0] for problem in caught.value.problems]
    assert {"api", "mock-kling"} <= set(named)
    assert "temporal" not in named


REPLAYS = """
import json, os, sys
print("a warning of the SDK")
print(json.dumps({"replayed": len(os.listdir(sys.argv[1])), "failures": {}}))
"""
FAILS = """print('{"replayed": 1, "failures": {"job-a": "nondeterminism"}}')"""


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        (REPLAYS, Verdict.PASS),
        (FAILS, Verdict.FAIL),
        ("""print('{"replayed": 0, "failures": {}}')""", Verdict.FAIL),
        ("print('{}')", Verdict.FAIL),
        ("raise SystemExit('no code here')", Verdict.FAIL),
        (None, Verdict.FAIL),
    ],
    ids=["all replayed", "one failed", "none", "no numbers", "no code", "no program"],
)
def test_failed_replay_fails_the_run(tmp_path: Path, body: str | None, verdict: Verdict) -> None:
    run = Synthetic(tmp_path).write()
    script = tmp_path / "replay.py"
    script.write_text(body or "")
    replay(run.folder, f"{sys.executable} {script}" if body else "/nowhere/replay")

    assert judge(run.folder).verdict is verdict
    if verdict is Verdict.PASS:
        assert run.folder.read(raw.REPLAY) == {"replayed": 3, "failures": {}, "kept": 3}


def test_missing_replay_is_not_decided(tmp_path: Path) -> None:
    run = Synthetic(tmp_path).write()
    (run.folder.raw / raw.REPLAY).unlink()
    seal.write(run.folder)

    assert judge(run.folder).verdict is Verdict.NOT_DECIDED
