"""The slot's places as a pure state machine: who holds, who comes next, who waits."""

from datetime import datetime

from services.keeper.models import KeeperState
from services.keeper.queue import WaitingQueue, turn
from shared.slots import (
    CAPACITY,
    JOB_GATE,
    Armed,
    Gate,
    Holder,
    HolderView,
    Permit,
    Release,
    RunRef,
    SlotRequest,
    SlotView,
)

VIEW_LENGTH = 1000


class Places:
    """What is held is a map of runs, never a counter; at most one is armed behind each holder."""

    def __init__(
        self, state: KeeperState, gate: Gate = JOB_GATE, *, capacity: int = CAPACITY
    ) -> None:
        self.gate = gate
        self.capacity = capacity
        self.settings = state.settings
        self.next_token = state.next_token
        self.held = {holder.request.run_id: holder for holder in state.holders}
        self.armed = {item.holder.request.run_id: item for item in state.armed}
        self.queue = WaitingQueue(state.waiting)

    def state(self) -> KeeperState:
        """All of it, for the keeper's next run."""
        return KeeperState(
            settings=self.settings,
            next_token=self.next_token,
            holders=tuple(self.held.values()),
            armed=tuple(self.armed.values()),
            waiting=tuple(self.queue),
        )

    def request(self, request: SlotRequest) -> bool:
        """A run asks; it counts once, whatever it is already. False: there is no room for it."""
        run_id = request.run_id
        if run_id in self.held or run_id in self.armed or run_id in self.queue:
            return True
        if self._waiting_count() >= self.capacity:
            return False
        self.queue.add(request)
        return True

    def _waiting_count(self) -> int:
        return len(self._ready()) + len(self.queue)

    def has_next(self) -> bool:
        """Whether `next_permit` has something to hand out."""
        if self.settings.paused:
            return False
        if self._is_free():
            return len(self.queue) > 0 or len(self._ready()) > 0
        return len(self.queue) > 0 and self._without_successor() is not None

    def next_permit(self, now: datetime) -> Permit:
        """The next permit to tell its run, noted before anybody is told."""
        if self._is_free():
            holder = self._upgraded(now) or self._new(now)
            self.held[holder.request.run_id] = holder
            return permit_of(holder, None, gate=self.gate)
        before = self._without_successor()
        if before is None:
            raise LookupError("there is no permit to hand out")
        holder = self._new(now)
        self.armed[holder.request.run_id] = Armed(holder=holder, behind=before.run)
        return permit_of(holder, before.run, gate=self.gate)

    def _is_free(self) -> bool:
        return len(self.held) < self.settings.limit

    def _ready(self) -> list[Armed]:
        """Armed ones that may take any place that falls free; they come before the queue."""
        return [item for item in self.armed.values() if not item.holder.draining]

    def _without_successor(self) -> Holder | None:
        """A holder behind whom one may be armed; none while more is held than the limit."""
        if not self.gate.arms or len(self.held) > self.settings.limit:
            return None
        taken = {item.behind.run_id for item in self.armed.values()}
        for run_id, holder in self.held.items():
            if run_id not in taken and not holder.draining:
                return holder
        return None

    def _upgraded(self, now: datetime) -> Holder | None:
        """The first of the armed, in a new round that lets it begin at once."""
        ready = self._ready()
        if not ready:
            return None
        first = min(ready, key=lambda item: item.holder.token).holder
        del self.armed[first.request.run_id]
        return first.model_copy(update={"round": first.round + 1, "since": now})

    def _new(self, now: datetime) -> Holder:
        request = self.queue.pop()
        self.next_token += 1
        return Holder(request=request, token=self.next_token - 1, since=now)

    def drain(self, run_id: str) -> None:
        """A run was closed from outside; it keeps its place until its leftovers are cleared."""
        if run_id in self.held:
            self.held[run_id] = self.held[run_id].model_copy(update={"draining": True})
        else:
            item = self.armed[run_id]
            holder = item.holder.model_copy(update={"draining": True})
            self.armed[run_id] = item.model_copy(update={"holder": holder})

    def release(self, run_id: str, orderly: bool, *, now: datetime) -> list[str]:
        """Nothing of this run acts any more; returns the runs that wait again.

        Its successor has begun by itself after an orderly close; after another one it has stood
        down, can't begin by the permit that it has, and waits for a new one.
        """
        if self.armed.pop(run_id, None) is not None:
            return []
        del self.held[run_id]
        waiting = []
        for item in [i for i in self.armed.values() if i.behind.run_id == run_id]:
            successor = item.holder.request.run_id
            if orderly:
                del self.armed[successor]
                self.held[successor] = item.holder.model_copy(update={"since": now})
            elif not item.holder.draining:
                del self.armed[successor]
                self.queue.add(item.holder.request)
                waiting.append(successor)
        return waiting

    def give_back(self, release: Release) -> bool:
        """A run has passed; False where it holds no permit of this token, or no more."""
        holder = self.held.get(release.run_id)
        if holder is None or holder.draining or holder.token != release.token:
            return False
        del self.held[release.run_id]
        return True

    def request_of(self, run_id: str) -> SlotRequest:
        """What a run with a permit had asked for."""
        holder = self.held.get(run_id) or self.armed[run_id].holder
        return holder.request

    def permits(self) -> list[Permit]:
        """Every permit that is out."""
        return [
            *(permit_of(holder, None, gate=self.gate) for holder in self.held.values()),
            *(permit_of(a.holder, a.behind, gate=self.gate) for a in self.armed.values()),
        ]

    def to_disarm(self) -> list[Permit]:
        """Who is to stand down and was not asked yet: noted as asked."""
        asked = [item for item in self._ready() if self._must_stand_down(item)]
        for item in asked:
            run_id = item.holder.request.run_id
            self.armed[run_id] = item.model_copy(update={"disarming": True})
        return [permit_of(item.holder, item.behind, gate=self.gate) for item in asked]

    def wants_disarming(self) -> bool:
        """Whether `to_disarm` would ask anybody."""
        return any(map(self._must_stand_down, self._ready()))

    def is_disarming(self) -> bool:
        """Whether somebody who was asked to stand down has not answered yet."""
        return any(item.disarming for item in self._ready())

    def _must_stand_down(self, item: Armed) -> bool:
        if item.disarming:
            return False
        too_many = len(self.held) > self.settings.limit
        return self.settings.paused or too_many or self._is_overtaken(item)

    def _is_overtaken(self, item: Armed) -> bool:
        """Whether somebody of an earlier turn has come since."""
        first = self.queue.peek()
        return first is not None and turn(first) < turn(item.holder.request)

    def disarmed(self, permit: Permit) -> bool:
        """A run says that it won't begin by this permit; it waits again. False for an old one.

        It may be counted as a holder by now: the run before it closed in the meantime.
        """
        item = self.armed.get(permit.run_id)
        holder = item.holder if item else self.held.get(permit.run_id)
        if holder is None or (holder.token, holder.round) != permit.order:
            return False
        self.armed.pop(permit.run_id, None)
        self.held.pop(permit.run_id, None)
        self.queue.add(holder.request)
        return True

    def view(self) -> SlotView:
        """What `GET /slots` shows; whoever is armed still waits, and is first."""
        armed = sorted(self._ready(), key=lambda item: item.holder.token)
        waiting = tuple(item.holder.request.job_id for item in armed)
        return SlotView(
            limit=self.settings.limit,
            paused=self.settings.paused,
            holders=tuple(map(_holder_view, self.held.values())),
            waiting=(waiting + self.queue.first(VIEW_LENGTH))[:VIEW_LENGTH],
            waiting_count=self._waiting_count(),
            capacity=self.capacity,
        )


def permit_of(holder: Holder, behind: RunRef | None, *, gate: Gate) -> Permit:
    """The permit that tells a run where it stands."""
    return Permit(
        gate=gate,
        job_id=holder.request.job_id,
        run_id=holder.request.run_id,
        token=holder.token,
        round=holder.round,
        after=behind,
    )


def _holder_view(holder: Holder) -> HolderView:
    return HolderView(
        job_id=holder.request.job_id,
        token=holder.token,
        since=holder.since,
        draining=holder.draining,
    )
