"""From an order to an accepted generation: looked for, submitted once, and never let go."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast

import pytest
from temporalio import activity
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from shared.errors import (
    Fenced,
    NeverTold,
    OutcomeUnknown,
    RecordStands,
    RefusedForNow,
    Stopped,
    VendorError,
)
from shared.pipeline import submitting
from shared.pipeline.heartbeat import beating
from shared.pipeline.messages import Accepted, Order, StageLimits
from shared.pipeline.submitting import begin, in_time
from shared.pipeline.vendor import Traits, Vendor, VendorStatus
from shared.semaphore.messages import SlotRequest
from tests.shared.pipeline.clock import Clock

ACCEPT_SECONDS = 20.0
ORDER = Order(
    request=SlotRequest(job_id="job", run_id="run", requested_at=datetime(2026, 1, 1, tzinfo=UTC)),
    stage="video",
    attempt=2,
    token=7,
    inputs={"prompt": "p"},
    limits=StageLimits(deadline=1, give_up=1, lost=1, poll=1, setting="VIDEO_ATTEMPT_SECONDS"),
)


class Server:
    """Stands for the client and for the described run: gives the prepared answers, once each,
    and then that the try which asks is the current one."""

    def __init__(self, *said: Any) -> None:
        self.said = list(said)
        self.asked = 0

    def get_workflow_handle(self, workflow_id: str, *, run_id: str) -> "Server":
        info = activity.info()
        assert (workflow_id, run_id) == (info.workflow_id, info.workflow_run_id)
        return self

    async def describe(self) -> Any:
        self.asked += 1
        said = self.said.pop(0) if self.said else Described()
        if callable(said):
            said = said()
        if isinstance(said, Exception):
            raise said
        return said


class Described:
    """An open run with one activity; what differs is given."""

    def __init__(
        self,
        status: WorkflowExecutionStatus = WorkflowExecutionStatus.RUNNING,
        *,
        began: datetime | None = None,
        activity_id: str = "",
    ) -> None:
        info = activity.info()
        self.status = status
        self.raw_description = self
        pending = PendingActivityInfo(activity_id=activity_id or info.activity_id)
        pending.last_started_time.FromDatetime(began or info.started_time)
        self.pending_activities = [pending]


class FakeVendor:
    """Knows the generation after a number of look-ups; answers submits as prepared."""

    def __init__(self, *, known_at: int = 10**9, answer: str | VendorError = "v-new") -> None:
        self.known_at = known_at
        self.traits = Traits()
        self.answer = answer
        self.did: list[str] = []
        self.record_stands = self.is_recorded = False
        self.reached = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def status(self, external_id: str) -> VendorStatus | None:
        assert external_id == ORDER.external_id
        self.did.append("look")
        if self.did.count("look") < self.known_at:
            return None
        return VendorStatus(vendor_id="v-old", state="running")

    async def write(self) -> None:
        """The job's record, which has to be there before the submit."""
        await asyncio.sleep(0)
        if self.record_stands:
            raise RecordStands("it has ended")
        self.is_recorded = True

    async def send(self) -> str:
        assert self.is_recorded
        self.did.append("send")
        self.reached.set()
        await self.may_answer.wait()
        if isinstance(self.answer, VendorError):
            raise self.answer
        return self.answer


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(submitting, "time", clock)
    monkeypatch.setattr(submitting, "asyncio", clock)
    return clock


class Try:
    """One try of an activity that submits; `beats` is what the next one finds."""

    def __init__(
        self, vendor: FakeVendor, server: Server | None = None, *, order: Order = ORDER, **info: Any
    ) -> None:
        self.server = server or Server()
        self.beats: list[tuple[Any, ...]] = []
        self.environment = ActivityEnvironment()
        self.environment.info = replace(self.environment.info, **info)
        self.environment.on_heartbeat = lambda *details: self.beats.append(details)
        self.end: type[BaseException] | None = None
        self.told: tuple[object, ...] = ()
        self._vendor, self._order = vendor, order

    async def run(self) -> Accepted:
        return await self.environment.run(self._work)

    async def _work(self) -> Accepted:
        client = cast(Client, self.server)
        async with beating(client, self._order.external_id, submits=True) as pulse:
            return await begin(
                self._order,
                pulse,
                client=client,
                vendor=cast(Vendor, self._vendor),
                accept_seconds=ACCEPT_SECONDS,
                send=self._vendor.send,
                write=self._vendor.write,
            )


