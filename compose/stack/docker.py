"""The stack in containers, and their images, which are built when their code has changed.

Compose always gets our files, project and settings.
"""

import json
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from compose.stack import machine
from compose.stack.environment import environment_of, for_compose
from compose.stack.files import give, private_folder, write_private
from compose.stack.output import UNREACHABLE, StackError, colour_wanted, complain, say
from compose.stack.services import FOLDERS, LOADTEST, TEMPORAL, WORKER, Service, Unit, overlays
from compose.stack.settings import DEFAULT_BASE_IMAGE, Mode, Settings
from compose.stack.subprocesses import Outcome, capture, hand_over, must
from shared.files import digest

# The user inside the containers if root runs make.
NOBODY = 10001

LOCAL_BASE_IMAGE = "genvideo-base:trixie"
PULL_PATIENCE = 300.0
_MADE_OF = (
    *(f"compose/{name}" for name in ("Dockerfile", "health.sh")),
    *(f"compose/{name}" for name in ("__init__.py", "temporal.sh", "temporal.args", "ui_proxy.py")),
    *(f"requirements/{name}.txt" for name in ("services", "mocks", "loadtest", "server")),
    *("shared", "services", "loadtest", "examples"),
)


@dataclass
class Docker:
    """One project of containers; `python` and `reports` are paths as the load test sees them."""

    settings: Settings
    base: str = ""

    mode: ClassVar = Mode.DOCKER
    python: ClassVar = "python3"
    reports: ClassVar = "reports"

    def up(self) -> None:
        """Build what has changed, then start or change what differs from the settings."""
        self.prepare()
        names = [service.name for service in self.settings.parts]
        # Containers that are no part any more, which Compose does not take for orphans.
        if others := sorted({unit.service for unit in self.units()} - {*names}):
            words = ("--profile", "*", "rm", "--stop", "--force", *others)
            self._must(self._compose(*words), doing="removing containers")
        workers = f"{WORKER.name}={self.settings.workers}"
        scale = ("--scale", workers) if WORKER.name in names else ()
        words = ("up", "--detach", "--no-build", "--remove-orphans", *scale, *names)
        self._must(self._starting(*words), doing="starting the containers")

    def serve(self) -> None:
        """Start only the server and wait for it; `up` starts the others."""
        self.prepare()
        words = ("up", "--detach", "--no-build", "--wait", TEMPORAL.name)
        try:
            self._must(self._starting(*words), doing="starting the server")
        except StackError:
            # The failed start removes its container, with its log.
            name = f"{self.settings.compose_project_name}-{TEMPORAL.name}-1"
            complain(capture(["docker", "logs", "--tail", "1", name]).last_line)
            raise

    def ask(self, service: Service, *program: str, timeout: float) -> Outcome:
        """Run a module, with its arguments, in the image that a service would be started from.

        Call `prepare` first.
        """
        words = ("run", "--rm", "--no-deps", "--no-TTY", service.name, "python3", "-m", *program)
        return capture(self._starting(*words), self._env(), timeout=timeout)

    def down(self) -> None:
        """Stop and remove the containers and their network; data and images stay."""
        command = self._compose("--profile", "*", "down", "--remove-orphans")
        self._must(command, doing="stopping the containers", log="compose-down")

    def units(self) -> list[Unit]:
        """Return this stack's containers, not those of another one under the same project name."""
        ours = {service.name for service in self.settings.every}
        found = []
        for row in (row for row in self._rows() if row["Service"] in ours and self._has_made(row)):
            state = (row["State"] == "running" and row["Health"]) or row["State"]
            ready = state == "healthy"
            found.append(Unit(row["Service"], row["Name"], state, ready, row["Status"]))
        return found

    def refuse_others(self) -> None:
        """Raise StackError if the containers of the project are another stack's."""
        if not all(map(self._has_made, self._rows())):
            name = self.settings.compose_project_name
            raise StackError(
                f"COMPOSE_PROJECT_NAME={name}: containers of that name were not started from this"
                " folder: nothing was started or changed; use another name, or stop them there, or"
                f" by docker compose -p {name} down"
            )

    def _rows(self) -> list[dict[str, str]]:
        answer = capture(self._compose("ps", "--all", "--format", "json"), self._env())
        if not answer.good:
            raise StackError(f"Docker Compose: {answer.last_line}", UNREACHABLE)
        return [json.loads(line) for line in answer.out.splitlines() if line.startswith("{")]

    def _has_made(self, row: dict[str, str]) -> bool:
        """True if a container was started with this stack's environments, by its label."""
        return str(self._environments) in row["Labels"]

    @property
    def _environments(self) -> Path:
        return (self.settings.run_dir / "environment.json").resolve()

    def logs(self, names: list[str], *, lines: int, follow: bool) -> int:
        extra = ["--follow"] if follow else []
        command = self._compose("logs", "--tail", str(lines), *extra, *names)
        if not colour_wanted():
            # Compose 2.26 erases the line on a terminal that is not there.
            plain = r""""$@" | sed -u $'s/^\e\[2K//'"""
            command = ["bash", "-o", "pipefail", "-c", plain, "bash", *command]
        return hand_over(command, self._env())

    def prepare(self) -> None:
        env = self._env()
        source = source_hash(self.settings.root, env["BASE_IMAGE"])
        if up_to_date(self.settings, source):
            return
        say("building the images …")
        command = self._compose("--profile", "*", "build")
        self._must(command, doing="building the images", log="build")
        write_private(_built(self.settings), _images(self.settings, source))
        # Their predecessors have lost their names and only take up space.
        label = "label=genvideo.image"
        capture(["docker", "image", "prune", "--force", "--filter", label])

    def loadtest(self, arguments: list[str], env: Mapping[str, str]) -> int:
        handed = [word for name in env for word in ("--env", name)]
        name = f"{self.settings.compose_project_name}-{LOADTEST.name}-{secrets.token_hex(4)}"
        # On a terminal it gets Ctrl-C as input; without one, Compose leaves it running at a signal.
        alone = not (os.isatty(0) and os.isatty(1))
        terminal = ["--no-TTY"] if alone else []
        words = ("run", "--rm", "--no-deps", "--name", name, *terminal, *handed, LOADTEST.name)
        interrupt = ("docker", "kill", "--signal", "INT", name) if alone else ()
        command = self._starting(*words, *arguments)
        if alone:
            # If the reader of its output is gone, Compose would leave the container running.
            read = '"$@" | { cat; cat >/dev/null; }'
            command = ["bash", "-o", "pipefail", "-c", read, "bash", *command]
        return hand_over(command, self._env() | dict(env), interrupt=interrupt)

    def _env(self) -> dict[str, str]:
        user, group = os.geteuid(), os.getegid()
        run_as = f"{NOBODY}:{NOBODY}" if user == 0 else f"{user}:{group}"
        base = self.base or self.settings.base_image
        ours = {"RUN_AS": run_as, "BASE_IMAGE": base}
        return dict(os.environ) | for_compose(self.settings) | ours

    def _starting(self, *words: str) -> list[str]:
        """Return a Compose command that starts services: make the folders that they mount, owned
        by the user inside, and a file with the environment that each reads."""
        made = [self.settings.data_dir / name for name in FOLDERS]
        for folder in made:
            private_folder(folder)
        self.settings.reports_dir.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            for folder in (*made, self.settings.reports_dir):
                give(folder, NOBODY)
        if self.settings.comfyui_workflow:
            workflow = Path(self.settings.comfyui_workflow).read_bytes()
            write_private(self.settings.workflow_copy, workflow.decode("utf-8", "surrogateescape"))
            # The user inside may be another one; its folder is still private.
            self.settings.workflow_copy.chmod(0o444)
        environments = {
            each.name: {
                "environment": {
                    # Compose would expand what follows a `$`.
                    name: value.replace("$", "$$")
                    for name, value in environment_of(self.settings, each, containers=True).items()
                }
            }
            for each in (*self.settings.whole, LOADTEST)
        }
        write_private(self._environments, json.dumps({"services": environments}))
        return self._compose(*words, also=(self._environments,))

    def _compose(self, *words: str, also: tuple[Path, ...] = ()) -> list[str]:
        tool = machine.compose()
        if tool is None:
            raise StackError(f"containers can't be used: {machine.missing()}", UNREACHABLE)
        root = self.settings.root
        own = ("compose.yaml", "mocks.yaml") if self.settings.mocked else ("compose.yaml",)
        brought = (root / file for file in overlays(self.settings.pipelines))
        files = [*(root / "compose" / name for name in own), *brought, *also]
        chosen = [word for file in files for word in ("--file", str(file))]
        plain = () if colour_wanted() else ("--ansi", "never")
        # Settings come only from us, because Compose reads .env with other rules of quoting.
        ours = ("--env-file", os.devnull, "--project-name", self.settings.compose_project_name)
        return [*tool[0], *plain, *ours, *chosen, *words]

    def _must(
        self, command: list[str], *, doing: str, log: str = "compose-up", **more: str
    ) -> None:
        file = self.settings.log_dir / f"{log}.log"
        must(command, self._env() | more, doing=doing, log=file)


