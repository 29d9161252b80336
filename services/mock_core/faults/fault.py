"""What all faults share: a point, a name, parameters, and a sentence for the documentation."""

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.mock_core.clock import Delay, DelaySpec

Percent = Annotated[int, Field(ge=0, le=100)]
Share = Annotated[float, Field(ge=0, lt=1)]
Nominal = Annotated[float, Field(ge=0, le=10_000_000)]
# A length of time that may be random: `30`, `"uniform:10,20"`.
Seconds = Delay


def fixed(seconds: float) -> DelaySpec:
    return DelaySpec("fixed", seconds)


class Where(StrEnum):
    """The points of a generation's life."""

    SUBMIT = "submit"
    START = "start"
    POLL = "poll"
    PROGRESS = "progress"
    RESULT = "result"
    CALLBACK = "callback"


class Fault(BaseModel):
    """A fault with its parameters, which a rule gives under `with`; others are refused.

    Class arguments: `at`, the point (a class without one is a base of others); `do`, its name
    there; `service`, the only one that has it. The first line of its docstring documents it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    where: ClassVar[Where]
    do: ClassVar[str]
    # `where.do`
    kind: ClassVar[str]
    says: ClassVar[str]
    service: ClassVar[Literal["image", "video"] | None] = None

    def __init_subclass__(
        cls,
        *,
        at: Where | None = None,
        do: str | None = None,
        service: Literal["image", "video"] | None = None,
        **config: Any,
    ) -> None:
        super().__init_subclass__(**config)
        cls.do = do or cls.do
        if at is None:
            return
        cls.where, cls.service, cls.kind = at, service, f"{at}.{cls.do}"
        cls.says = (cls.__doc__ or "").partition("\n")[0]
        KINDS[at, cls.do] = cls


# By point and name; those of one point in the order of the module.
KINDS: dict[tuple[str, str], type[Fault]] = {}


def names_at(where: str) -> list[str]:
    return [kind.do for kind in KINDS.values() if kind.where == where]


class Refuse(Fault, do="refuse"):
    """`code` is enough if the vendor's table gives the HTTP status."""

    # The status if a rule gives neither status nor code; None: the wire has its own.
    usual_status: ClassVar[int | None] = None

    status: Annotated[int, Field(ge=400, le=599)] | None = None
    code: int | str | None = None
    message: str | None = None
    retry_after: Annotated[int, Field(ge=0)] | None = None

    @property
    def answered_status(self) -> int | None:
        untold = self.status is None and self.code is None
        return self.usual_status if untold else self.status


class Reset(Fault, do="reset"):
    """Reset the connection before a byte is answered."""


class Hang(Fault, do="hang"):
    """Without `seconds` the request stays open until the caller goes away."""

    seconds: Seconds | None = None


class Late(Fault, do="delay"):
    """Carried out at once, answered `seconds` later."""

    seconds: Seconds = fixed(30)
