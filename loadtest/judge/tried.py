"""What a run has tried, by what the books noted of it; what was asked for alone does not count."""

from collections import Counter
from dataclasses import dataclass

from loadtest.books import witnesses as books
from loadtest.books.fields import mapping
from loadtest.books.model import STEPS
from loadtest.judge.judge import Judgement
from loadtest.judge.measures.callbacks import AGAIN, BY_POLL, LOST

# An early one is no harm: a vendor may be quicker than its answer.
HARMS = (BY_POLL, "late", "duplicate", "out_of_order", "rejected", "unknown", AGAIN, LOST)
TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class Tried:
    """One thing that could be tried; `tried` is None where there is nothing to try."""

    name: str
    tried: bool | None
    text: str
    by: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A fault rule of the run: how often it was met, by the mocks' trace."""

    service: str
    name: str
    effects: str
    armed: bool
    fired: int


def tried(judgement: Judgement) -> list[Tried]:
    """Everything that a run can try, and what this one did."""
    return [
        _workers(judgement),
        _mode(judgement),
        _clock(judgement),
        _demand(judgement),
        _kills(judgement),
        _silence(judgement),
        _faults(judgement),
        _callbacks(judgement),
        _calls(judgement),
        _api(judgement),
        _ends(judgement),
    ]


def rules(judgement: Judgement) -> list[Rule]:
    """The rules that were armed as the run began, and any other that the trace names."""
    met = Counter(
        (fault.service, fault.rule) for job in judgement.books.jobs for fault in job.faults
    )
    found = {}
    for service, body in (judgement.run.get("faults") or {}).items():
        armed = body.get("rules") if isinstance(body, dict) else None
        for rule in armed if isinstance(armed, list) else []:
            if isinstance(rule, dict) and rule.get("applies", True):
                name = str(rule.get("name"))
                found[service, name] = Rule(service, name, _effects(rule), True, met[service, name])
    for (service, name), fired in sorted(met.items()):
        found.setdefault((service, name), Rule(service, name, "–", False, fired))
    return list(found.values())


def unmet(judgement: Judgement) -> str | None:
    """Said of a run whose rules were armed and met nobody, for it shows nothing of them."""
    armed = [rule for rule in rules(judgement) if rule.armed]
    if not armed or any(rule.fired for rule in armed):
        return None
    names = ", ".join(sorted({rule.name for rule in armed}))
    return f"armed, and met no job: {names}; the mocks count jobs on until they are reset (RESET=1)"


def _effects(rule: dict[str, object]) -> str:
    effects = rule.get("effects")
    several = effects if isinstance(effects, list) else [rule]
    return ", ".join(f"{e.get('where')}.{e.get('do')}" for e in several if isinstance(e, dict))


def workers(judgement: Judgement) -> set[str]:
    """The processes that took tasks, by the histories that were kept."""
    told = (each for job in judgement.books.jobs for each in job.told.values())
    return {name for each in told for name in each.workers}


def kills(judgement: Judgement) -> int:
    """Workers that were replaced in mid-run, by whichever book shows more of them."""
    books = judgement.books
    known = _workers_seen(judgement)
    samples = sum(books.restarts(name) for name in known)
    return max(samples, len(workers(judgement)) - len(known) if known else 0)


def _workers_seen(judgement: Judgement) -> list[str]:
    """The workers that showed metrics."""
    return [name for name in judgement.books.processes if name.startswith("worker")]


def fates(judgement: Judgement) -> Counter[str]:
    """Callbacks of all stages by what became of them."""
    found: Counter[str] = Counter()
    for stage in judgement.stages:
        found.update(stage.callbacks.fates)
    return found


def repeated(judgement: Judgement) -> Counter[str]:
    """Calls that had to be repeated, by the class of the error."""
    found: Counter[str] = Counter()
    for stage in judgement.stages:
        for (_, error), count in stage.retries.calls.items():
            found[error] += count
    return found


def _workers(judgement: Judgement) -> Tried:
    shown = len(_workers_seen(judgement))
    worked = len(workers(judgement))
    text = f"{shown} showed metrics, {worked} process(es) took tasks"
    return Tried("several workers", max(shown, worked) > 1, text, _by(books.RUNNER, books.TEMPORAL))


def _mode(judgement: Judgement) -> Tried:
    told = (each for job in judgement.books.jobs for each in job.told.values())
    hosts = {name.partition("@")[2] for each in told for name in each.clients}
    text = {
        0: "no history tells",
        1: "all services by one host name: processes of one machine",
    }.get(len(hosts), f"services by {len(hosts)} host names: containers, or several machines")
    return Tried("mode", None, text, _by(books.TEMPORAL))


