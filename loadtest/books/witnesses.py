"""Which books there are, and whose code keeps each: what is told of their number is told by this.

Books that one code base keeps may share its mistakes; only books of different ones vouch for
each other.
"""

from dataclasses import dataclass

LOAD_TEST, SERVICES = "the load test", "our services"
SERVER, MOCKS = "the Temporal server", "the mocks"


@dataclass(frozen=True, slots=True)
class Witness:
    """One book: whose code keeps it, what it consists of, and what it says."""

    name: str
    code: str
    made_of: str
    says: str


RUNNER = Witness(
    "runner",
    LOAD_TEST,
    "its own notes of each submission",
    "when a job was planned, sent, accepted, and as what",
)
FILES = Witness(
    "files",
    LOAD_TEST,
    "its own look at the stored files: read, hashed, decoded",
    "whether image and MP4 are whole, and what they show",
)
RECORDS = Witness(
    "API and records",
    SERVICES,
    "one journal: a job's workflow writes it as JSON files, which the API shows in lists and feed",
    "status, versions, attempts, start and end",
)
SLOT = Witness(
    "slot",
    SERVICES,
    "`GET /slots`, asked twice a second",
    "who held the slot, and how many waited",
)
RECEIPTS = Witness(
    "receipts",
    SERVICES,
    "the callback receiver's own list",
    "which callbacks arrived, and what came of each",
)
TEMPORAL = Witness(
    "Temporal",
    SERVER,
    "one database: the list of executions, and their histories",
    "permit, activities, signals, close, and when",
)
LEDGERS = Witness(
    "ledgers",
    MOCKS,
    "one code base: ledger, totals and verdict of the image service and of the video service",
    "what was accepted, when it ran, what was charged, which callbacks went out",
)
WITNESSES = (RUNNER, FILES, RECORDS, SLOT, RECEIPTS, TEMPORAL, LEDGERS)


def witnesses(*, mocked: bool) -> tuple[Witness, ...]:
    """The books of a run: real vendors show us none of theirs."""
    return tuple(each for each in WITNESSES if mocked or each is not LEDGERS)


def codes(known: tuple[Witness, ...] = WITNESSES) -> tuple[str, ...]:
    """The code bases that keep these books; no two of them share what any of them decides."""
    return tuple(dict.fromkeys(each.code for each in known))
