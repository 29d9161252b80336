"""What the workflow and its activities tell each other; one model in, one model out."""

from shared.ids import external_id
from shared.messages import Asset, JobInput, Message, Record, Transition
from shared.slots import Gate, Permit
from shared.states import Step

# The names of the activities; the workflow knows no more of them, so that it imports no client.
GEN_IMAGE = "gen_image"
REQUEST_VIDEO = "request_video"
COLLECT_VIDEO = "collect_video"
RECORD_STATE = "record_state"
JOB_LIMITS = "job_limits"
REQUEST_SLOT = "request_slot"
WITHDRAW_REQUEST = "withdraw_request"
AWAIT_TURN = "await_turn"


class JobLimits(Message):
    """The time limits in force when the job began, in seconds, and the gates that were on."""

    image_seconds: float
    video_seconds: float
    job_seconds: float
    drain_seconds: float
    gates: tuple[Gate, ...] = ()


class Recorded(Message):
    """What recording a version found on disk.

    `ahead`: what another run has recorded beyond us; `end`: the end that this very run has
    recorded before, in a workflow task that the server did not take.
    """

    ahead: tuple[Transition, ...] = ()
    end: Record | None = None


class Order(Message):
    """One generation attempt of one stage, under a permit, and one of the stage's gate if on."""

    permit: Permit
    gate: Permit | None = None
    step: Step
    attempt: int
    job: JobInput
    deadline_seconds: float

    @property
    def external_id(self) -> str:
        return external_id(self.permit.job_id, self.step, self.attempt)


class VideoOrder(Order):
    """A video from an image: the vendor's id of it, and its address where that is no secret."""

    image_id: str
    image_url: str | None
    # Whether a run before this one (the job was reset) may have submitted it.
    repeated: bool = False


class Accepted(Message):
    """The vendor has it: its id, and when we knew (epoch seconds)."""

    vendor_id: str
    accepted_at: float


class VideoWatch(Message):
    """Wait for an accepted video and store it; `hinted`: a callback said that it has ended."""

    order: VideoOrder
    accepted: Accepted
    hinted: bool = False


class Stored(Message):
    """A result that lies on our disk, checked.

    `source_url`: where the vendor has it; None where the address may hold a secret (a signature,
    say), which must not get into a history.
    """

    vendor_id: str
    source_url: str | None
    asset_url: str
    asset: Asset


class Kept(Message):
    """What a job that ended early had paid for and could still be stored, by stage."""

    assets: dict[Step, Asset]
    asset_url: str | None
