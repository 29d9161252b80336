"""Both vendors are looked at, for nothing, before a job can be submitted to them; see the worker's
`doctor`, which is asked with the code and the environment that a worker would get."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from compose.stack.errors import VERDICT, StackError
from compose.stack.modes.stack import Askable
from compose.stack.output import complain
from compose.stack.services import WORKER
from compose.stack.settings import environment, saved
from compose.stack.settings.load import Settings

PROGRAM = f"{WORKER.module}.doctor"
PATIENCE = 120.0
ANYWAY = "VENDOR_CHECKS=off goes on all the same"
RECEIVER = "receiver"
_NOTE = "vendors"


@dataclass(frozen=True)
class Finding:
    """One of the worker's findings: `verdict` is ok, warning or wrong."""

    check: str
    verdict: str
    says: str

    def __str__(self) -> str:
        return f"{self.check}: {self.says}"


@dataclass(frozen=True)
class Examination:
    """All findings, and by stage what a generation is made with."""

    findings: list[Finding]
    offers: Mapping[str, str]

    def of(self, verdict: str) -> list[Finding]:
        """Those that came to this."""
        return [each for each in self.findings if each.verdict == verdict]


def examine(stack: Askable, *, receiver: bool) -> Examination:
    """What there is to be found, after `prepare`; `receiver`: ours runs, and is looked for, too."""
    words = ["--receiver"] if receiver else []
    answer = stack.ask(WORKER, PROGRAM, *words, timeout=PATIENCE)
    # Also where something is wrong, which is its status, all is told.
    told = replace(answer, status=0).found if answer.status in (0, VERDICT) else None
    if told is None:
        reason = f"they can't be looked at ({answer.last_line})"
        return Examination([Finding("vendors", "wrong", reason)], {})
    return Examination([Finding(**each) for each in told["findings"]], told["offers"])


def check(settings: Settings, stack: Askable, *, running: bool) -> bool:
    """Whether real vendors were asked, and nothing is wrong with them; StackError where it is.

    Not asked are mocks, those of a stack that runs and has asked them with the same settings, and
    where VENDOR_CHECKS is off. Warnings are told.
    """
    state = _state(settings)
    known = running and saved.checked(settings.run_dir, _NOTE) == state
    if settings.mocks or known or not settings.vendor_checks:
        return False
    stack.prepare()
    found = examine(stack, receiver=False)
    for each in found.of("warning"):
        complain(f"{each}")
    refuse_wrong(found, "nothing was started or changed")
    saved.note_checked(settings.run_dir, _NOTE, state)
    return True


def refuse_wrong(found: Examination, so: str) -> None:
    """StackError, in one line, where a finding is wrong."""
    if wrong := found.of("wrong"):
        reasons = "; ".join(map(str, wrong))
        raise StackError(f"{reasons}. So {so}; {ANYWAY}", VERDICT)


def tell_of_callbacks(stack: Askable) -> None:
    """What shows only once the receiver runs: whether it answers where the vendor is told."""
    for each in examine(stack, receiver=True).findings:
        if each.check == RECEIVER and each.verdict != "ok":
            complain(f"{each}; until then polling finds the end of each video")


def _state(settings: Settings) -> str:
    """Changes with whatever a worker is told; it holds no secret."""
    told = environment.local_service(settings, WORKER.name)
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
