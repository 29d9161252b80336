"""What the engine asks of a vendor, whichever it is."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol, TypeGuard

from pydantic import BaseModel, Field, field_validator

from shared.errors import OutcomeUnknown
from shared.jobs.ids import parse_external_id

State = Literal["queued", "running", "succeeded", "failed"]
# Ten times as long as any vendor's; it is kept in the job's history and sent with each heartbeat.
MAX_ID = 500
# What takes the place of a character that a vendor sent in part. An id or an address that has it is
# another one than the vendor meant.
LOST = "\N{REPLACEMENT CHARACTER}"


def is_id(found: object) -> TypeGuard[str]:
    """Whether what an answer has for an id is one that can be kept and asked for."""
    return isinstance(found, str) and 0 < len(found) <= MAX_ID and LOST not in found


class VendorStatus(BaseModel):
    """Where a generation stands at the vendor, in words that all vendors share.

    `position`: how many are before it while it is queued there, 0 for the next one; None where the
    vendor doesn't say. `units`: what the vendor says that it charged, in its own units. `final`: it
    failed, and so would every other one. `url`: an address with a lost character is none.
    """

    vendor_id: Annotated[str, Field(min_length=1, max_length=MAX_ID, pattern=f"^[^{LOST}]*$")]
    state: State
    percent: int = 0
    url: str | None = None
    message: str = ""
    position: Annotated[int, Field(ge=0)] | None = None
    units: str | None = None
    final: bool = False

    @field_validator("url")
    @classmethod
    def _intact(cls, url: str | None) -> str | None:
        return None if url is None or LOST in url else url


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What a vendor can do.

    `looked_up`: it finds a generation by our id, so that a submit of unknown outcome can be told
    from one that never came. `pushes`: it takes an address to call back at. `result_hosts`: `host`
    or `host:port` of its results beside its own address, `*.domain` for every name below a domain.
    `kinds`: what its results may be, if that is not the kind in which the stage's are stored; each
    attempt would bring another kind again, so that it is refused for good.
    """

    looked_up: bool = True
    pushes: bool = False
    result_hosts: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()


class Vendor(Protocol):
    """Knows a generation by an id of ours, which never changes; a call is one request or a few, and
    repeats nothing. Each raises a VendorError where it does not go well."""

    @property
    def traits(self) -> Traits:
        """What it can do."""

    def submit(self, external_id: str, token: int, /, *args: Any, **inputs: Any) -> Awaitable[str]:
        """The vendor's id of a new generation; of the one it has where it refuses a duplicate.

        It gets the stage's inputs by their names, `source` if a stage was before it, and
        `callback_url` if the stage is called back.
        """

    async def status(self, task_id: str) -> VendorStatus | None:
        """A generation by the vendor's id or by ours; None where the vendor doesn't know it."""

    async def address(self, status: VendorStatus) -> str | None:
        """Where the result of a success can be fetched; None while the vendor doesn't say."""

    async def cancel(self, vendor_id: str) -> None:
        """Ask the vendor to stop; one that documents no cancel goes on to its end."""

    def credentials(self) -> Mapping[str, str]:
        """The headers without which it gives no result, for its own address alone."""


@dataclass(frozen=True)
class Fitted:
    """A file within what a vendor takes; `is_new`: it is our file in another form."""

    data: bytes
    is_new: bool


@dataclass(frozen=True)
class SourceFile:
    """What the stage before has made: our file, and its address at who made it.

    `fitted` reads our file, as the pipeline's checker brings it within bounds of its own kind;
    RefusedForGood where that can't be. `address` is asked for where a vendor fetches it by itself;
    RefusedForGood where it is gone.
    """

    fitted: Callable[[Any], Awaitable[Fitted]]
    address: Callable[[], Awaitable[str]]


ANOTHER = "The vendor's answer is about another generation."


def check_about(asked: str, named: tuple[object, object]) -> None:
    """Raise OutcomeUnknown unless an answer is about the generation that was asked for.

    `asked` is the vendor's id or ours; `named` are the vendor's id and ours in the answer. Many
    vendors leave out ours. An answer to a submit or to a look-up by our id is then believed,
    because there is nothing to compare.
    """
    if asked not in named and (named[1] or not parse_external_id(asked)):
        raise OutcomeUnknown(ANOTHER)
