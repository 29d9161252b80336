"""A plan, its faults, a whole run against a small pipeline, and the replay behind it."""

import asyncio
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from loadtest.books import raw
from loadtest.judge.judge import Judgement, judge
from loadtest.report.write import write_report
from loadtest.run import stage
from loadtest.run.plan import LADDER, Options, Plan, PlanError
from loadtest.run.progress import Display
from loadtest.run.run import Run, open_stack
from loadtest.run.session import NotReachable, armed, preflight, replay
from loadtest.settings import Settings
from loadtest.wire.http import Http
from loadtest.wire.vendor import Vendor
from tests.loadtest.fakes import Behaviour, Pipeline, serve
from tests.loadtest.synthetic import Synthetic


def test_the_ladder() -> None:
    plan = Options(stages="ladder").plan()

    assert plan.stages == LADDER
    assert plan.jobs == 186
    assert plan.offset(99) == 0


def test_an_open_loop_plans_each_instant() -> None:
    plan = Options(stages="10", rate="90/min").plan()

    assert [plan.offset(n) for n in (0, 3, 9)] == [0, 2, 6]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"stages": "1,,5"}, "whole number"),
        ({"stages": "-1"}, "not between"),
        ({"stages": "1", "seed": "x"}, "--seed"),
        ({"stages": "1", "seed": "9" * 40}, "--seed"),
        ({"stages": "1", "seed": "-" + "9" * 19}, "--seed"),
        ({"stages": "1", "rate": "0"}, "--rate"),
        ({"stages": "1", "rate": "9" * 400}, "--rate"),
        ({"stages": "1", "rate": "0.0000001"}, "--rate"),
        ({"stages": "1", "faults": ("[" * 100_000,)}, "not JSON"),
        ({"stages": "1", "stall": "soon"}, "--stall"),
        ({"stages": "1", "concurrency": "0"}, "--concurrency"),
        ({"stages": "1", "on_video_failure": "cry"}, "--on-video-failure"),
        ({"stages": "1", "faults": ("{",)}, "not JSON"),
        ({"stages": "1", "faults": ("[]",)}, "not an object"),
        ({"stages": "1", "presets": ("x",), "mocked": False}, "mocks are off"),
        ({"stages": "19", "thresholds": ("p95<1",)}, "20 jobs or more"),
    ],
)
def test_a_mistake_is_named(arguments: dict[str, object], word: str) -> None:
    mocked = bool(arguments.pop("mocked", True))
    options = Options.model_validate(arguments)

    with pytest.raises(PlanError, match=word):
        options.plan(mocked=mocked)


def test_all_mistakes_are_named_together() -> None:
    with pytest.raises(PlanError) as caught:
        Options(stages="a", rate="b", timeout="c", thresholds=("d", "e")).plan()

    assert len(caught.value.problems) == 5


class Mock:
    """The fault plan of one mock, behind HTTP."""

    def __init__(self, name: str) -> None:
        self.rules: list[dict[str, Any]] = [{"name": "the user's"}]
        self.asked: list[dict[str, Any]] = []
        transport = httpx.MockTransport(self.answer)
        self.vendor = Vendor(Http(f"http://{name}", transport=transport), name)

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
        self.rules += plan.get("rules") or [{"name": plan["preset"]}]
        return httpx.Response(200, json={})

    @property
    def names(self) -> list[str]:
        return [rule["name"] for rule in self.rules]


async def test_rules_hold_for_the_run_and_the_users_own_stay() -> None:
    image, video = Mock("image"), Mock("video")
    plans = ['{"preset": "p"}', '{"name": "r", "do": "x"}']

    async with armed([image.vendor, video.vendor], plans, seed=7):
        assert image.names == video.names == ["the user's", "p", "r"]
        assert video.asked == [
            {"seed": 7, "preset": "p"},
            {"seed": 7, "rules": [{"name": "r", "do": "x"}]},
        ]
    assert image.names == video.names == ["the user's"]


async def test_everything_that_is_refused_is_named_and_nothing_stays() -> None:
    image = Mock("image")

    with pytest.raises(PlanError) as caught:
        async with armed([image.vendor], ['{"preset": "p"}', '{"preset": "nonsense"}'], seed=7):
            pytest.fail("the run must not begin")

    assert caught.value.problems == [
        "the image service refuses the faults: 422 bad_fault_plan: no such preset"
    ]
    assert image.names == ["the user's"]


async def test_without_faults_no_mock_is_asked() -> None:
    image = Mock("image")
    async with armed([image.vendor], [], seed=7):
        pass

    assert image.asked == []


MakePipeline = Callable[[Behaviour], Pipeline]


async def run_plan(
    settings: Settings, pipeline: Pipeline, plan: Plan, *, stop: asyncio.Event | None = None
) -> tuple[Run, Judgement, str]:
    """Run a plan against the fake stack; the judgement, and what was shown meanwhile."""
    shown = io.StringIO()
    async with serve(pipeline) as url:
        here = settings.model_copy(
            update={
                "api_url": url,
                "callback_url": url,
                "image_service_url": f"{url}/image",
                "video_service_url": f"{url}/video",
            }
        )
        temporal, version = await preflight(here)
        async with open_stack(here, temporal, version) as stack:
            run = Run(stack, plan, command="python -m loadtest run")
            lines = Display(Console(file=shown), plan.stages)
            await run.go(lines, stop or asyncio.Event())
    judgement = judge(run.folder)
    write_report(run.folder, judgement)
    run.folder.point_latest()
    return run, judgement, shown.getvalue()


