"""Every service as a process of its own, on free ports, with a Temporal server that is given."""

import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.shared.processes import free_port, running

SECRET = "a-secret-of-32-characters-or-more"
PORTS = {
    "services.mock_comfyui": "COMFYUI_PORT",
    "services.mock_kling": "KLING_PORT",
    "services.semaphore": "SEMAPHORE_HTTP_PORT",
    "services.worker": "WORKER_HTTP_PORT",
    "services.callback": "CALLBACK_PORT",
    "services.api": "API_PORT",
}


@dataclass(frozen=True)
class Services:
    """Where those answer that are asked from outside."""

    api: str
    images: str
    videos: str


@asynccontextmanager
async def services(address: str, settings: Mapping[str, str]) -> AsyncIterator[Services]:
    """All of them, alive, for as long as the block runs; what they keep is gone with it."""
    async with AsyncExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory()))
        ports = {name: free_port() for name in PORTS.values()}
        at = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        environment = {
            "PATH": os.environ["PATH"],
            "TEMPORAL_ADDRESS": address,
            "DATA_DIR": str(folder),
            "CALLBACK_SECRET": SECRET,
            "IMAGE_SERVICE_URL": f"http://{at['COMFYUI_PORT']}",
            "VIDEO_SERVICE_URL": f"http://{at['KLING_PORT']}",
            "CALLBACK_URL": f"http://{at['CALLBACK_PORT']}",
            "MOCK_CALLBACK_HOSTS": at["CALLBACK_PORT"],
            "MOCK_PICTURE_HOSTS": at["COMFYUI_PORT"],
            "LOG_LEVEL": "WARNING",
            "STALL_SECONDS": "60",
            **{name: str(port) for name, port in ports.items()},
            **settings,
        }
        for module, name in PORTS.items():
            log = folder / f"{module}.log"
            each = running(module, name, environment=environment, log=log, port=ports[name])
            await exits.enter_async_context(each)
        urls = (f"http://{at[name]}" for name in ("API_PORT", "COMFYUI_PORT", "KLING_PORT"))
        yield Services(*urls)
