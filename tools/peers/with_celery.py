"""Celery over Redis: one task a job, late acknowledgement, a Redis lock as the slot.

python3 -m venv celery && celery/bin/pip install 'celery[redis]' httpx
"""

import sys

from celery import Celery
from celery.signals import worker_ready
from redis import Redis

from tools.peers import vendors

# Both must outlast the longest job. By default a task that isn't acknowledged stays away an hour.
AWAY_SECONDS = 10

app = Celery("peers", broker=vendors.SERVER)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_redirect_stdouts=False,
    broker_transport_options={"visibility_timeout": AWAY_SECONDS},
)


def run(name: str) -> None:
    with Redis.from_url(vendors.SERVER).lock("slot", timeout=AWAY_SECONDS):
        vendors.run(name)


job = app.task(name="job")(run)


def main(verb: str, *names: str) -> None:
    if verb == "work":
        worker_ready.connect(lambda **_: vendors.tell("ready"), weak=False)
        app.worker_main(["worker", "--concurrency=1", "--without-gossip", "--without-mingle"])
    for name in names:
        job.delay(name)


if __name__ == "__main__":
    main(*sys.argv[1:])
