"""`python -m services.worker.doctor`: check both vendors, or with `--only image` one of them.

The calls cost nothing, and submit nothing. It prints a line for each finding, then a last line with
all of them and the vendors' offers: `{"findings": [{"check", "verdict", "says"}, …], "offers":
{"image": …, "video": …}}`. The exit status is 1 if a finding is wrong or away.
"""

import argparse
import asyncio
import sys
from collections.abc import Collection
from dataclasses import asdict

from pydantic import SecretStr

from services.worker.doctor.checks import Examination, Subject, examined
from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.chosen import chosen_images, chosen_videos
from shared.jobs.genvideo import GENVIDEO
from shared.pipeline.findings import Verdict
from shared.result_line import print_result
from shared.settings.common import CallbackSecret, load
from shared.telemetry import logs

WRONG = 1


class DoctorSettings(WorkerSettings):
    """The worker's settings without a secret, because nothing is signed here."""

    callback_secret: CallbackSecret = SecretStr("0" * 32)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--receiver", action="store_true", help="the callback receiver runs, so check it, too"
    )
    parser.add_argument("--only", choices=GENVIDEO.names, help="the stage whose vendor is checked")
    asked = parser.parse_args()
    # The only output on stdout.
    logs.configure(service="doctor", level="WARNING", form="json")
    stages = (asked.only,) if asked.only else GENVIDEO.names
    found = asyncio.run(_examined(load(DoctorSettings), stages, receiver=asked.receiver))
    for each in found.findings:
        sys.stdout.write(f"{each.verdict:<7}  {each.check}: {each.says}\n")
    print_result(asdict(found))
    bad = {Verdict.WRONG, Verdict.AWAY}
    return WRONG if any(each.verdict in bad for each in found.findings) else 0


async def _examined(
    settings: DoctorSettings, stages: Collection[str], *, receiver: bool
) -> Examination:
    async with chosen_images(settings) as images, chosen_videos(settings) as videos:
        return await examined(
            Subject(
                settings=settings, images=images, videos=videos, stages=stages, receiver=receiver
            )
        )


if __name__ == "__main__":
    sys.exit(main())
