"""`python -m tests.releases.record`: stores what has no stored copy yet.

What is there stays, for it is what an older release stored. Where nothing of that is to be read
any more, delete the file first.
"""

import argparse

from tests.releases import books
from tests.releases.kinds import FOLDER, MESSAGES
from tests.releases.samples import sample

COMMAND = ".venv/bin/python -m tests.releases.record"


def main() -> None:
    """Write what is missing, remove what is of no message any more."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    FOLDER.mkdir(exist_ok=True)
    for file in FOLDER.glob("*.json"):
        if file.stem not in MESSAGES:
            file.unlink()
    for name, kind in MESSAGES.items():
        file = FOLDER / f"{name}.json"
        if not file.exists():
            file.write_text(sample(kind).model_dump_json(indent=1) + "\n", encoding="utf-8")
    if not books.STORED.exists():
        books.STORED.write_text(books.dump(), encoding="utf-8")


if __name__ == "__main__":
    main()
