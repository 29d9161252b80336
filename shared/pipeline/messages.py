"""Messages between a workflow and its activities; one model in, one model out."""

from typing import Any, Literal

from pydantic import Field

from shared.jobs.ids import external_id
from shared.jobs.messages import Asset, Attempts, Message, Record
from shared.pipeline.definition import Stage, StageName
from shared.semaphore.messages import Drained, SlotRequest, Token
from shared.temporal.pace import Pace

# The names of the activities; the workflow knows only these, so that it imports no client.
RECORD_STATE = "record_state"
ENTER_QUEUE = "enter_queue"


def submit_activity(stage: Stage) -> str:
    """Return the name of the activity that submits. It also stores the result, unless the stage has
    callbacks."""
    return f"request_{stage.name}" if stage.called_back else f"gen_{stage.name}"


class StageLimits(Message):
    """The limits of one generation of a stage, in seconds; as in `Stage`.

    `setting`: the name of the deadline's setting, for messages.
    """

    deadline: float
    give_up: float
    lost: float
    poll: float
    setting: str


class JobLimits(Message):
    """The limits when the job began, in seconds, with gates and pace."""

    stages: dict[StageName, StageLimits]
    job_seconds: float
    drain_seconds: float
    accept_seconds: float
    gates: tuple[str, ...] = ()
    pace: Pace = Pace.FAST


class Recorded(Message):
    """The result of recording a version.

    `present`: the stored record, if it did not take the version: it is another run's, or it has
    ended, or it has what this run recorded in a workflow task that the server discarded.
    """

    present: Record | None = None

    def takes(self, run_id: str) -> bool:
        """True if the record takes later versions of this run."""
        present = self.present
        return present is None or (present.run_id == run_id and not present.status.ended)


class Enter(Message):
    """A job enters the queue: its first version, and its request."""

    record: Record
    request: SlotRequest


class Entered(Message):
    """The result of recording, and the limits of the job from here on."""

    recorded: Recorded
    limits: JobLimits


class Source(Message):
    """The result of the stage before: the vendor's id of it, and its address if that is no
    secret."""

    stage: StageName
    vendor_id: str
    url: str | None


class Order(Message):
    """One generation attempt of one stage, for a run that holds the slot.

    `token`: of the permit, for the vendor. `inputs`: the vendor's inputs beside the `source`.
    `record`: the version of the job's record with this attempt, which the activity writes before it
    submits. `in_doubt`: an earlier activity may have submitted it.
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
    """The vendor has accepted it: its id, the time, and for how long it has worked on it.

    The time is in epoch seconds by the server's clock, because another machine may continue.
    """

    vendor_id: str
    accepted_at: float
    worked_seconds: float = 0.0


class Left(Message):
    """What a try leaves at a vendor: `in_doubt`, a submit that may have arrived; `vendor_id`, an
    accepted generation."""

    in_doubt: bool
    vendor_id: str | None = None


class Watch(Message):
    """Wait for an accepted generation; `hinted`: it has probably ended, so store it, too."""

    order: Order
    accepted: Accepted
    hinted: bool = False


class Stored(Message):
    """A stored and checked result.

    `source_url`: the vendor's address; None if it may hold a secret such as a signature, which must
    not get into a history. `units`: what the vendor charged, by external id.
    """

    vendor_id: str
    source_url: str | None
    asset_url: str
    asset: Asset
    units: dict[str, str] = Field(default_factory=dict)


class Kept(Drained):
    """What a job that ended early had paid for: attempts by stage, and the results that could be
    stored; `units` as in `Stored`. `tasks`: the vendors' ids by ours."""

    cleared: Literal[True] = True
    attempts: Attempts
    assets: dict[StageName, Asset]
    asset_url: str | None
    units: dict[str, str] = Field(default_factory=dict)
    tasks: dict[str, str] = Field(default_factory=dict)
