"""What a hosted Temporal asks for; the defaults are those that Temporal Cloud had published."""

from pydantic import BaseModel, ConfigDict, Field

PUBLISHED = "2026-11-26"
"""When docs.temporal.io/cloud/pricing was read; see docs/cost.md."""


class Prices(BaseModel):
    """In dollars: per million actions, and per GB that is stored for a month of 744 hours.

    `history_days` is how long the history of a job that has ended is kept.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    million_actions: float = Field(50.0, ge=0, le=1e6, allow_inf_nan=False)
    gb_month_active: float = Field(31.25, ge=0, le=1e6, allow_inf_nan=False)
    gb_month_retained: float = Field(0.78, ge=0, le=1e6, allow_inf_nan=False)
    history_days: float = Field(30.0, ge=0, le=1e6, allow_inf_nan=False)
