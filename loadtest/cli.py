"""The command line; a mistake is one clear line each, and nothing is started then."""

import asyncio
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError

from loadtest.books.raw import RunFolder
from loadtest.collect.replay import replay
from loadtest.control.session import run_both
from loadtest.judge.judge import judge as judge_run
from loadtest.judge.tried import unmet
from loadtest.options import (
    AtTheEnd,
    Check,
    Faults,
    Folder,
    Jobs,
    OnVideo,
    Presets,
    Rate,
    ReplayWith,
    Reset,
    Seed,
    Stages,
    Stall,
    Thresholds,
    Timeout,
    Wide,
    split,
)
from loadtest.prove import page
from loadtest.report.write import write_report
from loadtest.run.plan import Options, PlanError, both, control_workers
from loadtest.run.repeat import command
from loadtest.run.session import run_plan
from loadtest.settings import Settings
from loadtest.terminal import (
    FAILED,
    INTERRUPTED,
    NOT_REACHABLE,
    PASSED,
    USAGE,
    Commands,
    complain,
    console,
    fail,
    say,
)
from shared.texts import spoken

app = typer.Typer(
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Runs jobs through the whole pipeline and judges what every book says about them.",
)


@app.command()
def run(
    jobs: Jobs = None,
    stages: Stages = "",
    seed: Seed = None,
    rate: Rate = None,
    threshold: Thresholds = None,
    timeout: Timeout = None,
    stall: Stall = None,
    concurrency: Wide = "16",
    on_video_failure: OnVideo = "fail",
    preset: Presets = None,
    fault: Faults = None,
    reset: Reset = False,
    replay_with: ReplayWith = "",
    check: Check = False,
) -> None:
    """Run one stage (--jobs) or several (--stages) and write a report; exits by the verdict."""
    if (jobs is None) == (stages == ""):
        fail(["give either --jobs N or --stages 1,5,10"], USAGE)
    options = Options(
        stages=jobs if jobs is not None else stages,
        seed=seed,
        rate=rate,
        timeout=timeout,
        stall=stall,
        thresholds=split(threshold),
        concurrency=concurrency,
        on_video_failure=on_video_failure,
        reset=reset,
        presets=tuple(preset or ()),
        faults=tuple(fault or ()),
    )
    _run(options, replay_with=replay_with, check=check)


@app.command()
def ladder(
    seed: Seed = None,
    threshold: Thresholds = None,
    timeout: Timeout = None,
    on_video_failure: OnVideo = "fail",
    preset: Presets = None,
    fault: Faults = None,
    reset: Reset = False,
    replay_with: ReplayWith = "",
    check: Check = False,
) -> None:
    """Run the stages 1, 5, 10, 20, 50 and 100 into one report."""
    options = Options(
        stages="ladder",
        seed=seed,
        timeout=timeout,
        thresholds=split(threshold),
        on_video_failure=on_video_failure,
        reset=reset,
        presets=tuple(preset or ()),
        faults=tuple(fault or ()),
    )
    _run(options, replay_with=replay_with, check=check)


@app.command()
def report(folder: Folder) -> None:
    """Judge and draw a run again from its raw records."""
    raise typer.Exit(_judge(_open(folder)))


@app.command()
def bench_peers(
    jobs: Annotated[str, typer.Option("--jobs", "-n", help="Jobs for each build.")] = "20",
    workers: Annotated[
        str, typer.Option("--workers", help="Worker processes of the control.")
    ] = "2",
    seed: Seed = None,
    replay_with: ReplayWith = "",
    check: Check = False,
) -> None:
    """The same work by a build that is wrong on purpose; fails unless that one is caught.

    The program that replays knows our workflow alone, so that the control is not replayed.
    """
    settings = _settings()
    options = Options(stages=jobs, seed=seed)
    plan, count = both(
        lambda: options.plan(mocked=settings.mocked), lambda: control_workers(workers)
    )
    if check:
        raise typer.Exit(PASSED)
    found = asyncio.run(run_both(settings, plan, workers=count, console=console))
    if replay_with:
        replay(found[0], replay_with)
    ours, control = map(judge_run, found)
    for name, folder, judgement in zip(
        ("ours", "the control"), found, (ours, control), strict=True
    ):
        write_report(folder, judgement)
        say(f"{name}: {judgement.headline}")
        say(f"report: {folder.path / 'report.html'}")
    raise typer.Exit(PASSED if ours.passed and not control.passed else FAILED)


@app.command()
def prove(folder: Folder, seal: AtTheEnd = False) -> None:
    """Judge and draw what the parts of `make prove` have left behind, as one."""
    found = page.drawn(folder, seal=seal)
    say("\n".join(found.lines))
    raise typer.Exit(found.status)


def _open(folder: Path) -> RunFolder:
    try:
        return RunFolder.open(folder)
    except FileNotFoundError as error:
        raise PlanError([str(error)]) from None


def _run(options: Options, *, replay_with: str, check: bool) -> NoReturn:
    """One run and its report; exits by the verdict, or by why there is none."""
    settings = _settings()
    plan = options.plan(mocked=settings.mocked)
    if check:
        raise typer.Exit(PASSED)
    line = command(plan.seed)
    folder, why = asyncio.run(run_plan(settings, plan, command=line, console=console))
    folder.point_latest()
    try:
        if replay_with:
            replay(folder, replay_with)
    except KeyboardInterrupt:
        # The run is whole: its report says that it was not replayed.
        why = "interrupted"
    verdict = _judge(folder)
    if why == "interrupted":
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(NOT_REACHABLE if why.startswith("unreachable") else verdict)


def _judge(folder: RunFolder) -> int:
    judgement = judge_run(folder)
    write_report(folder, judgement)
    style = "bold green" if judgement.passed else "bold red"
    console.print(spoken(judgement.headline), style=style, highlight=False)
    for line in judgement.reasons:
        say(f"  {line}")
    if text := unmet(judgement):
        say(text)
    say(f"report: {folder.path / 'report.html'}")
    say(f"seal: {judgement.books.seal.root}")
    for name, count in sorted(judgement.books.torn.items()):
        complain(f"damaged: {folder.raw / name}, {count} line(s)")
    if judgement.books.torn:
        return USAGE
    return PASSED if judgement.passed else FAILED


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        fail([f"{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()], USAGE)
