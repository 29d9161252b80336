"""The command line: run a worker of semaphores, show one or change it."""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError
from temporalio.client import Client, WorkflowQueryFailedError, WorkflowUpdateFailedError
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError

from .client import change, free, start_semaphore, view_of
from .messages import SEMAPHORE_QUEUE, Limit, Name, RunId, SlotChange, SlotView
from .server import is_gone
from .worker import semaphore_worker


def main(words: Sequence[str] | None = None) -> int:
    """Return 0 for success, 1 if refused, 2 for wrong usage, 3 if Temporal does not answer."""
    wanted = parser().parse_args(words)
    try:
        return asyncio.run(_run(wanted))
    except KeyboardInterrupt:
        return 130
    except WorkflowUpdateFailedError as refused:
        sys.stderr.write(f"{refused.cause}\n")
        return 1
    except WorkflowQueryFailedError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except RPCError as error:
        gone = is_gone(error)
        sys.stderr.write(f"there is no semaphore {wanted.name}\n" if gone else f"{error}\n")
        return 1 if gone else 3
    except (RuntimeError, ValueError) as error:
        # The SDK raises these if nothing listens, or if the text is no address.
        sys.stderr.write(f"{error}\n")
        return 3


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
        "names", nargs="*", metavar="NAME", type=_valid(Name), help="started if they don't exist"
    )
    for name, about in {
        "show": "print holders, waiters and drains",
        "limit": "set how many may hold at once",
        "pause": "grant nothing",
        "resume": "grant again",
        "free": "give up the drain of a run",
    }.items():
        command = commands.add_parser(name, help=about)
        command.add_argument("name", metavar="NAME", type=_valid(Name))
        if name == "limit":
            command.add_argument("limit", metavar="N", type=_valid(Limit, as_json=True))
        if name == "free":
            command.add_argument("run_id", metavar="RUN", type=_valid(RunId))
    return root


def _valid(kind: Any, *, as_json: bool = False) -> Callable[[str], Any]:
    """Return an argument type that raises a usage error for a value out of bounds."""
    fits = TypeAdapter(kind)

    def read(word: str) -> Any:
        try:
            return fits.validate_json(word) if as_json else fits.validate_python(word)
        except ValidationError as error:
            raise argparse.ArgumentTypeError(error.errors()[0]["msg"]) from None

    return read


async def _run(wanted: argparse.Namespace) -> int:
    config = ClientConfig.load_client_connect_config(disable_file=True)
    for key, value in {"target_host": wanted.address, "namespace": wanted.namespace}.items():
        if value:
            config[key] = value  # type: ignore[literal-required]
    config.setdefault("target_host", "127.0.0.1:7233")
    client = await Client.connect(**config, data_converter=pydantic_data_converter)
    if wanted.command == "serve":
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
        async with semaphore_worker(client, task_queue=wanted.task_queue, names=wanted.names):
            sys.stdout.write(f"semaphores are kept on task queue {wanted.task_queue}\n")
            sys.stdout.flush()
            await asyncio.Event().wait()
    _show(await _asked(client, wanted))
    return 0


async def _asked(client: Client, wanted: argparse.Namespace) -> SlotView:
    match wanted.command:
        case "show":
            return await view_of(client, wanted.name)
        case "free":
            return await free(client, wanted.name, wanted.run_id)
        case "limit":
            await start_semaphore(client, wanted.name, task_queue=wanted.task_queue)
            return await change(client, wanted.name, SlotChange(limit=wanted.limit))
        case command:
            return await change(client, wanted.name, SlotChange(paused=command == "pause"))


def _show(view: SlotView) -> None:
    if view.rebuilding:
        sys.stdout.write("it rebuilds from Temporal; ask again\n")
        return
    paused = ", paused" if view.paused else ""
    lines = [f"limit {view.limit}{paused}; {len(view.holders)} hold, {view.waiting_count} wait"]
    for each in view.holders:
        line = f"holds     {each.job_id} {each.run_id} since {each.since:%FT%TZ}"
        if each.draining:
            why = each.drain_failure or "waiting for what it left"
            line += f"; draining since {each.drains_since:%FT%TZ} ({why})"
            if each.drains_until is not None:
                line += f", until {each.drains_until:%FT%TZ}"
        lines.append(line)
    lines += [f"waits {place:3} {each}" for place, each in enumerate(view.waiting, start=1)]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # Skip the interpreter's shutdown, because the SDK's threads sometimes abort it.
    os._exit(status)
