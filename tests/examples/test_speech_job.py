"""Jobs of the example in one process: its worker, its vendor, the receiver, the semaphore."""

from pathlib import Path

from pydantic import SecretStr
from temporalio.client import Client

from examples.speech.definition import SPEECH, SpeechInput
from examples.speech.mock import SpeechMockSettings, create_app
from examples.speech.worker import SpeechSettings, running_worker
from services.api.temporal import Temporal
from services.callback.app import create_app as create_callback
from services.callback.settings import CallbackSettings
from services.mock_core.clock import DelaySpec
from services.semaphore.worker import running_semaphore
from shared.jobs.genvideo import GENVIDEO
from shared.jobs.ids import new_job_id
from shared.jobs.states import Status
from tests.fixtures.records import RecordStore
from tests.services.mock_core.serving import running, served

SECRET = SecretStr("a-secret-of-32-characters-or-more")
TEXT = "Ladies and gentlemen"


async def test_every_stage_is_stored_and_paid_once(client: Client, tmp_path: Path) -> None:
    mock = SpeechMockSettings(mock_speed=1000, mock_speech_seconds=DelaySpec(20))
    receiver = CallbackSettings(
        callback_secret=SECRET, data_dir=tmp_path, pipelines="examples.speech.definition:SPEECH"
    )
    job_id, temporal = new_job_id(), Temporal(client, (GENVIDEO, SPEECH))
    async with (
        running(create_app(mock)) as vendor,
        served(create_callback(receiver, client)) as base,
        running_semaphore(client, pipelines=(SPEECH,), shutdown_seconds=0.1),
    ):
        settings = SpeechSettings(
            speech_service_url=str(vendor.http.base_url).rstrip("/"),
            callback_url=base,
            callback_secret=SECRET,
            data_dir=tmp_path,
            shutdown_seconds=0.1,
        )
        async with running_worker(settings, client):
            await temporal.start(job_id, SpeechInput(text=TEXT), SPEECH)
            await client.get_workflow_handle(job_id).result()
        rows = await vendor.json("/admin/ledger")
    record = RecordStore(tmp_path).read(job_id)
    assert record is not None
    assert (record.status, record.pipeline) == (Status.SUCCEEDED, "speech")
    assert list(record.assets) == list(SPEECH.names)
    assert {asset.media_type for asset in record.assets.values()} == {"audio/wav"}
    assert [row["external_id"] for row in rows] == [f"{job_id}.{name}.1" for name in SPEECH.names]
    assert all(row["charged"] and row["calls_back"] for row in rows)
    assert [asset.sha256 for asset in record.assets.values()] == [row["sha256"] for row in rows]
