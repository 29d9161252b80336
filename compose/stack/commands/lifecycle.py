"""Starts, changes and stops the stack; when `up` ends well, every service is ready."""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace

from compose.stack.commands import status
from compose.stack.errors import UNREACHABLE, USAGE, StackError
from compose.stack.machine import engine, ports
from compose.stack.machine.lock import locked
from compose.stack.modes import choice, readiness
from compose.stack.modes.docker import Docker
from compose.stack.modes.local import Local
from compose.stack.modes.stack import SERVICE_FOLDERS, Stack
from compose.stack.output import agreed, complain, say
from compose.stack.preflight import (
    exposure,
    namespace,
    open_jobs,
    other_stacks,
    replay,
    service_settings,
    vendors,
)
from compose.stack.private import private_folder
from compose.stack.services import API
from compose.stack.settings import saved
from compose.stack.settings.load import Mode, Settings, load
from compose.stack.settings.saved import Saved
from compose.stack.subprocesses import to_its_end

# All that is ever written below DATA_DIR, and all that `clean` removes.
DATA_FOLDERS = (*SERVICE_FOLDERS, "logs", "run", "secrets")
REBUILD = "services.api.rebuild"


def up(settings: Settings, *, force: bool = False) -> None:
    """Bring the stack to what the settings say, wait until it is ready, print the addresses.

    Nothing is touched where a service refuses a setting, or a real vendor is not as it should be.
    With `force` also where open jobs or semaphores don't replay by the present code, or open jobs
    would go on with other vendors. Never where another stack's semaphore runs.
    """
    _refuse_other_mode(settings)
    exposure.check(settings)
    _warn(settings)
    private_folder(settings.run_dir)
    with locked(settings.run_dir):
        stack = choice.with_base_image(settings, choice.chosen(settings))
        if isinstance(stack, Local):
            stack.end_orphans()
        before = stack.units()
        open_jobs.check(settings, before, force=force)
        containers = isinstance(stack, Docker)
        needed = ports.wanted(settings, containers=containers, running=[u.service for u in before])
        ports.refuse_taken(settings, needed)
        mode = Mode.DOCKER if containers else Mode.LOCAL
        try:
            service_settings.check(settings, stack)
            namespace.check(settings, stack)
            asked = vendors.check(settings, stack, running=bool(before))
            other_stacks.check(settings, stack, running=bool(before), force=force)
            if not force:
                replay.check(settings, stack, running=bool(before))
            saved.write(settings.run_dir, Saved(mode, settings.overrides, settings.mocks))
            stack.up()
            replay.note(settings)
        except BaseException:
            if not before:
                to_its_end(stack.down)
                saved.forget(settings.run_dir)
            raise
        readiness.wait(settings, stack)
        if asked and "CALLBACK_URL" in settings.values:
            vendors.tell_of_callbacks(stack)
    status.urls(settings)


def switch_mocks(settings: Settings, word: str, environ: Mapping[str, str]) -> None:
    """Change the running stack to MOCKS=`word`; an address that this lacks is told first."""
    wanted = load(settings.root, dict(environ) | {"MOCKS": word})
    if not settings.running:
        raise StackError(
            f"the stack is not running; make up MOCKS={word} starts it that way", UNREACHABLE
        )
    up(wanted, force=environ.get("FORCE") == "1")


def is_as_asked(settings: Settings) -> bool:
    """Whether the stack runs, is ready, and this command asks for nothing else."""
    if not settings.running or saved.read(settings.run_dir).overrides != settings.overrides:
        return False
    return readiness.all_ready(settings, choice.chosen(settings).units())


def renewed(settings: Settings) -> Settings:
    """Bring what runs to what the settings say, also where it is ready by what it was told."""
    up(settings)
    return replace(settings, running=saved.read(settings.run_dir).mode)


def down(settings: Settings) -> None:
    """Stop the stack and forget its overrides; data stays."""
    private_folder(settings.run_dir)
    with locked(settings.run_dir):
        stacks: list[Stack] = [Local(settings)]
        if settings.running != Mode.LOCAL and engine.missing() is None:
            stacks.append(Docker(settings))
        stopped = [stack for stack in stacks if stack.units()]
        for stack in stopped:
            stack.down()
        Local(settings).down()
        saved.forget(settings.run_dir)
    say("stopped; data stays" if stopped else "nothing was running")


def clean(settings: Settings, *, sure: bool) -> None:
    """Stop the stack and remove its data; reports stay."""
    folders = [settings.data_dir / name for name in DATA_FOLDERS]
    if not sure:
        _confirm(f"remove all jobs, files, logs and Temporal's database below {settings.data_dir}?")
    down(settings)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    left = [str(folder) for folder in folders if folder.exists()]
    if left:
        raise StackError(f"could not remove {', '.join(left)}: not ours to remove?", USAGE)
    say("data removed; reports stay")


def rebuild(settings: Settings) -> int:
    """Restore every record from Temporal, where the API runs; returns the program's exit status."""
    if not settings.running:
        raise StackError("the stack is not running; make up, then make state-rebuild", UNREACHABLE)
    return choice.chosen(settings).within(API, REBUILD)


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise StackError("make clean removes data and asks first; without a terminal say YES=1")
    if not agreed(question):
        raise StackError("nothing removed", USAGE)


def _refuse_other_mode(settings: Settings) -> None:
    if settings.running and settings.mode not in (Mode.AUTO, settings.running):
        raise StackError(f"the stack runs with MODE={settings.running}; `make down` first")


def _warn(settings: Settings) -> None:
    """What is not wrong and still may not be what was meant."""
    for name in settings.unknown:
        complain(f".env: {name} is no setting of this project; .env.example lists them all")
    if settings.roles and settings.values.get("STORE_URL", "file:") == "file:":
        complain("STORE_URL=file: is this machine's folder: parts elsewhere don't see it")