def _clock(judgement: Judgement) -> Tried:
    name = "vendors at their real speed"
    if not judgement.books.mocked:
        return Tried(name, True, "no mocks were on", _by(books.RUNNER))
    vendors = (mapping(judgement.books.vendors.get(step)) for step in STEPS)
    speeds = [mapping(vendor.get("stats")).get("speed") for vendor in vendors]
    text = ", ".join(f"{step} {speed or '?'}" for step, speed in zip(STEPS, speeds, strict=True))
    real = all(speed == 1 for speed in speeds)
    return Tried(name, real, f"times as fast as the wall's clock: {text}", _by(books.LEDGERS))


def _demand(judgement: Judgement) -> Tried:
    samples = [sample for stage in judgement.books.stages for sample in stage.samples]
    waiting = max((sample.waiting or 0 for sample in samples), default=0)
    limits = ", ".join(sorted({str(stage.limit) for stage in judgement.books.stages}))
    text = f"at most {waiting} waited in a sample, with a limit of {limits}"
    wanted = any(stage.accepted > (stage.limit or 0) for stage in judgement.books.stages)
    return Tried("more jobs than places", wanted, text, _by(books.SLOT, books.RUNNER))


def _kills(judgement: Judgement) -> Tried:
    anew = {name: n for name in judgement.books.processes if (n := judgement.books.restarts(name))}
    text = ", ".join(f"{name} began anew {count} time(s)" for name, count in anew.items())
    more = len(workers(judgement)) - len(_workers_seen(judgement))
    if more > 0:
        text += f"{'; ' if text else ''}{more} worker(s) more than showed metrics at a time"
    by = _by(books.RUNNER, books.TEMPORAL)
    return Tried("kills and restarts", bool(text), text or "no process began anew", by)


def _silence(judgement: Judgement) -> Tried:
    """A process that did not answer while others did: frozen, cut off, or being started."""
    answered = {name: len(samples) for name, samples in judgement.books.processes.items()}
    rounds = max(answered.values(), default=0)
    missed = {name: rounds - count for name, count in answered.items() if count < rounds}
    text = ", ".join(f"{name} {count} of {rounds} times" for name, count in missed.items())
    name = "services that do not answer"
    return Tried(name, bool(text), text or f"all answered {rounds} times", _by(books.RUNNER))


def _faults(judgement: Judgement) -> Tried:
    name = "faults of vendors"
    if not judgement.books.mocked:
        return Tried(name, False, "only mocks can be made to misbehave", _by(books.LEDGERS))
    known = rules(judgement)
    armed, fired = sum(rule.armed for rule in known), [rule for rule in known if rule.fired]
    text = (
        f"{armed} rule(s) armed, {len(fired)} of them met a job, "
        f"{sum(rule.fired for rule in fired)} times in all"
    )
    return Tried(name, bool(fired), text if known else "none armed, none met", _by(books.LEDGERS))


def _callbacks(judgement: Judgement) -> Tried:
    name, by = "callbacks that go wrong", _by(books.LEDGERS, books.RECEIPTS)
    if not judgement.books.mocked:
        return Tried(name, False, "without mocks it is not known what was sent", by)
    videos = [row for job in judgement.books.jobs for row in job.of("video")]
    if videos and not any(row.calls_back for row in videos):
        return Tried(name, False, "the vendor was told no address: every end was polled", by)
    found = fates(judgement)
    text = ", ".join(f"{found[fate]} {fate.replace('_', ' ')}" for fate in HARMS if found[fate])
    return Tried(name, bool(text), text or f"none of {found.total()}", by)


def _calls(judgement: Judgement) -> Tried:
    found = repeated(judgement)
    text = ", ".join(f"{count} times {error}" for error, count in found.most_common(5))
    name, by = "calls that fail", _by(books.TEMPORAL)
    return Tried(name, bool(found), text or "no call of an activity was repeated", by)


def _api(judgement: Judgement) -> Tried:
    cuts = sum(max(0, stage.feeds - 1) for stage in judgement.books.stages)
    again = sum(max(0, each.tries - 1) for job in judgement.books.jobs for each in job.submissions)
    text = f"the live feed was cut {cuts} time(s), {again} submission(s) were repeated"
    return Tried("an API that is away", bool(cuts or again), text, _by(books.RUNNER))


def _ends(judgement: Judgement) -> Tried:
    counts = {
        end: sum(stage.counts[end] for stage in judgement.stages)
        for end in ("degraded", "failed", "cancelled")
    }
    text = ", ".join(f"{count} {end}" for end, count in counts.items() if count)
    name, by = "ends other than success", _by(books.RECORDS)
    return Tried(name, bool(text), text or "every job that ended succeeded", by)


def _by(*known: books.Witness) -> str:
    return ", ".join(each.name for each in known)
