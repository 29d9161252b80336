"""Starting and stopping in either mode; when `up` ends well, every service is ready."""

import shutil
import sys
from dataclasses import replace
from typing import Protocol

from compose.stack import (
    engine,
    images,
    neighbours,
    ports,
    preflight,
    readiness,
    release,
    remembered,
    urls,
)
from compose.stack.command import Outcome
from compose.stack.docker import Docker
from compose.stack.errors import UNREACHABLE, USAGE, StackError
from compose.stack.local import Local
from compose.stack.lock import alone
from compose.stack.output import complain, say
from compose.stack.remembered import Remembered
from compose.stack.services import CALLBACK, Service
from compose.stack.settings import Mode, Settings
from compose.stack.status import Unit

# All that is ever written below DATA_DIR, and all that `clean` removes.
DATA_FOLDERS = ("state", "assets", "callbacks", "temporal", "mocks", "logs", "run", "secrets")


class Runner(Protocol):
    """What a mode can do; `python` and `reports` are spelt as the load test sees them."""

    @property
    def python(self) -> str:
        """The interpreter of the load test."""

    @property
    def reports(self) -> str:
        """The folder of its reports."""

    def up(self) -> None:
        """Start what isn't running, change what differs from the settings."""

    def serve(self) -> None:
        """Start the Temporal server alone and wait for it."""

    def ask(self, service: Service, *program: str, timeout: float) -> Outcome:
        """Run a module, with its arguments, of the code that a service would be started from.

        After `prepare`.
        """

    def down(self) -> None:
        """Stop all of it."""

    def units(self) -> list[Unit]:
        """All that there is of it."""

    def logs(self, names: list[str], *, lines: int, follow: bool) -> int:
        """Print the last lines of services, and what comes."""

    def prepare(self) -> None:
        """Have the packages or images that all is run from, without the stack."""

    def loadtest(self, arguments: list[str], env: dict[str, str]) -> int:
        """Run the load test against it."""

    def within(self, service: Service, module: str) -> int:
        """Run another program beside a service, as that service would."""


def runner(settings: Settings) -> Runner:
    """The mode that the stack runs in; where it doesn't run, the one to start it in."""
    if (settings.running or _chosen(settings)) == Mode.DOCKER:
        return Docker(settings)
    return Local(settings)


def tool(settings: Settings) -> Runner:
    """A mode whose load test can be run, for what needs no running stack."""
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    with alone(settings.run_dir):
        ready = _with_base_image(settings, runner(settings))
        ready.prepare()
    return ready


def up(settings: Settings, *, force: bool = False) -> None:
    """Bring the stack to what the settings say, wait until it is ready, print the addresses.

    Nothing is touched where a service refuses a setting. With `force` also where open jobs or
    keepers don't replay by the present code. Never where another stack's keeper runs.
    """
    _refuse_other_mode(settings)
    _warn(settings)
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    with alone(settings.run_dir):
        run = _with_base_image(settings, runner(settings))
        if isinstance(run, Local):
            run.end_orphans()
        before = run.units()
        containers = isinstance(run, Docker)
        needed = ports.wanted(settings, containers=containers, running=[u.service for u in before])
        ports.refuse_taken(settings, needed)
        mode = Mode.DOCKER if containers else Mode.LOCAL
        try:
            preflight.check(settings, run)
            neighbours.check(settings, run, running=bool(before), force=force)
            if not force:
                release.check(settings, run, running=bool(before))
            remembered.write(settings.run_dir, Remembered(mode, settings.spoken))
            run.up()
            release.note(settings)
        except BaseException:
            if not before:
                run.down()
                remembered.forget(settings.run_dir)
            raise
        readiness.wait(settings, run)
    urls.show(settings)


def ensure(settings: Settings) -> Settings:
    """Bring the stack up where it isn't, or where this command asks for something else."""
    same = remembered.read(settings.run_dir).spoken == settings.spoken
    if not (settings.running and same and readiness.all_ready(settings, runner(settings).units())):
        up(settings)
    return replace(settings, running=remembered.read(settings.run_dir).mode)


def down(settings: Settings) -> None:
    """Stop the stack and forget what was said to it; data stays."""
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    with alone(settings.run_dir):
        runs: list[Runner] = [Local(settings)]
        if settings.running != Mode.LOCAL and engine.found():
            runs.append(Docker(settings))
        stopped = [run for run in runs if run.units()]
        for run in stopped:
            run.down()
        Local(settings).down()
        remembered.forget(settings.run_dir)
    say("stopped; data stays" if stopped else "nothing was running")


def clean(settings: Settings, *, sure: bool) -> None:
    """Stop the stack and remove its data; reports stay."""
    folders = [settings.data_dir / name for name in DATA_FOLDERS]
    if not sure:
        _ask(f"remove all jobs, files, logs and Temporal's database below {settings.data_dir}?")
    down(settings)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    left = [str(folder) for folder in folders if folder.exists()]
    if left:
        raise StackError(f"could not remove {', '.join(left)}: not ours to remove?", USAGE)
    say("data removed; reports stay")


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise StackError("make clean removes data and asks first; without a terminal say YES=1")
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise StackError("nothing removed", USAGE)


def _refuse_other_mode(settings: Settings) -> None:
    if settings.running and settings.mode not in (Mode.AUTO, settings.running):
        raise StackError(f"the stack runs with MODE={settings.running}; `make down` first")


def _warn(settings: Settings) -> None:
    """What is not wrong and still may not be what was meant."""
    for name in settings.unknown:
        complain(f".env: {name} is no setting of this project; .env.example lists them all")
    if not settings.mocks and "CALLBACK_URL" not in settings.values:
        complain(
            f"CALLBACK_URL is not set: callbacks go to {settings.url(CALLBACK.port)};"
            " where the video service can't reach that, polling finds the end of each video"
        )


def _chosen(settings: Settings) -> str:
    if settings.mode is Mode.LOCAL:
        return Mode.LOCAL
    reason = engine.missing()
    if reason is None:
        return Mode.DOCKER
    if settings.mode is Mode.DOCKER:
        raise StackError(f"MODE=docker: {reason}; MODE=local needs none", UNREACHABLE)
    say(f"{reason}: running the services as ordinary processes (MODE=local)")
    return Mode.LOCAL


def _with_base_image(settings: Settings, run: Runner) -> Runner:
    """See to the image that all others are built on; where there is none, `auto` does without."""
    if not isinstance(run, Docker):
        return run
    try:
        return Docker(settings, images.base_image(settings))
    except StackError as error:
        if settings.mode is not Mode.AUTO or settings.running:
            raise
        say(f"{error}")
        say("running the services as ordinary processes instead (MODE=local)")
        return Local(settings)
