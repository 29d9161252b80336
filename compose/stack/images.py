"""Images are built when the code that goes into them has changed, and only then."""

from pathlib import Path

from compose.stack.files import digest
from compose.stack.output import UNREACHABLE, StackError, say
from compose.stack.services import NAMES
from compose.stack.settings import DEFAULT_BASE_IMAGE, Settings
from compose.stack.subprocesses import capture, must

LOCAL_BASE_IMAGE = "genvideo-base:trixie"
PULL_PATIENCE = 300.0
_MADE_OF = (
    *(f"compose/{name}" for name in ("Dockerfile", "health.sh")),
    *(f"compose/{name}" for name in ("__init__.py", "temporal.sh", "temporal.args", "ui_proxy.py")),
    *(f"requirements/{name}.txt" for name in ("services", "mocks", "loadtest", "server")),
    *("shared", "services", "loadtest"),
)


def present(image: str) -> bool:
    """Whether the engine has an image."""
    return capture(["docker", "image", "inspect", "--format", "{{.Id}}", image]).good


def base_image(settings: Settings) -> str:
    """An image with Python to build on: the one that was named, or one made here in its place."""
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
    return _make_base(settings, pulled.last_line)


def _make_base(settings: Settings, reason: str) -> str:
    if not capture(["mmdebstrap", "--version"]).good:
        raise StackError(
            f"{DEFAULT_BASE_IMAGE} can't be fetched ({reason}), and mmdebstrap, which could make"
            " one, is missing: apt-get install mmdebstrap, or name an image that is here with"
            " BASE_IMAGE=…, or run without containers: MODE=local",
            UNREACHABLE,
        )
    say(f"it can't be fetched; making {LOCAL_BASE_IMAGE} from Debian's packages (about 25 s) …")
    script = settings.root / "compose" / "base-image.sh"
    log = settings.log_dir / "base-image.log"
    must([str(script), LOCAL_BASE_IMAGE], doing="making the base image", log=log)
    return LOCAL_BASE_IMAGE


def source_hash(root: Path, base: str) -> str:
    """A digest of all that an image is made of."""
    return digest(root, _MADE_OF, salt=base)


def up_to_date(project: str, source: str) -> bool:
    """Whether every image of the project was built from exactly these sources."""
    names = [f"{project}-{name}" for name in (*NAMES, "loadtest")]
    label = '{{index .Config.Labels "genvideo.source"}}'
    answer = capture(["docker", "image", "inspect", "--format", label, *names])
    return answer.good and set(answer.out.split()) == {source}
