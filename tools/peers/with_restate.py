"""Restate: a virtual object whose exclusive handler is the slot; both workers behind one address.

python3 -m venv restate && restate/bin/pip install restate_sdk hypercorn httpx
mkdir restate-server && cd restate-server && npm init -y && npm install @restatedev/restate-server
"""

import asyncio
import os
import socket
import sys
import time

import httpx
import restate
from hypercorn.asyncio import serve
from hypercorn.config import Config

from tools.peers import vendors

PORT = int(os.environ["PEER_PORT"])
slot = restate.VirtualObject("slot")


async def job(ctx: restate.ObjectContext, name: str) -> None:
    picture = await ctx.run_typed("image", vendors.image, job=name)
    video = await ctx.run_typed("order", vendors.start_video, job=name, picture=picture)
    await ctx.run_typed("video", vendors.await_video, job=name, accepted=video)


slot.handler()(job)


def work() -> None:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", PORT))
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    vendors.tell("ready")
    asyncio.run(serve(restate.app([slot]), config))


def main(verb: str, *names: str) -> None:
    if verb == "work":
        work()
    ingress, admin = vendors.SERVER.split()
    with httpx.Client(trust_env=False, timeout=30) as http:
        place = {"uri": f"http://127.0.0.1:{PORT}"}
        while not http.post(f"{admin}/deployments", json=place).is_success:
            time.sleep(0.2)
        for name in names:
            http.post(f"{ingress}/slot/one/job/send", json=name).raise_for_status()


if __name__ == "__main__":
    main(*sys.argv[1:])
