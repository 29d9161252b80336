"""DBOS over PostgreSQL: a workflow of three steps in a queue with a global concurrency of 1.

python3 -m venv dbos && dbos/bin/pip install dbos httpx
"""

import os
import sys
import threading

from dbos import DBOS, DBOSConfig

from tools.peers import vendors

# Who goes on with a workflow depends on the executor's id: the same process, come back.
CONFIG = DBOSConfig(
    name="peers",
    system_database_url=vendors.SERVER,
    executor_id=os.environ.get("PEER_WORKER", "submitter"),
    application_version="1",
    console_log_level="WARNING",
)


def run(name: str) -> None:
    picture = DBOS.run_step(None, vendors.image, name)
    video = DBOS.run_step(None, vendors.start_video, name, picture)
    DBOS.run_step(None, vendors.await_video, name, video)


job = DBOS.workflow()(run)


def main(verb: str, *names: str) -> None:
    DBOS(config=CONFIG)
    if verb == "submit":
        DBOS.listen_queues([])
    DBOS.launch()
    queue = DBOS.register_queue("slot", global_concurrency=1)
    if verb == "work":
        vendors.tell("ready")
        threading.Event().wait()
    for name in names:
        queue.enqueue(job, name)
    DBOS.destroy()


if __name__ == "__main__":
    main(*sys.argv[1:])
