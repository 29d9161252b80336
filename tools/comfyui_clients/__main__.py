"""One line for each call; the number of those that failed is the exit status."""

import importlib
import sys

from tools.comfyui_clients.calls import run

# comfy-script bends asyncio for all that come after it.
_CLIENTS = ("simplified", "utils", "xy", "catapult", "script")

if __name__ == "__main__":
    for name in _CLIENTS:
        importlib.import_module(f"{__package__}.{name}")
    raise SystemExit(run(sys.argv[1]))
