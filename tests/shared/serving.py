"""An app behind a real socket on a free port, as the services run it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from shared.http.web import server


@asynccontextmanager
async def serving(app: FastAPI, **options: Any) -> AsyncIterator[str]:
    """Serve until the end of the block; gives the base address. Options are the server's."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    program = server(app, "127.0.0.1", port=0, shutdown_seconds=2, **options)
    task = asyncio.create_task(program.serve(sockets=[listener]))
    try:
        while not program.started:
            if task.done():
                task.result()
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        program.should_exit = True
        await task
        listener.close()
