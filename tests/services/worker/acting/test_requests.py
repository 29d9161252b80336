"""Requests that come together reach the semaphore as few signals; each counts, once."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, Interceptor, OutboundInterceptor, StartWorkflowInput
from temporalio.service import RPCError, RPCStatusCode

from services.worker.acting import records as module
from services.worker.acting.records import Requests
from shared.errors import TemporalUnavailable
from shared.semaphore.messages import JOB_GATE, SlotRequest, semaphore_id


class Door(Interceptor):
    """Between the activities and the server: lets calls wait, and fails as many as told."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.called = asyncio.Event()
        self.fails = 0
        self.status = RPCStatusCode.UNAVAILABLE

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _Held(next, self)


class _Held(OutboundInterceptor):
    def __init__(self, next: OutboundInterceptor, door: Door) -> None:
        super().__init__(next)
        self._door = door

    async def start_workflow(self, input: StartWorkflowInput) -> Any:
        self._door.called.set()
        await self._door.open.wait()
        if self._door.fails > 0:
            self._door.fails -= 1
            raise RPCError("away", self._door.status, b"")
        return await super().start_workflow(input)


@pytest.fixture
async def door() -> Door:
    return Door()


@pytest.fixture
def requests(client: Client, door: Door) -> Requests:
    config = client.config()
    config["interceptors"] = [door]
    return Requests(Client(**config))


def request(name: str) -> SlotRequest:
    return SlotRequest(job_id=name, run_id=str(uuid4()), requested_at=datetime.now(UTC))


def asked(requests: Requests, count: int) -> list[asyncio.Task[None]]:
    """That many requests, in the line as soon as the loop has come round once."""
    return [asyncio.create_task(requests.send(request(f"job-{n}"))) for n in range(count)]


async def signals(client: Client) -> list[list[SlotRequest]]:
    """What the semaphore was sent, signal by signal."""
    history = await client.get_workflow_handle(semaphore_id(JOB_GATE)).fetch_history()
    sent = []
    for event in history.events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            payloads = event.workflow_execution_signaled_event_attributes.input.payloads
            [requests] = await client.data_converter.decode(payloads, [list[SlotRequest]])
            sent.append(requests)
    return sent


async def test_an_idle_line_sends_at_once(requests: Requests, client: Client) -> None:
    await requests.send(request("job-a"))
    await requests.send(request("job-b"))
    assert [[each.job_id for each in sent] for sent in await signals(client)] == [
        ["job-a"],
        ["job-b"],
    ]


async def test_what_comes_while_a_signal_is_under_way_goes_together(
    requests: Requests, client: Client, door: Door
) -> None:
    door.open.clear()
    first = asked(requests, 1)
    await door.called.wait()
    rest = asked(requests, 60)
    await asyncio.sleep(0)
    assert not any(task.done() for task in (*first, *rest))
    door.open.set()
    await asyncio.gather(*first, *rest)
    assert [len(sent) for sent in await signals(client)] == [1, 60]


async def test_a_signal_has_a_bound(
    requests: Requests, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BATCH", 25)
    await asyncio.gather(*asked(requests, 60))
    sent = await signals(client)
    assert [len(each) for each in sent] == [25, 25, 10]
    assert len({each.run_id for requests in sent for each in requests}) == 60


async def test_a_signal_that_fails_fails_each_request_in_it_and_no_other(
    requests: Requests, client: Client, door: Door
) -> None:
    door.open.clear()
    door.fails = 1
    first = asked(requests, 3)
    await door.called.wait()
    second = asked(requests, 2)
    await asyncio.sleep(0)
    door.open.set()
    results = await asyncio.gather(*first, *second, return_exceptions=True)
    assert [type(result) for result in results] == [TemporalUnavailable] * 3 + [type(None)] * 2
    assert [len(sent) for sent in await signals(client)] == [2]


async def test_one_that_has_run_out_of_time_is_left_out(
    requests: Requests, client: Client, door: Door
) -> None:
    door.open.clear()
    first = asked(requests, 1)
    await door.called.wait()
    late, good = asked(requests, 2)
    await asyncio.sleep(0)
    late.cancel()
    door.open.set()
    await asyncio.gather(*first, good)
    assert [[each.job_id for each in sent] for sent in await signals(client)] == [
        ["job-0"],
        ["job-1"],
    ]


async def test_a_job_waits_for_a_right_that_somebody_has_to_give_us(
    requests: Requests, door: Door
) -> None:
    door.status, door.fails = RPCStatusCode.PERMISSION_DENIED, 1
    [refused] = await asyncio.gather(*asked(requests, 1), return_exceptions=True)
    assert isinstance(refused, TemporalUnavailable)
    assert refused.retryable
    assert "does not let us in (away)" in refused.message
