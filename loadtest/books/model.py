"""All that the books say of a job, of a stage and of a run, and who keeps which book."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from math import inf
from statistics import median
from typing import Any, NamedTuple

from loadtest.books import facts
from loadtest.books.executions import Activity, Execution, Signal
from loadtest.books.facts import Generation, Row, SlotSample, Submission, mapping
from loadtest.books.seal import Seal

RESET, START_AGAIN, DELETE = "reset", "start again", "delete"
"""Of what chaos does to a job: what makes another run of it, and what removes its history."""
SEMAPHORE = "semaphore workflow"
"""How chaos names the workflow that it terminates."""
ENDS = ("succeeded", "degraded", "failed", "cancelled")
OUTSIDE = ("TERMINATED", "TIMED_OUT")
"""How a run closes that its own code did not end."""
STEPS = ("image", "video")
DEFAULT = "genvideo"
FEW = 3
"""Generations that a median is taken of, at least."""


class Step(NamedTuple):
    """A stage of the pipeline: its vendor, and whether that calls back."""

    name: str
    vendor: str
    called_back: bool


class Rule(NamedTuple):
    """A fault rule of a mock, and whether it concerns this mock at all."""

    service: str
    name: str
    place: str
    applies: bool
    often: Row
    body: Row
    """All that the mock says of it."""


def stage_name(number: int, jobs: int) -> str:
    """Return how every text calls a stage: its place from 1 on, and how many jobs were planned."""
    return f"{number + 1} ({jobs} job{'' if jobs == 1 else 's'})"


@dataclass(slots=True)
class JobFacts:
    """Everything that all books say about one job."""

    job_id: str
    stage: int
    submissions: list[Submission] = field(default_factory=list)
    api: list[facts.Shown] = field(default_factory=list)
    record: facts.Shown | None = None
    executions: list[Execution] = field(default_factory=list)
    generations: list[Generation] = field(default_factory=list)
    rows: dict[str, list[Row]] = field(default_factory=dict)
    """What each raw file says of the job, as it says it."""
    faults: list[facts.Injected] = field(default_factory=list)
    receipts: list[facts.Receipt] = field(default_factory=list)
    files: dict[str, facts.StoredFile] = field(default_factory=dict)

    @property
    def status(self) -> str | None:
        """The status by the API's book."""
        return self.api[0].status if self.api else None

    @property
    def submission(self) -> Submission | None:
        return self.submissions[0] if self.submissions else None

    @property
    def execution(self) -> Execution | None:
        return self.executions[-1] if self.executions else None

    @property
    def activities(self) -> list[Activity]:
        """Those of all its runs, as the signals of callbacks below."""
        return [each for run in self.executions for each in run.activities]

    @property
    def called_back(self) -> list[Signal]:
        return [each for run in self.executions for each in run.called_back]

    @property
    def finished(self) -> float | None:
        return self.api[0].finished if self.api else None

    @property
    def latency(self) -> float | None:
        """From the planned instant of submission to the end."""
        if self.submission is None or self.finished is None:
            return None
        return self.finished - self.submission.planned

    @property
    def ended(self) -> bool:
        """By the API's book, which is read first: all other books know of it then."""
        return self.status in ENDS

    @property
    def changes(self) -> tuple[facts.Transition, ...]:
        return self.record.transitions if self.record else ()

    def has_fault(self, *where: str, external_id: str | None = None) -> bool:
        """Whether a fault met the job there, or this generation of it."""
        met = (each for each in self.faults if external_id in (None, each.external_id))
        return any(each.where in where for each in met)

    def of(self, step: str) -> list[Generation]:
        """Return the generations of one stage, in the order of their acceptance."""
        return [generation for generation in self.generations if generation.wanted == step]


@dataclass(slots=True)
class StageBook:
    """One stage: what was asked, and the facts of its jobs."""

    number: int
    planned_jobs: int
    tag: str
    began: float
    ended: float
    why: str
    limit: int | None
    """The limit at the beginning of the run; it is not to change."""
    feeds: int = 0
    """Connections of the live feed; one is enough where nothing broke it."""
    jobs: dict[str, JobFacts] = field(default_factory=dict)
    refused: list[Submission] = field(default_factory=list)
    samples: list[SlotSample] = field(default_factory=list)
    row: Row = field(default_factory=dict)

    @property
    def name(self) -> str:
        return stage_name(self.number, self.planned_jobs)

    @property
    def accepted(self) -> int:
        """Submissions that the API took; the same job given twice counts twice."""
        return sum(len(job.submissions) for job in self.jobs.values())

    @property
    def holders(self) -> set[str]:
        """Whom the samples of the slot, and the views at the stage's edges, show as holders."""
        edges = (mapping(self.row.get(name)) for name in ("slots_before", "slots_after"))
        looks = [*self.samples, *(facts.read(SlotSample, view | {"at": 0.0}) for view in edges)]
        return {name for look in looks for name in look.holders}


