"""The runner against a small real stack: HTTP, WebSocket and a Temporal server."""

import asyncio
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from loadtest.books import raw
from loadtest.judge.judge import Judgement, judge
from loadtest.report.write import write_report
from loadtest.run import stage
from loadtest.run.plan import Options, Plan
from loadtest.run.progress import Lines
from loadtest.run.run import Run, open_stack
from loadtest.run.session import NotReachable, preflight
from loadtest.settings import Settings
from tests.loadtest.fake_pipeline import Behaviour, Pipeline
from tests.loadtest.fake_stack import serve

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
            lines = Lines(Console(file=shown), plan.stages)
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


async def test_two_at_once_are_caught(settings: Settings, pipeline: MakePipeline) -> None:
    _, judgement, _ = await run_plan(
        settings, pipeline(Behaviour(workers=2)), Options(stages="4").plan()
    )

    assert "max_at_once<=limit: measured 2 in stage 1 (4 jobs)" in judgement.reasons
    assert judgement.stages[0].at_once["vendors"].most == 2


async def test_a_second_charge_is_caught(settings: Settings, pipeline: MakePipeline) -> None:
    _, judgement, _ = await run_plan(
        settings, pipeline(Behaviour(charge_twice=True)), Options(stages="1").plan()
    )

    assert "charged_twice==0: measured 1 in stage 1 (1 job)" in judgement.reasons


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


async def test_raw_records_are_readable_utf8(settings: Settings, pipeline: MakePipeline) -> None:
    run, _, _ = await run_plan(
        settings, pipeline(Behaviour()), Options(stages="1", seed="1").plan()
    )

    [row] = run.folder.rows(raw.SUBMITS)
    assert row["prompt"] in (run.folder.raw / raw.SUBMITS).read_text("utf-8")


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