async def test_two_stages_pass(settings: Settings, pipeline: MakePipeline) -> None:
    run, judgement, shown = await run_plan(
        settings, pipeline(Behaviour()), Options(stages="1,4").plan()
    )

    assert judgement.reasons == []
    assert judgement.headline == "PASS: 5 of 5 jobs succeeded, at most 1 at once"
    assert {sweep.most for sweep in judgement.stages[1].at_once.values()} == {1}
    assert "stage 2/2, 4 jobs: 4 succeeded" in shown
    names = {path.name for path in run.folder.path.iterdir()}
    assert names >= {"report.html", "report.md", "results.json", "jobs.csv"}
    assert names >= {"junit.xml", "histories", "raw"}
    assert (settings.reports_dir / "latest").readlink() == Path(run.run_id)
    histories = list(run.folder.histories.iterdir())
    assert len(histories) == 5
    assert json.loads(histories[0].read_text("utf-8"))["events"][0]["eventType"]


async def test_a_feed_that_breaks_and_refusals_that_clear_are_survived(
    settings: Settings, pipeline: MakePipeline
) -> None:
    behaviour = Behaviour(break_feed_after=2, refuse_first=3)
    _, judgement, _ = await run_plan(settings, pipeline(behaviour), Options(stages="4").plan())

    assert judgement.reasons == []
    assert sum(submit.tries for job in judgement.books.jobs for submit in job.submissions) == 7


async def test_a_stalled_stage_is_given_up_and_says_so(
    settings: Settings, pipeline: MakePipeline
) -> None:
    plan = Options(stages="2,1", stall="1").plan()
    run, judgement, _ = await run_plan(settings, pipeline(Behaviour(never_start=True)), plan)

    assert not judgement.passed
    assert judgement.stages[0].counts["still open"] == 2
    assert run.why.startswith("stalled")
    assert "still open" in (run.folder.path / "report.md").read_text("utf-8")


async def test_an_interrupt_leaves_a_partial_report(
    settings: Settings, pipeline: MakePipeline
) -> None:
    stop = asyncio.Event()
    stop.set()
    run, judgement, _ = await run_plan(
        settings, pipeline(Behaviour(never_start=True)), Options(stages="2,5").plan(), stop=stop
    )

    assert run.why == "interrupted"
    assert not judgement.passed
    assert len(judgement.stages) == 1
    assert "partial: interrupted" in (run.folder.path / "report.md").read_text("utf-8")


async def test_what_does_not_answer_is_named(settings: Settings) -> None:
    away = settings.model_copy(
        update={"api_url": "http://127.0.0.1:9", "video_service_url": "http://127.0.0.1:9"}
    )

    with pytest.raises(NotReachable) as caught:
        await preflight(away)

    named = [problem.split(":")[0] for problem in caught.value.problems]
    assert {"api", "mock-kling"} <= set(named)
    assert "temporal" not in named


async def test_a_stack_that_goes_away_in_the_middle_gives_a_report_that_says_so(
    settings: Settings, pipeline: MakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "AWAY_SECONDS", 0.5)
    behaviour = Behaviour(never_start=True, away_after=2)
    run, judgement, _ = await run_plan(settings, pipeline(behaviour), Options(stages="2").plan())

    assert run.why.startswith("unreachable")
    assert not judgement.passed
    assert any("every book could be read" in reason for reason in judgement.reasons)
    assert "partial: unreachable" in (run.folder.path / "report.md").read_text("utf-8")


@pytest.fixture
def run(tmp_path: Path) -> Synthetic:
    return Synthetic(tmp_path).write()


def command(tmp_path: Path, body: str) -> str:
    script = tmp_path / "replay.py"
    script.write_text(body)
    return f"{sys.executable} {script}"


def verdict(run: Synthetic) -> bool | None:
    return next(check.ok for check in judge(run.folder).checks if "replays" in check.name)


def test_all_replayed(run: Synthetic, tmp_path: Path) -> None:
    body = """
import json, os, sys
print("a warning of the SDK")
print(json.dumps({"replayed": len(os.listdir(sys.argv[1])), "failures": {}}))
"""
    replay(run.folder, command(tmp_path, body))

    assert run.folder.read(raw.REPLAY) == {"replayed": 3, "failures": {}, "kept": 3}
    assert verdict(run) is True


@pytest.mark.parametrize(
    "body",
    [
        'print(\'{"replayed": 1, "failures": {"job-a": "nondeterminism"}}\')',
        'print(\'{"replayed": 0, "failures": {}}\')',
        "print('{}')",
        "raise SystemExit('no code here')",
    ],
)
def test_what_is_not_replayed_fails_the_run(run: Synthetic, tmp_path: Path, body: str) -> None:
    replay(run.folder, command(tmp_path, body))

    assert verdict(run) is False
    assert not judge(run.folder).passed


def test_a_program_that_is_not_there_fails_the_run(run: Synthetic) -> None:
    replay(run.folder, "/nowhere/replay")

    assert verdict(run) is False


def test_without_a_program_nothing_is_said(run: Synthetic) -> None:
    assert verdict(run) is None
    assert judge(run.folder).passed