async def test_first_try_looks_once_and_submits(clock: Clock) -> None:
    accepted = await Try(vendor := FakeVendor()).run()
    assert accepted.vendor_id == "v-new"
    assert vendor.did == ["look", "send"]
    assert clock.passed == 0


async def test_first_try_adopts_a_known_generation() -> None:
    """The server's memory may be older than the vendor's."""
    accepted = await Try(vendor := FakeVendor(known_at=1)).run()
    assert (accepted.vendor_id, vendor.did) == ("v-old", ["look"])


async def test_later_try_adopts_the_submit_of_an_earlier_one(clock: Clock) -> None:
    accepted = await Try(vendor := FakeVendor(known_at=3), attempt=2).run()
    assert accepted.vendor_id == "v-old"
    assert vendor.did == ["look"] * 3
    assert clock.passed < ACCEPT_SECONDS


RESET_BY_HAND = {"current_attempt_scheduled_time": datetime.fromtimestamp(60, UTC)}


@pytest.mark.parametrize(
    "doubt",
    [{"attempt": 2}, RESET_BY_HAND, {"order": ORDER.model_copy(update={"in_doubt": True})}],
    ids=["killed", "reset by hand", "by an activity before"],
)
async def test_in_doubt_the_look_up_lasts_until_a_submit_must_have_arrived(
    clock: Clock, doubt: dict[str, Any]
) -> None:
    """The number of a try that was reset is the first one's; what it had told may be forgotten."""
    accepted = await Try(vendor := FakeVendor(), **doubt).run()
    assert accepted.vendor_id == "v-new"
    assert vendor.did[-2:] == ["look", "send"]
    assert clock.passed == pytest.approx(ACCEPT_SECONDS, abs=1)


@pytest.mark.parametrize(
    ("answer", "settled"), [(OutcomeUnknown("reset"), False), (RefusedForNow("full"), True)]
)
async def test_only_an_unknown_outcome_leaves_doubt(
    clock: Clock, answer: VendorError, settled: bool
) -> None:
    first = Try(FakeVendor(answer=answer))
    with pytest.raises(type(answer)):
        await first.run()
    assert (bool(first.beats) and first.beats[-1][3]) is settled
    details = first.beats[-1] if first.beats else (None, 0, False, False, None)
    await Try(vendor := FakeVendor(), attempt=2, heartbeat_details=details).run()
    assert vendor.did[-2:] == ["look", "send"]
    assert clock.passed == pytest.approx(0 if settled else ACCEPT_SECONDS, abs=1)


@pytest.mark.parametrize("attempt", [1, 2])
async def test_refused_record_prevents_the_submit(attempt: int) -> None:
    """It has ended, or is another run's; what an earlier try may have left stays in doubt."""
    vendor = FakeVendor()
    vendor.record_stands = True
    this = Try(vendor, attempt=attempt)
    with pytest.raises(RecordStands) as stands:
        await this.run()
    assert "send" not in vendor.did
    assert stands.value.details == ({"in_doubt": attempt > 1, "vendor_id": None},)
    assert not RecordStands.retryable


def unasked() -> FakeVendor:
    """One that can't be asked by our id."""
    vendor = FakeVendor()
    vendor.traits = Traits(looked_up=False)
    return vendor


DOUBTS: list[dict[str, Any]] = [
    {"attempt": 2},
    {"attempt": 2, "heartbeat_details": [None, 0, False, False, None]},
    RESET_BY_HAND,
]


