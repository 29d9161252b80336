"""What the worker asks of a vendor, whichever it is: protocols, traits, and findings."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal, Protocol, TypeGuard, runtime_checkable

from pydantic import BaseModel, Field, field_validator

from shared.errors import NeverDelivered, OutcomeUnknown, RefusedForNow, VendorError
from shared.jobs.ids import parse_external_id
from shared.redact import printable

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
    `image_kinds`: what its images may be, by Pillow's names; each attempt would bring another kind
    again, so that it is refused for good.
    """

    looked_up: bool = True
    pushes: bool = False
    result_hosts: tuple[str, ...] = ()
    image_kinds: tuple[str, ...] = ("PNG",)


class Vendor(Protocol):
    """Knows a generation by an id of ours, which never changes; a call is one request or a few, and
    repeats nothing. Each raises a VendorError where it does not go well."""

    @property
    def traits(self) -> Traits:
        """What it can do."""

    async def status(self, task_id: str) -> VendorStatus | None:
        """A generation by the vendor's id or by ours; None where the vendor doesn't know it."""

    async def address(self, status: VendorStatus) -> str | None:
        """Where the result of a success can be fetched; None while the vendor doesn't say."""

    async def cancel(self, vendor_id: str) -> None:
        """Ask the vendor to stop; one that documents no cancel goes on to its end."""

    def credentials(self) -> Mapping[str, str]:
        """The headers without which it gives no result, for its own address alone."""


class ImageVendor(Vendor, Protocol):
    """Makes an image of words."""

    async def submit(self, external_id: str, token: int, *, prompt: str, style: str) -> str:
        """The vendor's id of a new image; of the one it has where it refuses a duplicate."""

    async def result_url(self, vendor_id: str) -> str:
        """Where a finished image can be fetched, asked for anew; BadResult where it is gone."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What pictures a vendor takes: `kinds` by Pillow's names, sides in pixels, and how many times
    as long as the other one a side may be."""

    kinds: tuple[str, ...]
    max_bytes: int
    min_side: int
    max_ratio: float


@dataclass(frozen=True)
class Fitted:
    """A picture within bounds; `is_new`: it is our file as another JPEG."""

    data: bytes
    is_new: bool


@dataclass(frozen=True)
class Picture:
    """The image that a video is made of: our file, and its address at who made it.

    `fitted` reads our file; RefusedForGood where it can't be brought within the bounds. `address`
    is asked for where a vendor fetches it by itself; RefusedForGood where it is gone.
    """

    fitted: Callable[[Bounds], Awaitable[Fitted]]
    address: Callable[[], Awaitable[str]]


class VideoVendor(Vendor, Protocol):
    """Makes a video of an image and words."""

    async def submit(
        self, external_id: str, token: int, *, prompt: str, picture: Picture, callback_url: str
    ) -> str:
        """The vendor's id of a new video; of the one it has where it refuses a duplicate."""


ANOTHER = "The vendor's answer is about another generation."


def check_about(asked: str, named: tuple[object, object]) -> None:
    """Raise OutcomeUnknown unless an answer is about the generation that was asked for.

    `asked` is the vendor's id or ours; `named` are the vendor's id and ours in the answer. Many
    vendors leave out ours. An answer to a submit or to a look-up by our id is then believed,
    because there is nothing to compare.
    """
    if asked not in named and (named[1] or not parse_external_id(asked)):
        raise OutcomeUnknown(ANOTHER)


LONGEST = 1000


class Verdict(StrEnum):
    """`wrong`: no job can end well as it is, or it would cost what it should not."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """What one check has found, in one sentence; it names the setting that would change it."""

    check: str
    verdict: Verdict
    says: str


def ok(check: str, says: str) -> Finding:
    """All is as it should be."""
    return Finding(check, Verdict.OK, _line(says))


def warning(check: str, says: str) -> Finding:
    """Jobs can end well, and still it may not be what was meant."""
    return Finding(check, Verdict.WARNING, _line(says))


def wrong(check: str, says: str) -> Finding:
    """Nothing should be submitted as it is."""
    return Finding(check, Verdict.WRONG, _line(says))


def unasked(check: str, error: VendorError, *, at: str) -> Finding:
    """A video vendor at this address that told nothing of what it was asked."""
    if isinstance(error, NeverDelivered):
        return wrong(check, f"nobody answers at {at} (KLING_URL): {error.message}")
    if isinstance(error, RefusedForNow | OutcomeUnknown):
        return warning(check, f"{at} does not tell for now: {error.message}")
    return wrong(check, f"{at}: {error.message}")


def _line(text: str) -> str:
    """One line of a terminal, whatever a server's own words have in them."""
    text = printable(text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


@runtime_checkable
class Examined(Protocol):
    """A vendor of which something can be checked."""

    async def examined(self) -> list[Finding]:
        """A finding for each check; also that it doesn't answer is one, and no error."""


@runtime_checkable
class Offering(Protocol):
    """A vendor that knows what one generation is made with, and perhaps what it costs."""

    def offer(self) -> str:
        """In a few words, such as `kling-v2-1, std, 5 s`."""
