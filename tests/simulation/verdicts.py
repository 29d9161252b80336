"""The rules by name, and what a history has shown against one."""

from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    """A violation carries the name of what it breaks."""

    AT_ONCE = "no more at a vendor at once than the limit"
    INSIDE = "no job begins while another one is between its first generation and its end"
    HELD = "the semaphore never grants beyond its limit"
    PAID_ONCE = "one paid generation per attempt; another attempt only after the vendor's word"
    AFTER_END = "nothing is accepted for a job that has ended"
    CLEAR = "nothing runs at a vendor when a job's own code has ended it"
    VERSIONS = "a version of a record has one content"
    PERCENT = "a percent does not fall within an attempt"
    RECORDED = "each paid generation is in the record"
    ALL_END = "every job ends"
    HEEDED = "a job that has heard of its cancellation does not go on to its end"
    RECORD_ENDS = "the record of a closed job shows its end"
    NOBODY_HELD = "nobody holds or waits at the end"
    ORDER = "first come, first served"
    TASKS = "no workflow task fails"
    REPLAYS = "every history replays"
    HANDLERS = "no run ends over the head of a handler"
    ERRORS = "no activity fails with anything but our errors"


@dataclass(frozen=True)
class Violation:
    """One rule broken, when, and how."""

    rule: Rule
    at: float
    text: str

    def __str__(self) -> str:
        return f"{self.rule.name} at {self.at:.3f}: {self.text}"
