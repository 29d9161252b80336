"""How a program of a make target tells what it has found: on its last line, or by a status."""

import json
import sys

# Exit status where nothing could be asked.
AWAY = 3
# For a server that may not be there.
CONNECT_SECONDS = 10.0


def tell(found: dict[str, object]) -> None:
    """Print what was found on a line of its own, for the SDK logs to the same stream."""
    sys.stdout.write(f"\n{json.dumps(found)}\n")
