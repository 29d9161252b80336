"""What the workflow and its activities tell each other; one model in, one model out."""

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from shared.jobs.genvideo import GenVideoInput
from shared.jobs.ids import external_id
from shared.jobs.messages import Asset, Attempts, Message, Record, Transition
from shared.pipeline.definition import StageName
from shared.semaphore.messages import Drained, RunRef, SlotRequest, Token
from shared.temporal.pace import Pace

# The names of the activities; the workflow knows no more of them, so that it imports no client.
GEN_IMAGE = "gen_image"
REQUEST_VIDEO = "request_video"
COLLECT_VIDEO = "collect_video"
FETCH_VIDEO = "fetch_video"
RECORD_STATE = "record_state"
ENTER_QUEUE = "enter_queue"


class StageLimits(Message):
    """What one generation of a stage is allowed, in seconds; as of `Stage`."""

    deadline: float
    give_up: float


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


class Order(Message):
    """One generation attempt of one stage, for a run that holds the slot.

    `token`: of the permit, for the vendor. `record`: the version of the job's record that says so;
    the activity writes it before it submits. `in_doubt`: an earlier activity may have submitted it.
    """

    request: SlotRequest
    step: StageName
    attempt: int
    token: Token
    job: GenVideoInput
    deadline_seconds: float
    give_up_seconds: float
    pace: Pace = Pace.FAST
    record: Record | None = None
    in_doubt: bool = False

    @property
    def external_id(self) -> str:
        return external_id(self.request.job_id, self.step, self.attempt)


class VideoOrder(Order):
    """A video from an image: the vendor's id of it, and its address where that is no secret."""

    image_id: str
    image_url: str | None


@dataclass(frozen=True)
class Patience:
    """Seconds that one generation is allowed.

    `deadline`: of the vendor's working on it, by the `setting` of that name; then it is asked for
    less often, and stopped where that can be and it makes no progress. `give_up`: in all. `lost`:
    unknown to the vendor. `address`: a success that doesn't say where its result is.
    """

    deadline: float
    setting: str
    give_up: float
    lost: float
    address: float


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


class VideoWatch(Message):
    """Wait for an accepted video; `hinted`: something says that it has ended, so store it, too."""

    order: VideoOrder
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
