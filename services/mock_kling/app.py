"""Assemble the video service; nothing is read from the environment here."""

import time

from fastapi import FastAPI

from services.mock_core.app import MEBIBYTE, build_app
from services.mock_core.mock import Mock
from services.mock_core.settings import called
from services.mock_kling import native
from services.mock_kling.routes import refuse, router
from services.mock_kling.settings import KlingConfig, KlingSettings, config_of
from services.mock_kling.tasks import WORDING, units
from services.mock_kling.video import VideoMaker
from shared.http.bodies import Limit


def create_app(settings: KlingSettings) -> FastAPI:
    config = KlingConfig(speed=settings.mock_speed, seconds=settings.mock_video_seconds)
    mock = Mock("video", settings, config=config, refusal=refuse, calls_back=True)
    maker = VideoMaker(mock.files, hosts=called(settings.mock_picture_hosts))
    mock.runner.make = maker.make
    mock.sender.wording = WORDING
    mock.ledger.price = units
    app = build_app(
        mock,
        title="Mock video service",
        routers=(router, native.router),
        # A picture may be sent as base64.
        limits={"/v1/": Limit(16 * MEBIBYTE, values=1000)},
        shapes=dict.fromkeys(native.PREFIXES, native.refuse),
        on_start=(maker.open,),
        on_stop=(maker.close,),
        now=lambda: time.time() + config_of(mock).clock_skew,
    )
    app.state.callback_hosts = called(settings.mock_callback_hosts)
    return app