def present(image: str) -> bool:
    return capture(["docker", "image", "inspect", "--format", "{{.Id}}", image]).good


def base_image(settings: Settings) -> str:
    """Return an image with Python to build on: the named one, or one made here."""
    wanted = settings.base_image
    if present(wanted):
        return wanted
    if wanted == DEFAULT_BASE_IMAGE and present(LOCAL_BASE_IMAGE):
        return LOCAL_BASE_IMAGE
    say(f"fetching the base image {wanted} …")
    pulled = capture(["docker", "pull", "--quiet", wanted], timeout=PULL_PATIENCE)
    if pulled.good:
        return wanted
    if wanted != DEFAULT_BASE_IMAGE:
        raise StackError(
            f"BASE_IMAGE={wanted} is not here and can't be fetched: {pulled.last_line}", UNREACHABLE
        )
    if not capture(["mmdebstrap", "--version"]).good:
        raise StackError(
            f"{DEFAULT_BASE_IMAGE} can't be fetched ({pulled.last_line}), and mmdebstrap, which"
            " could make one, is missing: apt-get install mmdebstrap, or name an image that is here"
            " with BASE_IMAGE=…, or run without containers: MODE=local",
            UNREACHABLE,
        )
    say(f"it can't be fetched; making {LOCAL_BASE_IMAGE} from Debian's packages (about 25 s) …")
    script = settings.root / "compose" / "base-image.sh"
    log = settings.log_dir / "base-image.log"
    must([str(script), LOCAL_BASE_IMAGE], doing="making the base image", log=log)
    return LOCAL_BASE_IMAGE


def source_hash(root: Path, base: str) -> str:
    return digest(root, _MADE_OF, salt=base)


def up_to_date(settings: Settings, source: str) -> bool:
    """True if the project's images are those that we built last, from exactly these sources, and
    none that is to be started was left out then."""
    file = _built(settings)
    same = file.is_file() and file.read_text(encoding="utf-8") == _images(settings, source)
    return same and _inspected(settings, settings.whole).good


def _built(settings: Settings) -> Path:
    # Not a label: an image whose own code has not changed stays the same, and its service runs on.
    return settings.run_dir / "built"


def _images(settings: Settings, source: str) -> str:
    return source + _inspected(settings, settings.every).out


def _inspected(settings: Settings, services: Iterable[Service]) -> Outcome:
    project = settings.compose_project_name
    names = [f"{project}-{service.name}" for service in (*services, LOADTEST)]
    return capture(["docker", "image", "inspect", "--format", " {{.Id}}", *names])
