"""What a workflow and its activities tell each other; one model in, one model out."""

from typing import Any, Literal

from pydantic import Field

from shared.jobs.ids import external_id
from shared.jobs.messages import Asset, Attempts, Message, Record, Transition
from shared.pipeline.definition import Stage, StageName
from shared.semaphore.messages import Drained, RunRef, SlotRequest, Token
from shared.temporal.pace import Pace

# The names of the activities; the workflow knows no more of them, so that it imports no client.
RECORD_STATE = "record_state"
ENTER_QUEUE = "enter_queue"


def gen_activity(stage: str) -> str:
    """Makes and stores the result of a stage that is not called back."""
    return f"gen_{stage}"


def request_activity(stage: str) -> str:
    """Submits a generation of a stage that is called back."""
    return f"request_{stage}"


def collect_activity(stage: str) -> str:
    """Polls for the end of what was requested."""
    return f"collect_{stage}"


def fetch_activity(stage: str) -> str:
    """Stores what is said to have ended."""
    return f"fetch_{stage}"


def submit_activity(stage: Stage) -> str:
    """The activity of a stage that submits."""
    return request_activity(stage.name) if stage.called_back else gen_activity(stage.name)


class StageLimits(Message):
    """What one generation of a stage is allowed, in seconds; as of `Stage`.

    `setting`: where the deadline comes from, for whoever reads that it was passed.
    """

    deadline: float
    give_up: float
    lost: float
    address: float
    poll: float
    setting: str


class JobLimits(Message):
    """The time limits in force when the job began, in seconds, the gates that were on, the pace."""

    stages: dict[StageName, StageLimits]
    job_seconds: float
    drain_seconds: float
    accept_seconds: float
    gates: tuple[str, ...] = ()
    pace: Pace = Pace.FAST

    @property
    def drain_bound(self) -> float:
        """The longest that a clean-up takes."""
        return self.drain_seconds + self.accept_seconds


class Recorded(Message):
    """What recording a version found in the store.

    `own`, `end`: what this very run has recorded before, in a workflow task that the server did not
    take, and that is known since; `end` where the record had ended, `attempts` what it counts.
    `another`: the record is that of another run.
    """

    attempts: Attempts = Field(default_factory=dict)
    own: tuple[Transition, ...] = ()
    end: Record | None = None
    another: RunRef | None = None

    @property
    def stands(self) -> bool:
        """Whether the record takes nothing more from this run."""
        return self.end is not None or self.another is not None


class Enter(Message):
    """A job enters the queue: its first version, and its request."""

    record: Record
    request: SlotRequest


class Entered(Message):
    """What recording found, and the limits that hold for the job from here on."""

    recorded: Recorded
    limits: JobLimits


class Source(Message):
    """What the stage before has made: the vendor's id of it, and its address there if that is no
    secret."""

    stage: StageName
    vendor_id: str
    url: str | None


class Order(Message):
    """One generation attempt of one stage, for a run that holds the slot.

    `token`: of the permit, for the vendor. `inputs`: what the vendor makes it of, beside the
    `source`. `record`: the version of the job's record that says so; the activity writes it before
    it submits. `in_doubt`: an earlier activity may have submitted it.
    """

    request: SlotRequest
    stage: StageName
    attempt: int
    token: Token
    inputs: dict[str, Any]
    limits: StageLimits
    source: Source | None = None
    pace: Pace = Pace.FAST
    record: Record | None = None
    in_doubt: bool = False

    @property
    def external_id(self) -> str:
        return external_id(self.request.job_id, self.stage, self.attempt)


class Accepted(Message):
    """The vendor has it: its id, when we knew (epoch seconds by the server's clock, because another
    machine may go on with it), how long it has worked on it."""

    vendor_id: str
    accepted_at: float
    worked_seconds: float = 0.0


class Left(Message):
    """What a try leaves behind at a vendor: `in_doubt`, a submit that may have arrived;
    `vendor_id`, a generation that was accepted."""

    in_doubt: bool
    vendor_id: str | None = None


class Watch(Message):
    """Wait for what was accepted; `hinted`: something says that it has ended, so store it, too."""

    order: Order
    accepted: Accepted
    hinted: bool = False


class Stored(Message):
    """A result that lies on our disk, checked.

    `source_url`: where the vendor has it; None where the address may hold a secret (a signature,
    say), which must not get into a history. `units`: what the vendor charged, by our id.
    """

    vendor_id: str
    source_url: str | None
    asset_url: str
    asset: Asset
    units: dict[str, str] = Field(default_factory=dict)


class Kept(Drained):
    """What a job that ended early had paid for: attempts that the vendors know, by stage, and the
    results that could still be stored; `units` as of `Stored`. `tasks`: the vendors' ids by ours.
    """

    cleared: Literal[True] = True
    attempts: Attempts
    assets: dict[StageName, Asset]
    asset_url: str | None
    units: dict[str, str] = Field(default_factory=dict)
    tasks: dict[str, str] = Field(default_factory=dict)
