"""`python -m examples.speech.worker`: polls the task queue `speech` until it is asked to stop."""

import asyncio
import wave
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import IO, ClassVar

from temporalio.client import Client
from temporalio.worker import Worker

from examples.speech.definition import READ, SPEECH
from shared.errors import BadResult
from shared.pipeline.definition import Definition
from shared.pipeline.settings import PipelineWorkerSettings, Url
from shared.pipeline.storage import Checker
from shared.settings.common import Port, load_to_start


class SpeechSettings(PipelineWorkerSettings):
    """Those of every pipeline's worker, and where the vendor is."""

    pipeline: ClassVar[Definition] = SPEECH

    speech_service_url: Url = "http://127.0.0.1:16883"
    speech_http_port: Port = 9098

    def vendor_addresses(self) -> dict[str, str]:
        return {READ.vendor: self.speech_service_url}


class WavChecker(Checker):
    """Has Python itself read the file, which decodes nothing."""

    async def check(self, path: Path, step: str, kinds: Sequence[str], out: IO[bytes]) -> None:
        """BadResult unless it is a WAV with all of its frames."""
        await asyncio.to_thread(_check, path)


def _check(path: Path) -> None:
    try:
        with wave.open(str(path)) as sound:
            wanted = sound.getnframes() * sound.getsampwidth() * sound.getnchannels()
            found = len(sound.readframes(sound.getnframes()))
    except (wave.Error, EOFError) as error:
        raise BadResult(f"The speech is no WAV: {error}") from None
    if not 0 < wanted == found:
        raise BadResult("The speech is cut short.")


@asynccontextmanager
async def running_worker(settings: SpeechSettings, client: Client) -> AsyncIterator[Worker]:
    """A worker that polls for as long as the block runs."""
    from examples.speech.vendor import Speaker
    from examples.speech.workflow import SpeechWorkflow
    from shared.http.client import http_client
    from shared.pipeline.worker import pipeline_worker

    url = settings.speech_service_url
    async with http_client(url, proxy=settings.proxy_for(url)) as http:
        vendors = {READ.vendor: Speaker(http)}
        async with pipeline_worker(
            SpeechWorkflow, settings, client, vendors=vendors, checker=WavChecker()
        ) as worker:
            yield worker


if __name__ == "__main__":
    config = load_to_start(SpeechSettings)
    # Imported here, so that a mistake in the settings is reported at once.
    from shared.health import run_worker

    run_worker("speech", partial(running_worker, config), config, port=config.speech_http_port)
