"""The command line: run a worker of semaphores, show one or change it."""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence

from pydantic import TypeAdapter
from temporalio.client import Client, WorkflowQueryFailedError, WorkflowUpdateFailedError
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError

from .client import change, free, start_semaphore, view_of
from .messages import SEMAPHORE_QUEUE, Limit, Name, SlotChange
from .worker import semaphore_worker


def main(words: Sequence[str] | None = None) -> int:
    """Return 0 for success, 1 if it was refused or Temporal does not answer, 2 for wrong usage."""
    wanted = parser().parse_args(words)
    try:
        return asyncio.run(_run(wanted))
    except KeyboardInterrupt:
        return 130
    except WorkflowUpdateFailedError as refused:
        sys.stderr.write(f"{refused.cause}\n")
    except (WorkflowQueryFailedError, RPCError, RuntimeError, ValueError) as error:
        # The SDK raises the last two if nothing listens, or if the text is no address.
        sys.stderr.write(f"{error}\n")
    return 1


def parser() -> argparse.ArgumentParser:
    """Return the parser of the commands."""
    program = (__package__ or "").rpartition(".")[2]
    root = argparse.ArgumentParser(prog=f"python -m {program}", description=__doc__)
    root.add_argument("--address", help="of Temporal; by default the SDK's TEMPORAL_ADDRESS")
    root.add_argument("--namespace")
    root.add_argument("--task-queue", default=SEMAPHORE_QUEUE, help="of the semaphores")
    commands = root.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run a worker of semaphores until it is stopped")
    serve.add_argument(
        "names", nargs="*", metavar="NAME", type=name, help="started if they don't exist"
    )
    for word, about in {
        "show": "print holders, waiters and drains as JSON",
        "limit": "set how many may hold at once",
        "pause": "grant nothing",
        "resume": "grant again",
        "free": "give up the drain of a run",
    }.items():
        command = commands.add_parser(word, help=about)
        command.add_argument("name", metavar="NAME", type=name)
        if word == "limit":
            command.add_argument("limit", metavar="N", type=limit)
        if word == "free":
            command.add_argument("run_id", metavar="RUN")
    return root


def name(word: str) -> str:
    """Return a semaphore's name; ValueError if it is out of bounds, which is a usage error."""
    return TypeAdapter[str](Name).validate_python(word)


def limit(word: str) -> int:
    """Return a limit; ValueError if it is out of bounds."""
    return TypeAdapter[int](Limit).validate_json(word)


async def _run(wanted: argparse.Namespace) -> int:
    config = ClientConfig.load_client_connect_config(disable_file=True)
    for key, value in {"target_host": wanted.address, "namespace": wanted.namespace}.items():
        if value:
            config[key] = value  # type: ignore[literal-required]
    config.setdefault("target_host", "127.0.0.1:7233")
    client = await Client.connect(**config, data_converter=pydantic_data_converter)
    match wanted.command:
        case "serve":
            logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
            async with semaphore_worker(client, task_queue=wanted.task_queue, names=wanted.names):
                sys.stdout.write(f"semaphores are kept on task queue {wanted.task_queue}\n")
                sys.stdout.flush()
                await asyncio.Event().wait()
        case "show":
            view = await view_of(client, wanted.name)
        case "free":
            view = await free(client, wanted.name, wanted.run_id)
        case "limit":
            await start_semaphore(client, wanted.name, task_queue=wanted.task_queue)
            view = await change(client, wanted.name, SlotChange(limit=wanted.limit))
        case command:
            view = await change(client, wanted.name, SlotChange(paused=command == "pause"))
    sys.stdout.write(view.model_dump_json(indent=2, exclude_none=True) + "\n")
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # Skip the interpreter's shutdown, because the SDK's threads sometimes abort it.
    os._exit(status)
