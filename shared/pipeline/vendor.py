"""What the engine requires of a vendor."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, Field, field_validator

from shared.errors import OutcomeUnknown
from shared.jobs.ids import parse_external_id
from shared.jobs.messages import Position
from shared.pipeline.findings import Finding

State = Literal["queued", "running", "succeeded", "failed"]
# Ten times as long as any vendor's; it is in the job's history and in each heartbeat.
MAX_ID = 500
# The replacement of a broken character. An id or an address that has it is not the vendor's.
LOST = "\N{REPLACEMENT CHARACTER}"


class VendorStatus(BaseModel):
    """The state of a generation, in words that all vendors share.

    `position`: how many are before it in the vendor's queue, 0 for the next one; None if unknown.
    `units`: what the vendor charged, in its own units. `final`: it failed, and every other one
    would. `url`: an address with a broken character counts as none.
    """

    vendor_id: Annotated[str, Field(min_length=1, max_length=MAX_ID, pattern=f"^[^{LOST}]*$")]
    state: State
    percent: int = 0
    url: str | None = None
    message: str = ""
    position: Position | None = None
    units: str | None = None
    final: bool = False

    @field_validator("url")
    @classmethod
    def _intact(cls, url: str | None) -> str | None:
        return None if url is None or LOST in url else url


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What a vendor can do.

    `looked_up`: it finds a generation by our id, so that a submit of unknown outcome can be
    resolved. `pushes`: it takes a callback address. `result_hosts`: `host` or `host:port` of its
    results beside its own address, `*.domain` for every name below a domain. `kinds`: the kinds of
    its results, if they differ from the stage's; another kind is refused for good, because each
    attempt would bring it again.
    """

    looked_up: bool = True
    pushes: bool = False
    result_hosts: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()


class Vendor(Protocol):
    """A vendor knows a generation by our id, which never changes. A call is one request or a few,
    and repeats nothing. Each method raises a VendorError if it fails."""

    traits: Traits = Traits()

    def submit(self, external_id: str, token: int, /, *args: Any, **inputs: Any) -> Awaitable[str]:
        """Return the vendor's id of a new generation, or of the existing one if it refuses a
        duplicate.

        It gets the stage's inputs by name, `source` if there was a stage before, and `callback_url`
        if the stage has callbacks.
        """

    async def status(self, task_id: str) -> VendorStatus | None:
        """Return a generation by the vendor's id or by ours; None if the vendor doesn't know it."""

    async def address(self, status: VendorStatus) -> str | None:
        """Return the address of a success's result; None while the vendor doesn't give it."""
        return status.url

    async def cancel(self, vendor_id: str) -> None:
        """Ask the vendor to stop; without a documented cancel it goes on to its end."""

    def credentials(self) -> Mapping[str, str]:
        """Return the headers that its results need, for its own address only."""
        return {}

    async def examined(self) -> list[Finding]:
        """Return a finding for each check that it has; no answer is a finding, not an error."""
        return []

    def offer(self) -> str:
        """Return what a generation is made with, and perhaps what it costs."""
        return "it does not say what it makes them with"


@dataclass(frozen=True)
class SourceFile:
    """The result of the stage before: our file, and an address of it.

    `fitted` returns our file within bounds of its own kind; raises RefusedForGood if that is
    impossible. `address` is for a vendor that fetches it by itself, and takes files of these kinds
    (how a file begins, by the kind's name); raises RefusedForGood if no address gives it one.
    """

    fitted: Callable[[Any], Awaitable[bytes]]
    address: Callable[[Mapping[str, bytes]], Awaitable[str]]


ANOTHER = "The vendor's answer is about another generation."


def check_about(asked: str, named: tuple[object, object]) -> None:
    """Raise OutcomeUnknown unless an answer is about the requested generation."""
    if asked not in named and (named[1] or not parse_external_id(asked)):
        raise OutcomeUnknown(ANOTHER)
