"""Report the result of a make target's program: on its last line, or by an exit status."""

import json
import sys

# Exit status if nothing could be asked.
AWAY = 3
# For a server that may not be there.
CONNECT_SECONDS = 10.0


def print_result(found: dict[str, object]) -> None:
    """Print the result on a separate line, because the SDK logs to the same stream."""
    sys.stdout.write(f"\n{json.dumps(found)}\n")
