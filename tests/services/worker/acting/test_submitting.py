"""From an order to an accepted generation: looked for, submitted once, and never let go."""

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from services.worker.acting import submitting
from services.worker.acting.acquiring import Granted
from services.worker.acting.heartbeat import beating
from services.worker.acting.submitting import begin
from services.worker.models import Accepted, Order
from services.worker.vendors.vendor import Traits, Vendor, VendorStatus
from shared.errors import NeverTold, NotYet, OutcomeUnknown, RefusedForNow, VendorError
from shared.slot.messages import Permit
from tests.services.worker.acting.test_acquiring import ORDER, PERMIT

ACCEPT_SECONDS = 20.0


class FakeVendor:
    """Knows the generation after it was looked for so often; takes submits as it is told."""

    def __init__(self, *, known_at: int = 10**9, answer: str | VendorError = "v-new") -> None:
        self.known_at = known_at
        self.traits = Traits()
        self.answer = answer
        self.did: list[str] = []
        self.reached = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def status(self, external_id: str) -> VendorStatus | None:
        assert external_id == ORDER.external_id
        self.did.append("look")
        if self.did.count("look") < self.known_at:
            return None
        return VendorStatus(vendor_id="v-old", state="running")

    async def send(self, permit: Permit) -> str:
        assert permit == PERMIT
        self.did.append("send")
        self.reached.set()
        await self.may_answer.wait()
        if isinstance(self.answer, VendorError):
            raise self.answer
        return self.answer


