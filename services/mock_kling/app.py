"""Assemble the video service; nothing is read from the environment here."""

import time
from pathlib import Path

from fastapi import FastAPI
from starlette.responses import Response

from services.mock_core.app import MEBIBYTE, build_app
from services.mock_core.faults.kinds import Where
from services.mock_core.ledger import Generation, State
from services.mock_core.mock import Mock
from services.mock_core.problems import problem_reply
from services.mock_kling.native import routes as native
from services.mock_kling.native import wire
from services.mock_kling.native.wire import TokenCheck
from services.mock_kling.orders import Reach, resolve
from services.mock_kling.routes import router
from services.mock_kling.settings import KlingSettings, initial_config
from services.mock_kling.tasks import WORDING, Account, word
from services.mock_kling.video import VideoMaker
from shared.http.bodies import Limit

_EXAMPLES = Path(__file__).with_name("examples.json")


def refuse(
    status: int | None, code: int | str | None, message: str | None, headers: dict[str, str]
) -> Response:
    """Send a refusal of the plain wire; the vendor's table fills in missing members."""
    status, code, usual = resolve(status, code)
    return problem_reply(status, code, detail=message or usual, headers=headers)


def create_app(settings: KlingSettings) -> FastAPI:
    mock = Mock(
        "video",
        settings,
        config=initial_config(settings),
        points=frozenset(Where),
        refusal=refuse,
    )
    reach = Reach(settings)
    maker = VideoMaker(mock.files, mock.clock, check=reach.check_picture)
    mock.runner.make = maker.make

    def announce(generation: Generation) -> None:
        if generation.state is not State.QUEUED and not generation.vanished:
            mock.sender.announce(generation, word(generation))

    mock.sender.wording = WORDING
    mock.runner.listen(announce)
    account = Account(mock.ledger)
    mock.runner.listen(account.note)
    mock.on_reset.append(account.clear)
    app = build_app(
        mock,
        title="Mock video service",
        routers=(router, native.router),
        examples=_EXAMPLES,
        # A picture may be sent as base64.
        limits={"/v1/": Limit(16 * MEBIBYTE, values=1000)},
        shapes=dict.fromkeys(native.PREFIXES, wire.refuse),
        on_start=(maker.open,),
        on_stop=(maker.close,),
        now=lambda: time.time() + wire.settings_of(mock).clock_skew,
    )
    app.state.tokens = TokenCheck(mock.clock)
    app.state.account = account
    app.state.reach = reach
    app.add_exception_handler(wire.Instead, wire.answered_instead)
    return app
