"""What one row of a book says, and how a row is read; instants are seconds since 1970."""

import re
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import AliasPath, BeforeValidator, ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass

from loadtest.times import instant

# A fact is made from a row by the row's names, and in tests by its own.
FACT = ConfigDict(populate_by_name=True)
_EXTERNAL = re.compile(r"([^.]+)\.([a-z][a-z0-9_]*)\.(\d+)")
Row = dict[str, Any]
Fact = TypeVar("Fact")


def read(kind: Callable[..., Fact], row: Row) -> Fact:
    """Return a row as a fact; raise pydantic's ValidationError if a required field is missing."""
    found: Fact = _adapter(kind).validate_python(row)
    return found


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def owner(external_id: object) -> tuple[str | None, str | None, int | None]:
    """Return the job, the stage and the attempt that a generation was asked for, by our id."""
    match = _EXTERNAL.fullmatch(str(external_id))
    return (match[1], match[2], int(match[3])) if match else (None, None, None)


def whole(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0


def mapping(value: object) -> Row:
    return value if isinstance(value, dict) else {}


def _mappings(value: object) -> object:
    """Return the objects of a row's list; a tuple of facts stays as it is."""
    if isinstance(value, tuple):
        return value
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


Instant = Annotated[float | None, BeforeValidator(instant)]
String = Annotated[str, BeforeValidator(str)]
StringOrNone = Annotated[str | None, BeforeValidator(lambda v: None if v is None else str(v))]
Whole = Annotated[int, BeforeValidator(whole)]
WholeOrNone = Annotated[int | None, BeforeValidator(lambda v: v if isinstance(v, int) else None)]
Truth = Annotated[bool, BeforeValidator(bool)]
Mapping = BeforeValidator(mapping)
Mappings = BeforeValidator(_mappings)
Several = BeforeValidator(lambda v: v or ())


# A vendor's own name of a task; what is kept of it may be the path to it, which ends with its name.
Task = Annotated[str, BeforeValidator(lambda kept: str(kept).rpartition("/")[2])]


@dataclass(frozen=True, slots=True, config=FACT)
class Submission:
    """The runner's own note of one submission."""

    planned: float = Field(validation_alias="planned_at")
    sent: float = Field(validation_alias="sent_at")
    answered: float = Field(validation_alias="answered_at")
    index: Whole = 0
    prompt: String = ""
    tries: Whole = 0
    job_id: StringOrNone = None
    problem: StringOrNone = None


@dataclass(frozen=True, slots=True, config=FACT)
class Transition:
    """One change in a job's JSON record."""

    version: Whole = 0
    at: Instant = None
    status: String = "None"
    step: StringOrNone = None
    percent: Whole = 0


@dataclass(frozen=True, slots=True, config=FACT)
class Shown:
    """A job as the API's list shows it at the end, or its JSON record; or why there is none."""

    status: String = "None"
    created: Instant = Field(default=None, validation_alias="created_at")
    started: Instant = Field(default=None, validation_alias="started_at")
    finished: Instant = Field(default=None, validation_alias="finished_at")
    attempts: Annotated[dict[str, Whole], Mapping] = Field(default_factory=dict)
    error_code: StringOrNone = Field(default=None, validation_alias=AliasPath("error", "code"))
    error_message: StringOrNone = Field(
        default=None, validation_alias=AliasPath("error", "message")
    )
    listed: Truth = False
    """Whether the API's list had it, and not only its own page."""
    problem: StringOrNone = None
    run_id: StringOrNone = None
    transitions: Annotated[tuple[Transition, ...], Mappings] = ()
    assets: Annotated[dict[str, Any], Mapping] = Field(default_factory=dict)
    tasks: Annotated[dict[str, Task], Mapping] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True, config=FACT)
class Callback:
    """One attempt of the vendor to deliver a callback."""

    sent: Instant = Field(default=None, validation_alias="sent_at")
    status: String = ""
    reply: WholeOrNone = None
    error: StringOrNone = None
    note: Annotated[str, BeforeValidator(lambda value: str(value or ""))] = ""
    delivery_id: StringOrNone = None

    @property
    def answered(self) -> bool:
        """Whether the receiver took it."""
        return self.reply is not None and 200 <= self.reply < 300


@dataclass(frozen=True, slots=True, config=FACT)
class Generation:
    """One accepted generation in a vendor's ledger; `job_id` is ours, `vendor_id` the vendor's."""

    step: str
    vendor_id: String
    external_id: StringOrNone
    job_id: str | None
    attempt: int | None
    accepted: Instant = Field(default=None, validation_alias="accepted_at")
    started: Instant = Field(default=None, validation_alias="started_at")
    finished: Instant = Field(default=None, validation_alias="finished_at")
    outcome: StringOrNone = None
    error: StringOrNone = None
    charged: Truth = False
    calls_back: Truth = True
    """Whether the vendor had a callback address; some recorded runs don't say."""
    callbacks: Annotated[tuple[Callback, ...], Mappings] = ()
    prompt: StringOrNone = None
    sha256: StringOrNone = None
    shows: StringOrNone = None
    duplicate: Truth = False
    units: StringOrNone = None
    row: Row = Field(default_factory=dict)
    """What the ledger says, whole."""

    @property
    def wanted(self) -> str:
        """The stage that it was asked for, by our id; its vendor's where that is not ours."""
        return owner(self.external_id)[1] or self.step

    @property
    def good(self) -> bool:
        return self.outcome in ("succeeded", "succeed")

    @property
    def seconds(self) -> float:
        """From acceptance to the end, by the vendor's clock; 0 while open."""
        if self.accepted is None or self.finished is None:
            return 0.0
        return max(0.0, self.finished - self.accepted)


@dataclass(frozen=True, slots=True, config=FACT)
class Receipt:
    """One callback as our receiver noted it."""

    at: Instant = Field(default=None, validation_alias="received_at")
    task_id: StringOrNone = None
    task_status: StringOrNone = None
    fate: String = "unknown"
    external_id: StringOrNone = None
    updated_at: Any = None
    row: Row = Field(default_factory=dict)

    @property
    def change(self) -> tuple[str, str]:
        """The task, and the change of it, that the callback told."""
        return str(self.task_id), str(self.task_status)


@dataclass(frozen=True, slots=True, config=FACT)
class StoredFile:
    """A stored result, examined."""

    sha256: StringOrNone = None
    problem: StringOrNone = None


@dataclass(frozen=True, slots=True, config=FACT)
class Injected:
    """One fault that a mock injected, by its own trace."""

    service: str
    rule: String = ""
    where: String = ""
    do: String = ""
    external_id: StringOrNone = None
    at: Instant = None
    status: StringOrNone = None
    """What the callback told that it met."""
    given: Annotated[Row, Mapping] = Field(default_factory=dict, validation_alias="with")


@dataclass(frozen=True, slots=True, config=FACT)
class SlotSample:
    """Who held the slot at one instant, by the API."""

    at: float
    holders: Annotated[tuple[String, ...], Several] = ()
    waiting: WholeOrNone = None
    limit: WholeOrNone = None
    places: Annotated[dict[str, WholeOrNone], Mapping] = Field(default_factory=dict)
    """The places in the queue of some jobs that waited."""
    row: Row = Field(default_factory=dict)


@dataclass(frozen=True, slots=True, config=FACT)
class Reading:
    """A vendor's clock, read once: `theirs` was between the runner's two instants."""

    service: String
    moment: String
    sent: float = Field(validation_alias="sent_at")
    answered: float = Field(validation_alias="answered_at")
    theirs: Instant = None