@pytest.mark.parametrize("info", DOUBTS, ids=["killed", "unknown", "reset by hand"])
async def test_without_a_look_up_nothing_is_sent_again(clock: Clock, info: dict[str, Any]) -> None:
    this = Try(vendor := unasked(), **info)
    with pytest.raises(NeverTold, match="can't be asked by our id"):
        await this.run()
    assert (vendor.did, clock.passed) == ([], 0)
    assert not NeverTold.retryable
    # The doubt outlives the failure.
    assert not (this.beats and this.beats[-1][3])


CLOSED = partial(Described, WorkflowExecutionStatus.TERMINATED)
REPLACED: dict[str, Any] = {
    "closed": CLOSED,
    "another try": lambda: Described(
        began=activity.info().started_time + timedelta(microseconds=1)
    ),
    "another activity": partial(Described, activity_id="2"),
    "unknown": RPCError("no such run", RPCStatusCode.NOT_FOUND, b""),
}


@pytest.mark.parametrize("said", REPLACED.values(), ids=list(REPLACED))
async def test_replaced_try_submits_nothing(said: object) -> None:
    this = Try(vendor := FakeVendor(), Server(said))
    with pytest.raises(Fenced) as fenced:
        await this.run()
    assert vendor.did == ["look"]
    assert fenced.value.details == ({"in_doubt": False, "vendor_id": None},)
    assert this.beats[-1][3] is True


@pytest.mark.parametrize(("took", "asked"), [((0.5,), 1), ((1.5,), 2), ((1.5, 1.5, 1.5), 4)])
async def test_stale_answer_is_asked_for_again(
    clock: Clock, took: tuple[float, ...], asked: int
) -> None:
    """Between it and us a machine may have slept, and another try may have begun."""

    def after(seconds: float) -> Described:
        clock.passed += seconds
        return Described()

    this = Try(vendor := FakeVendor(), Server(*(partial(after, each) for each in took)))
    await this.run()
    assert (vendor.did, this.server.asked) == (["look", "send"], asked)


@pytest.mark.parametrize(
    ("took", "answers", "did"),
    [
        (0.05, [Described], ["look", "send"]),
        (0.2, [Described, Described], ["look", "send"]),
        (0.2, [Described, CLOSED], ["look"]),
    ],
)
async def test_slow_preparation_repeats_the_fence(
    clock: Clock, took: float, answers: list[Callable[[], Described]], did: list[str]
) -> None:
    """A picture is looked at and prepared behind the fence, right before the submit."""
    vendor, server = FakeVendor(), Server(*answers)
    send = vendor.send

    async def prepare() -> None:
        clock.passed += took

    async def prepare_and_send() -> str:
        await in_time(cast(Client, server), prepare())
        return await send()

    vendor.send = prepare_and_send  # type: ignore[method-assign]
    with suppress(Fenced):
        await Try(vendor, server).run()
    assert (vendor.did, server.asked) == (did, len(answers))


async def cancelled_behind(vendor: FakeVendor) -> Try:
    """A try that is cancelled, again and again, while its submit is under way."""
    vendor.may_answer.clear()
    this = Try(vendor)
    running = asyncio.create_task(this.run())
    await vendor.reached.wait()
    for _ in range(3):
        this.environment.cancel()
        await asyncio.sleep(0)
    assert not running.done()
    vendor.may_answer.set()
    with pytest.raises((OutcomeUnknown, RefusedForNow, Stopped)) as end:
        await running
    this.end, this.told = end.type, getattr(end.value, "details", ())
    return this


async def test_submit_is_awaited_despite_a_cancel() -> None:
    """The vendor's generation is reported, because a cancellation would hide it."""
    this = await cancelled_behind(FakeVendor())
    assert this.end is Stopped
    accepted = this.beats[-1][0]
    assert accepted is not None
    assert accepted.vendor_id == "v-new"
    assert this.told == ({"in_doubt": False, "vendor_id": "v-new"},)
