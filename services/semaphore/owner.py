"""`python -m services.semaphore.owner`: print the owner of the namespace's semaphore, for `make
up`.

The last line is `{"namespace": …, "stack": …}`, with an empty name if there is none. If the name
was encrypted with an unknown key, it has `unreadable` with the reason.
"""

import asyncio
import sys

from shared.errors import PayloadUnreadable, TemporalRefuses, TemporalUnavailable
from shared.process_exit import run_and_exit
from shared.result_line import AWAY, CONNECT_SECONDS, print_result
from shared.settings.payloads import PayloadSettings
from shared.temporal.client import answer, connect
from shared.temporal.stacks import semaphore_stack


def owner() -> int:
    """Report the owner; AWAY if the server does not answer, 1 if it refuses us."""
    try:
        print_result(asyncio.run(_owner()))
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
