"""Start, change and stop the stack; when `up` succeeds, every service is ready."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from compose.stack import checks, machine, modes
from compose.stack.commands import status
from compose.stack.docker import Docker
from compose.stack.environment import service_mistakes
from compose.stack.files import locked
from compose.stack.given import SAVED, Saved, raise_wrong
from compose.stack.local import Local
from compose.stack.output import UNREACHABLE, StackError, agreed, complain, say
from compose.stack.services import FOLDERS
from compose.stack.settings import Mode, Settings, again, load
from compose.stack.subprocesses import to_its_end

# Everything that is written below DATA_DIR, and that `clean` removes.
DATA_FOLDERS = (*FOLDERS, "logs", "run", "secrets")


def up(settings: Settings, *, force: bool = False) -> None:
    """Bring the stack to the settings, wait until it is ready, print the addresses.

    Nothing is touched if a service refuses a setting, or a check fails. `force` goes on although
    open jobs or semaphores don't replay with the present code, or would go on with other vendors.
    """
    raise_wrong(service_mistakes(settings))
    # Valid settings that may be a mistake.
    for name in settings.unknown:
        complain(f".env: {name} is not a setting; .env.example lists all")
    if settings.roles and settings.values.get("STORE_URL", "file:") == "file:":
        complain("STORE_URL=file: is this machine's folder, which other machines can't see")
    with locked(settings.run_dir):
        settings = again(settings)
        stack = modes.to_start(settings)
        if isinstance(stack, Local):
            stack.end_orphans()
        before = stack.units()
        try:
            start = checks.Start(
                settings, stack, before, containers=stack.mode is Mode.DOCKER, force=force
            )
            checks.check(start)
            overrides = dict(settings.overrides)
            saved = Saved(mode=stack.mode, ports=dict(settings.ports), overrides=overrides)
            saved.write(settings.run_dir)
            # Before the start, because a job may reach them while the services become ready.
            checks.vendors_note(settings).write()
            stack.up()
        except BaseException:
            if not before:
                to_its_end(stack.down)
                (settings.run_dir / SAVED).unlink(missing_ok=True)
            raise
        modes.wait(settings, stack)
        # Without an answer from Temporal nothing was replayed, and the services are not ready.
        checks.code_note(settings).write()
    status.urls(settings)


def switch_mocks(settings: Settings, word: str, environ: Mapping[str, str]) -> None:
    """Change the running stack to MOCKS=`word`; a missing address is reported first."""
    wanted = load(settings.root, dict(environ) | {"MOCKS": word})
    if not settings.running:
        raise StackError(
            f"the stack is not running; make up MOCKS={word} starts it that way", UNREACHABLE
        )
    up(wanted, force=environ.get("FORCE") == "1")


def down(settings: Settings, *, remove: Sequence[Path] = ()) -> None:
    """Stop the stack and forget its overrides; data stays, except for what is to be removed."""
    with locked(settings.run_dir):
        settings = again(settings)
        stacks: list[modes.Stack] = [Local(settings)]
        if settings.running == Mode.DOCKER:
            stacks.append(modes.chosen(settings))
        elif not settings.running and machine.missing() is None:
            stacks.append(Docker(settings))
        stopped = [stack for stack in stacks if stack.units()]
        for stack in stopped:
            stack.down()
        ended = Local(settings).end_orphans()
        Local(settings).down()
        checks.count_stop(settings)
        (settings.run_dir / SAVED).unlink(missing_ok=True)
        for folder in remove:
            shutil.rmtree(folder, ignore_errors=True)
        left = [str(folder) for folder in remove if folder.exists()]
    say("stopped; data stays" if stopped or ended else "nothing was running")
    if left:
        raise StackError(f"could not remove {', '.join(left)}: owned by another user?")


def clean(settings: Settings, *, sure: bool) -> None:
    """Stop the stack and remove its data; reports stay."""
    folders = [settings.data_dir / name for name in DATA_FOLDERS]
    if not sure:
        if not sys.stdin.isatty():
            raise StackError("make clean removes data and asks first; without a terminal use YES=1")
        what = f"all jobs, files, logs and Temporal's database below {settings.data_dir}"
        if not agreed(f"remove {what}?"):
            raise StackError("nothing removed")
    down(settings, remove=folders)
    say("data removed; reports stay")
