"""`python -m services.worker.promote [worker=BUILD] [semaphore=BUILD] [--move]`.

Makes these builds the current ones, an empty one for processes that name none; without any it only
looks. As its last line: `{"missing": [service, …], "moved": n, "builds": [{…}, …]}`, where nothing
is done while something is missing.
"""

import argparse
import asyncio
import sys
from collections.abc import Mapping
from dataclasses import asdict

from pydantic_settings import SettingsConfigDict

from services.worker.builds import builds, move, promote
from shared.errors import TemporalUnavailable
from shared.process_exit import run_and_exit
from shared.settings.common import StackName, load
from shared.settings.payloads import PayloadSettings
from shared.telling import AWAY, CONNECT_SECONDS, tell
from shared.temporal.builds import WORKER
from shared.temporal.client import answer, connect

# A process that has just been started is known to the server some seconds later.
PATIENCE_SECONDS = 60.0


class Settings(PayloadSettings):
    """Whose builds they are."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    stack: StackName = ""


def main() -> int:
    """Tell what was found; AWAY where the server doesn't answer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("wanted", nargs="*", metavar="SERVICE=BUILD")
    parser.add_argument("--move", action="store_true", help="open jobs of other builds, too")
    given = parser.parse_args()
    wanted = {name: build for name, _, build in (each.partition("=") for each in given.wanted)}
    try:
        tell(asyncio.run(_promoted(load(Settings), wanted, moves=given.move)))
    except TemporalUnavailable as error:
        sys.stderr.write(f"{error}\n")
        return AWAY
    return 0


async def _promoted(
    settings: Settings, wanted: Mapping[str, str], *, moves: bool
) -> dict[str, object]:
    client = await answer(connect(settings.payload_keys), seconds=CONNECT_SECONDS)
    stack = settings.stack
    missing = await promote(client, stack, wanted, patience=PATIENCE_SECONDS)
    moved = await move(client, stack, wanted[WORKER]) if moves and not missing else 0
    found = [asdict(each) for each in await builds(client, stack)]
    return {"missing": missing, "moved": moved, "builds": found}


if __name__ == "__main__":
    run_and_exit(lambda: sys.exit(main()))