class Clock:
    """Stands for `time`, and for `asyncio` with the pauses of the look-up."""

    ensure_future = staticmethod(asyncio.ensure_future)
    CancelledError = asyncio.CancelledError

    def __init__(self) -> None:
        self.passed = 0.0
        self.asked_at: list[float] = []

    def monotonic(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        self.passed += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()

    async def granted(*_: Any, **__: Any) -> Granted:
        clock.asked_at.append(clock.passed)
        return Granted(PERMIT, first=activity.info().attempt == 1)

    monkeypatch.setattr(submitting, "acquire_all", granted)
    monkeypatch.setattr(submitting, "time", clock)
    monkeypatch.setattr(submitting, "asyncio", clock)
    return clock


class Try:
    """One try of an activity that submits; `beats` is what the next one finds."""

    def __init__(self, vendor: FakeVendor, *, order: Order = ORDER, **info: Any) -> None:
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
        nobody = cast(Client, None)
        async with beating(nobody, self._order.external_id, submits=True) as pulse:
            return await begin(
                self._order,
                pulse,
                client=nobody,
                vendor=cast(Vendor, self._vendor),
                accept_seconds=ACCEPT_SECONDS,
                send=self._vendor.send,
            )


async def test_the_first_try_submits_without_a_look() -> None:
    accepted = await Try(vendor := FakeVendor()).run()
    assert (accepted.vendor_id, accepted.permit) == ("v-new", PERMIT)
    assert vendor.did == ["send"]


async def test_a_later_try_adopts_what_an_earlier_one_has_submitted(clock: Clock) -> None:
    accepted = await Try(vendor := FakeVendor(known_at=3), attempt=2).run()
    assert accepted.vendor_id == "v-old"
    assert vendor.did == ["look"] * 3
    assert clock.passed < ACCEPT_SECONDS


async def test_after_a_killed_try_it_looks_on_for_as_long_as_a_submit_may_be_on_its_way(
    clock: Clock,
) -> None:
    accepted = await Try(vendor := FakeVendor(), attempt=2).run()
    assert accepted.vendor_id == "v-new"
    assert vendor.did[-2:] == ["look", "send"]
    assert clock.passed == pytest.approx(ACCEPT_SECONDS, abs=1)


async def test_a_try_that_looked_for_long_asks_once_more_before_it_submits(clock: Clock) -> None:
    await Try(FakeVendor(), attempt=2).run()
    assert clock.asked_at == [0, pytest.approx(ACCEPT_SECONDS, abs=1)]


async def test_where_no_earlier_try_was_given_the_permit_there_is_nothing_to_look_for(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They waited for their turn and died; the vendor should not stand idle for it."""

    async def first(*_: Any, **__: Any) -> Granted:
        return Granted(PERMIT, first=True)

    monkeypatch.setattr(submitting, "acquire_all", first)
    await Try(vendor := FakeVendor(), attempt=3).run()
    assert vendor.did == ["send"]
    assert clock.passed == 0


@pytest.mark.parametrize("details", [[None, 0, False, True]])
async def test_where_the_last_try_knew_that_there_is_none_one_look_is_enough(
    clock: Clock, details: list[Any]
) -> None:
    await Try(vendor := FakeVendor(), attempt=2, heartbeat_details=details).run()
    assert vendor.did == ["look", "send"]
    assert clock.passed == 0


async def test_the_first_try_of_a_run_that_was_reset_looks_on_as_well(clock: Clock) -> None:
    order = ORDER.model_copy(update={"repeated": True})
    await Try(vendor := FakeVendor(), order=order).run()
    assert vendor.did[0] == "look"
    assert clock.passed == pytest.approx(ACCEPT_SECONDS, abs=1)


@pytest.mark.parametrize(
    ("answer", "settled"), [(OutcomeUnknown("reset"), False), (RefusedForNow("full"), True)]
)
@pytest.mark.parametrize("repeated", [False, True])
async def test_only_an_unknown_outcome_leaves_doubt_to_the_next_try(
    clock: Clock, answer: VendorError, settled: bool, repeated: bool
) -> None:
    order = ORDER.model_copy(update={"repeated": repeated})
    first = Try(FakeVendor(answer=answer), order=order)
    with pytest.raises(type(answer)):
        await first.run()
    assert (bool(first.beats) and first.beats[-1][3]) is settled
    details = first.beats[-1] if first.beats else (None, 0, False, False)
    before = clock.passed
    await Try(FakeVendor(), order=order, attempt=2, heartbeat_details=details).run()
    assert clock.passed - before == pytest.approx(0 if settled else ACCEPT_SECONDS, abs=1)


def unasked() -> FakeVendor:
    """One that can't be asked by our id."""
    vendor = FakeVendor()
    vendor.traits = Traits(looked_up=False)
    return vendor


DOUBTS: list[dict[str, Any]] = [
    {"attempt": 2},
    {"attempt": 2, "heartbeat_details": [None, 0, False, False]},
    {"order": ORDER.model_copy(update={"repeated": True})},
]


@pytest.mark.parametrize("info", DOUBTS, ids=["killed", "unknown", "reset"])
async def test_what_cannot_be_looked_for_is_never_sent_again_by_itself(
    clock: Clock, info: dict[str, Any]
) -> None:
    this = Try(vendor := unasked(), **info)
    with pytest.raises(NeverTold, match="can't be asked by our id"):
        await this.run()
    assert (vendor.did, clock.passed) == ([], 0)
    assert not NeverTold.retryable
    # The doubt outlives the failure.
    assert not (this.beats and this.beats[-1][3])


async def test_what_was_certainly_not_taken_is_sent_there_as_well() -> None:
    await Try(first := unasked()).run()
    settled = [None, 0, False, True]
    await Try(later := unasked(), attempt=2, heartbeat_details=settled).run()
    assert (first.did, later.did) == (["send"], ["send"])


async def test_whose_turn_it_is_not_leaves_no_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: Any, **__: Any) -> Permit:
        raise NotYet("no")

    monkeypatch.setattr(submitting, "acquire_all", refused)
    first = Try(vendor := FakeVendor())
    with pytest.raises(NotYet):
        await first.run()
    assert vendor.did == []
    assert first.beats[-1][3] is True


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
    with pytest.raises((OutcomeUnknown, RefusedForNow, asyncio.CancelledError)) as end:
        await running
    this.end, this.told = end.type, getattr(end.value, "details", ())
    return this


async def test_a_submit_is_awaited_though_the_job_is_cancelled() -> None:
    """And what the vendor has is told: as a cancellation it would count as nothing."""
    this = await cancelled_behind(FakeVendor())
    assert this.end is OutcomeUnknown
    accepted = this.beats[-1][0]
    assert accepted is not None
    assert accepted.vendor_id == "v-new"
    assert this.told == ({"in_doubt": False, "vendor_id": "v-new"},)


@pytest.mark.parametrize(
    ("answer", "in_doubt"), [(OutcomeUnknown("reset"), True), (RefusedForNow("full"), False)]
)
async def test_a_submit_that_failed_behind_a_cancellation_says_how(
    answer: VendorError, in_doubt: bool
) -> None:
    this = await cancelled_behind(FakeVendor(answer=answer))
    assert this.end is type(answer)
    assert this.told == ({"in_doubt": in_doubt, "vendor_id": None},)


async def test_a_cancellation_before_the_submit_is_heeded_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = asyncio.Event()

    async def never(*_: Any, **__: Any) -> Permit:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(submitting, "acquire_all", never)
    this = Try(vendor := FakeVendor())
    running = asyncio.create_task(this.run())
    await asked.wait()
    this.environment.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert vendor.did == []
