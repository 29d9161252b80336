"""One trace tells a job's whole life, with its ids and no word of what it is about."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from opentelemetry.proto.trace.v1.trace_pb2 import Span
from pydantic import SecretStr
from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer

from services.api.app import create_app
from services.api.settings import ApiSettings
from services.worker.workflows import GenVideoWorkflow
from shared.http.client import http_client
from shared.semaphore.runner import WorkflowRunner
from shared.settings.traces import TraceSettings
from shared.telemetry import tracing
from shared.temporal.codec import PayloadKeys, data_converter
from tests.fixtures.mocks import Collector, collecting, said
from tests.services.mock_core.serving import served
from tests.workflow.pipeline import SECRET, Pipeline, working

PROMPT = "a-prompt-that-nobody-else-may-read"


@asynccontextmanager
async def _traced(collector: Collector) -> AsyncIterator[None]:
    """Traces, all of which have been sent at the end of the block."""
    settings = TraceSettings(
        otel_exporter_otlp_endpoint=collector.url,
        otel_exporter_otlp_headers=SecretStr("x-key=a%20key"),
    )
    tracing.configure(settings.traces_go_to, headers=settings.trace_headers, service="all")
    try:
        yield
    finally:
        await asyncio.to_thread(tracing.stop)


async def _submitted(line: Pipeline) -> str:
    settings = ApiSettings(data_dir=line.settings.data_dir)
    async with served(create_app(settings, line.client)) as base, http_client(base) as http:
        body = {"prompt": PROMPT, "style": "ink", "tag": "batch-7"}
        return str((await http.post("/jobs", json=body)).json()["job_id"])


async def _replay(history: WorkflowHistory) -> None:
    replayer = Replayer(
        workflows=[GenVideoWorkflow],
        workflow_runner=WorkflowRunner(),
        data_converter=data_converter(PayloadKeys(())),
        interceptors=tracing.interceptors(),
    )
    await replayer.replay_workflow(history)


async def test_trace_from_the_request_to_the_callback(client: Client, tmp_path: Path) -> None:
    async with collecting() as collector:
        async with _traced(collector):
            traced = Client(
                client.service_client,
                namespace=client.namespace,
                data_converter=client.data_converter,
                interceptors=tracing.interceptors(),
            )
            async with working(traced, tmp_path) as line:
                job_id = await _submitted(line)
                await line.ended(job_id)
        spans = collector.spans()
        history = await client.get_workflow_handle(job_id).fetch_history()
        async with _traced(collector):
            await _replay(history)
        assert len(collector.spans()) == len(spans)
    await _replay(history)

    by_id = {span.span_id: span for span in spans}
    assert {span.trace_id.hex() for span in spans} == {job_id.replace("job-", "00000000")}
    first, *_ = [span for span in spans if span.parent_span_id not in by_id]
    assert first.name == "submit"
    assert said(first) == {"genvideo.job_id": job_id}

    def line_of(span: Span) -> tuple[str, ...]:
        above = by_id.get(span.parent_span_id)
        return (*(line_of(above) if above else ()), span.name)

    lines = {line_of(span) for span in spans}
    started = ("submit", "StartWorkflow:GenVideoWorkflow")
    assert (*started, "RunWorkflow:GenVideoWorkflow") in lines
    for name in ("gen_image", "request_video"):
        assert (*started, f"StartActivity:{name}", f"RunActivity:{name}") in lines
    assert ("callback", "SignalWorkflow:kling_done") in lines
    assert (*started, "HandleSignal:kling_done") in lines

    # By one interceptor: none below another one's.
    tries = [each for each in spans if each.name.startswith("RunActivity:")]
    above = {by_id[each.parent_span_id].name.partition(":")[0] for each in tries}
    assert above == {"StartActivity"}

    assert _leaks(collector) == set()
    assert {each["x-key"] for each in collector.headers} == {"a key"}


def _leaks(collector: Collector) -> set[str]:
    sent = b"".join(collector.bodies)
    secrets = {PROMPT, SECRET.get_secret_value(), "token=", "http://", "/callback"}
    return {secret for secret in secrets if secret.encode() in sent}
