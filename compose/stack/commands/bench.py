"""`make bench`: run each part on a separate stack of processes, which is removed afterwards."""

import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator

from compose.stack import modes
from compose.stack.commands.develop import Count
from compose.stack.environment import service_mistakes
from compose.stack.given import options, raise_wrong
from compose.stack.local import Local
from compose.stack.machine import ports_of_a_stack
from compose.stack.output import StackError, say
from compose.stack.services import API, CALLBACK, UI_PORT
from compose.stack.settings import LOOPBACK, Settings, load
from compose.stack.subprocesses import to_its_end

MOCKS = {"MOCKS": "on", "MOCK_SPEED": "100"}
# An image of 0.1 s and a video of 0.2 s; in a flood the default, 1 s together.
QUICK = MOCKS | {"MOCK_IMAGE_SECONDS": "10", "MOCK_VIDEO_SECONDS": "20"}
# Some milliseconds each, so that the rest of a job is measured.
SWIFT = MOCKS | {"MOCK_IMAGE_SECONDS": "0.3", "MOCK_VIDEO_SECONDS": "0.5"}
# Each part with the number of workers that it needs, and its mocks.
PARTS: dict[str, tuple[int, Mapping[str, str]]] = {
    "handover": (1, QUICK),
    "takeover": (2, QUICK),
    "waiting": (1, QUICK),
    "intake": (1, QUICK),
    "flood": (1, MOCKS),
    "throughput": (1, SWIFT),
}
# They run once: what waits in the semaphore stays there.
ONCE = ("waiting", "flood")


def _parts(value: str) -> list[str]:
    names = [word.strip() for word in value.split(",") if word.strip()]
    if strange := [name for name in names if name not in PARTS]:
        raise ValueError(f"has no part {', '.join(strange)}: {', '.join(PARTS)}")
    return [part for part in PARTS if part in names or not names]


class Options(BaseModel):
    """The chosen parts, and how often each runs."""

    only: Annotated[list[str], BeforeValidator(_parts)] = list(PARTS)
    runs: Count = ""


def bench(root: Path, environ: Mapping[str, str]) -> int:
    """Measure the parts of ONLY, by default all, and print one table; return its exit status.

    Each has a separate stack of processes on free ports, with a temporary data folder. Waiting jobs
    are abandoned: the processes are ended, and their data is removed.
    """
    asked = options(Options, environ)
    folder = load(root, {}).reports_dir / f"bench-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    for part in asked.only:
        say(f"{part} …")
        workers, mocks = PARTS[part]
        words = ["--runs", asked.runs] if asked.runs and part not in ONCE else []
        data = Path(tempfile.mkdtemp(prefix="genvideo-bench-"))
        settings = own_settings(root, data, workers=workers, mocks=mocks)
        stack = Local(settings)
        try:
            raise_wrong(service_mistakes(settings))
            stack.up()
            modes.wait(settings, stack)
            if status := stack.loadtest([part, str(folder), *words], module="tools.bench"):
                return status
        finally:
            to_its_end(stack.down)
            shutil.rmtree(data, ignore_errors=True)
    return stack.loadtest(["table", str(folder)], module="tools.bench")


def own_settings(
    root: Path, data: Path, *, workers: int, mocks: Mapping[str, str] = QUICK
) -> Settings:
    """Return settings that override `.env`: no server elsewhere, and no bucket."""
    ports = ports_of_a_stack(workers)
    receiver = f"http://{LOOPBACK}:{ports[CALLBACK.port]}"
    if mocks.get("MODE") == "docker":
        # Loopback is a container's own.
        receiver = f"http://{CALLBACK.name}:{CALLBACK.inner}"
    own = {name: str(port) for name, port in ports.items()} | {
        "MODE": "local",
        "WORKERS": str(workers),
        API.bind: LOOPBACK,
        CALLBACK.bind: LOOPBACK,
        "DATA_DIR": str(data),
        "STORE_URL": "file:",
        "API_PUBLIC_URL": f"http://{LOOPBACK}:{ports[API.port]}",
        "CALLBACK_URL": receiver,
        "TEMPORAL_UI_URL": f"http://{LOOPBACK}:{ports[UI_PORT]}",
        **mocks,
    }
    settings = load(root, own)
    if not settings.own_temporal or settings.roles:
        raise StackError(
            "make bench and make prove start a server and all parts for each stack; remove"
            " TEMPORAL_ADDRESS and ROLES from .env"
        )
    return settings
