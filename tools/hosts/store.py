"""A moto on loopback; while there is a file HOLD, a result that is stored waits.

`python -m tools.hosts.store HOLD` prints its address. What waits is noted in the file.
"""

import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.fixtures.object_store import moto_server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LOOK_SECONDS = 0.05


def holding(app: "WSGIApplication", hold: Path) -> "WSGIApplication":
    """The same, which keeps results waiting."""

    def held(environ: "WSGIEnvironment", start: "StartResponse") -> Any:
        stores = environ["REQUEST_METHOD"] in ("PUT", "POST")
        if stores and "/assets/" in environ["PATH_INFO"] and hold.exists():
            hold.write_text(environ["PATH_INFO"], encoding="utf-8")
            while hold.exists():
                time.sleep(LOOK_SECONDS)
        return app(environ, start)

    return held


def main() -> None:
    """Serve until killed."""
    hold = Path(sys.argv[1])
    with moto_server(around=lambda app: holding(app, hold)) as address:
        sys.stdout.write(f"{address}\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
