"""The real worker as a program of its own, whose event loop stops at the first submit."""

import time

from services.worker import __main__ as worker
from services.worker.vendors.service import ImageService


def hang(*_: object, **__: object) -> None:
    """Never returns, as a library would that waits for something in the wrong place."""
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    ImageService.submit = hang  # type: ignore[assignment, method-assign]
    worker.main()