@dataclass
class Books:
    """All books of a run."""

    run: dict[str, Any]
    stages: list[StageBook]
    ledgers: dict[str, list[Generation]] = field(default_factory=dict)
    foreign: list[Generation] = field(default_factory=list)
    foreign_jobs: dict[str, Row] = field(default_factory=dict)
    """What the API says of the jobs of others that the ledgers name."""
    vendors: dict[str, Any] = field(default_factory=dict)
    strays: list[tuple[str, str, str]] = field(default_factory=list)
    """What a book has of no job and no stage of the run: the rule, the job's name, and a text."""
    faults: dict[str, list[int]] = field(default_factory=dict)
    """The numbers of the faults in each vendor's trace."""
    clocks: list[facts.Reading] = field(default_factory=list)
    seal: Seal = field(default_factory=Seal)
    torn: dict[str, int] = field(default_factory=dict)
    replay: dict[str, Any] | None = None
    histories: int = 0
    """How many are kept."""
    struck: list[Row] = field(default_factory=list)
    """The strikes of a chaos run, in which jobs are submitted as they are needed."""
    disturbed: dict[str, frozenset[str]] = field(default_factory=dict)
    """What was done to single jobs from outside in a chaos run, by job."""
    processes: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """Seconds of processor time of each process at an instant, sample by sample."""

    def restarts(self, process: str) -> list[float]:
        """Return when a process had restarted, as a processor time that fell shows."""
        samples = pairwise(self.processes.get(process, ()))
        return [at for (_, before), (at, after) in samples if after < before]

    @cached_property
    def steady(self) -> set[str]:
        """The processes that answered whenever they were looked at, and did not restart."""
        looks = max(map(len, self.processes.values()), default=0)
        known = {name for name, seen in self.processes.items() if 0 < len(seen) == looks}
        return {name for name in known if not self.restarts(name)}

    @property
    def calm(self) -> bool:
        """Whether that is all of them; a run with strikes looks at none."""
        return bool(self.processes) and len(self.steady) == len(self.processes)

    @cached_property
    def longest(self) -> float:
        """The longest plain hop, which is long on a busy machine."""
        return max((hop for _, run in self.runs for hop in run.hops), default=inf)

    @cached_property
    def usual(self) -> dict[str, float]:
        """The median seconds of each stage's good generations that no fault slowed down, if they
        are not few."""
        own = [job for job in self.jobs if not job.has_fault("start", "progress", "poll")]
        made = {each.name: [g for job in own for g in job.of(each.name)] for each in self.pipeline}
        took = {step: [g.seconds for g in every if g.good] for step, every in made.items()}
        return {step: median(seconds) for step, seconds in took.items() if len(seconds) >= FEW}

    @property
    def workers(self) -> list[str]:
        """The workers that were asked for metrics."""
        return [name for name in self.processes if name.startswith("worker")]

    @property
    def hosts(self) -> set[str]:
        """The host names of the services, by the histories."""
        clients = (name for _, run in self.runs for name in run.clients)
        return {name.partition("@")[2] for name in clients}

    @cached_property
    def mocks(self) -> tuple[str, ...]:
        """The vendors that were mocks, which showed their books."""
        names = self.run.get("mocks")
        vendors = dict.fromkeys(each.vendor for each in self.pipeline)
        return tuple(each for each in vendors if isinstance(names, list) and each in names)

    @property
    def mocked(self) -> bool:
        """Whether every vendor was."""
        return all(each.vendor in self.mocks for each in self.pipeline)

    @property
    def done(self) -> bool:
        """Whether the run went to its end: of one that did not, books are of different moments."""
        return self.run.get("why") == "done"

    @cached_property
    def pipeline(self) -> tuple[Step, ...]:
        """The stages of a job in their order, as the plan has them."""
        rows = map(mapping, self.run.get("stages") or ())
        return tuple(
            Step(str(row.get("name")), str(row.get("vendor")), bool(row.get("called_back")))
            for row in rows
        )

    def shows(self, step: str) -> bool:
        """Whether the vendor of this stage shows its book."""
        return any(each.name == step and each.vendor in self.mocks for each in self.pipeline)

    @cached_property
    def callbacks_known(self) -> bool:
        """Whether it is known what callbacks were sent."""
        return all(each.vendor in self.mocks for each in self.pipeline if each.called_back)

    @property
    def is_default(self) -> bool:
        """Whether jobs are started with a prompt and a style."""
        return bool(self.run.get("pipeline", DEFAULT) == DEFAULT)

    @cached_property
    def called_back(self) -> bool:
        """Whether vendors had a callback address; a stack that only polls gives none."""
        return any(bool(row.calls_back) for rows in self.ledgers.values() for row in rows)

    @cached_property
    def changes(self) -> frozenset[str]:
        """The changes that a vendor reports of a good task: only its end, or its beginning, too."""
        rows = (row for rows in self.ledgers.values() for row in rows)
        begins = any(each.status == "processing" for row in rows for each in row.callbacks)
        return frozenset({"processing", "succeed"} if begins else {"succeed"})

    @cached_property
    def rules(self) -> list[Rule]:
        """The fault rules that were armed as the run began."""
        found = []
        for service, body in (self.run.get("faults") or {}).items():
            rules = mapping(body).get("rules")
            for rule in map(mapping, rules if isinstance(rules, list) else ()):
                place = f"{rule.get('where')}.{rule.get('do')}"
                applies, name = bool(rule.get("applies", True)), str(rule.get("name"))
                said = {"seed": mapping(body).get("seed")} | rule
                found.append(Rule(service, name, place, applies, mapping(rule.get("often")), said))
        return found

    @property
    def limit(self) -> int | None:
        """The limit at the beginning of the run; it is not to change."""
        limit = self.run.get("limit")
        return limit if isinstance(limit, int) else None

    @cached_property
    def unread(self) -> set[str]:
        """Books that could not be read at all: their silence says nothing of a job."""
        return {str(problem).split(":", 1)[0] for problem in self.run.get("unread") or []}

    def totals(self, step: str) -> tuple[Row, Row]:
        """Return what a mock had counted before the run, and after it."""
        before, after = mapping(self.run.get("vendors_before")), mapping(self.vendors.get(step))
        return mapping(before.get(step)), mapping(after.get("stats"))

    @cached_property
    def replanned(self) -> set[str]:
        """The mocks whose fault rules a user changed during the run: its books have the first."""
        versions = {s: [it.get("plan_version") for it in self.totals(s)] for s in self.mocks}
        return {step for step, (before, after) in versions.items() if before != after}

    def is_struck(self, kind: str, target: str) -> bool:
        """Whether chaos did this to a process or a workflow."""
        return any((each.get("kind"), each.get("target")) == (kind, target) for each in self.struck)

    def was_killed(self, vendor: str) -> bool:
        """Whether a vendor's mock was killed: it forgets its counts, its faults, and what it had
        sent and not noted yet."""
        process = PROCESSES.get(vendor, "")
        return self.is_struck("kill", process) or bool(self.restarts(process))

    def was_struck_by(self, job_id: str, *deeds: str) -> bool:
        """Whether chaos did one of these to the job."""
        return not self.disturbed.get(job_id, frozenset()).isdisjoint(deeds)

    @property
    def jobs(self) -> list[JobFacts]:
        return [job for stage in self.stages for job in stage.jobs.values()]

    @property
    def runs(self) -> list[tuple[JobFacts, Execution]]:
        """Each run, and its job."""
        return [(job, run) for job in self.jobs for run in job.executions]

    def granted(self) -> list[tuple[JobFacts, Execution]]:
        """Return each run that was granted the slot, and its job."""
        return [(job, run) for job, run in self.runs if run.granted is not None]


CALLBACK, RUNNERS = "callback", "loadtest"
"""The receiver's process, and the runner's own."""
PROCESSES = {"image": "mock-comfyui", "video": "mock-kling"}
"""The mocks' processes, by stage: their restart costs counts, and what was not noted yet."""
KEPT_BY = {
    "runner": "the load test",
    "files": "the load test",
    "API and records": "our services",
    "slot": "our services",
    "receipts": "our services",
    "Temporal": "the Temporal server",
    "ledgers": "the mocks",
}
"""The books, and whose code keeps each: code bases that share nothing that decides."""


def codes(books: Iterable[str] = KEPT_BY) -> tuple[str, ...]:
    """Return the code bases that keep these books."""
    return tuple(dict.fromkeys(KEPT_BY[name] for name in books))
