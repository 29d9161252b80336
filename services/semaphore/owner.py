"""`python -m services.semaphore.owner`: whose semaphore runs in the namespace, for `make up`.

Its last line: `{"namespace": …, "stack": …}`, the name empty where there is none; in its place
`unreadable` with the reason, where it was written under a key that we don't have.
"""

import asyncio
import sys

from shared.errors import PayloadUnreadable, TemporalRefuses, TemporalUnavailable
from shared.process_exit import run_and_exit
from shared.settings.payloads import PayloadSettings
from shared.telling import AWAY, CONNECT_SECONDS, tell
from shared.temporal.client import answer, connect
from shared.temporal.stacks import semaphore_stack


def owner() -> int:
    """Tell; AWAY where the server doesn't answer, 1 where it won't have us."""
    try:
        tell(asyncio.run(_owner()))
    except TemporalRefuses as refused:
        sys.stderr.write(f"{refused}\n")
        return 1
    except TemporalUnavailable as error:
        sys.stderr.write(f"{error}\n")
        return AWAY
    return 0


async def _owner() -> dict[str, object]:
    client = await answer(connect(PayloadSettings().payload_keys), seconds=CONNECT_SECONDS)
    try:
        return {"namespace": client.namespace, "stack": await answer(semaphore_stack(client))}
    except PayloadUnreadable as error:
        return {"namespace": client.namespace, "unreadable": error.message}


if __name__ == "__main__":
    run_and_exit(lambda: sys.exit(owner()))
