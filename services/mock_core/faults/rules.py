"""The rule language as it is written; what it means together is checked in `parse`."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, PositiveInt

from services.mock_core.faults.kinds import Where

Pattern = Annotated[str, Field(min_length=1, max_length=2500)]
_RANGES = re.compile(r"\d+(-\d*)?(,\d+(-\d*)?)*", re.ASCII)


def _numbers(value: object) -> int | str:
    if isinstance(value, str) and len(value) <= 20_000 and _RANGES.fullmatch(value):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise ValueError("must be a number from 1 on, or ranges such as '1-3,7-'")


Numbers = Annotated[int | str, PlainValidator(_numbers)]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Match(Part):
    """Which jobs. Every member that is given must fit; none given means every job.

    A pattern is a glob (`*`, `?`), or an expression of RE2 after `re:`.
    """

    prompt: Pattern | None = None
    style: Pattern | None = None
    tag: Pattern | None = None
    id: Pattern | None = None
    external_id: Pattern | None = None
    key: Pattern | None = None
    nth: Numbers | None = None
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    status: Literal["processing", "succeed", "failed"] | None = None


class Often(Part):
    """How often. `first` counts the job's events at that point; `attempts` are generations."""

    probability: Annotated[float, Field(gt=0, le=1)] = 1.0
    first: PositiveInt | None = None
    events: Numbers | None = None
    attempts: Numbers | None = None
    per: Literal["job", "attempt", "event"] | None = None


class After(Part):
    """When the rule begins: so many nominal seconds after it was armed."""

    seconds: Annotated[float, Field(gt=0)] | None = None


class Until(Part):
    """When the rule ends by itself: after so many hits, nominal seconds, or at an instant.

    Hits are counted in the order in which they come; all else is the same in any order.
    """

    count: PositiveInt | None = None
    seconds: Annotated[float, Field(gt=0)] | None = None
    at: datetime | None = None


class Effect(Part):
    """What happens at one point of the life."""

    where: Where
    do: str
    with_: Annotated[dict[str, Any], Field(alias="with", default_factory=dict)]


class Rule(Part):
    """One rule: either `where` and `do` (and `with`), or `effects` that span the life of a job."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")] | None = None
    service: Literal["image", "video"] | None = None
    note: Annotated[str, Field(max_length=500)] = ""
    match: Match = Match()
    where: Where | None = None
    do: str | None = None
    with_: Annotated[dict[str, Any] | None, Field(alias="with")] = None
    effects: Annotated[tuple[Effect, ...], Field(max_length=20)] = ()
    often: Often = Often()
    after: After = After()
    until: Until = Until()

    def all_effects(self) -> tuple[Effect, ...]:
        if self.effects or self.where is None or self.do is None:
            return self.effects
        return (Effect(where=self.where, do=self.do, with_=self.with_ or {}),)
