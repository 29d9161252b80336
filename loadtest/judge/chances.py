"""Recompute what each fault rule of the mocks decides: its seed, its name, job and event say it.

A mock decides before it knows what becomes of the job. So its trace has no fault that the rule did
not decide on, and lacks none of an event that other books know of.
"""

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from math import inf

from loadtest.books import raw
from loadtest.books.facts import Generation, mapping, whole
from loadtest.books.model import Books, JobFacts, Rule
from loadtest.judge.clocks import SERVER, Clocks
from loadtest.judge.compare import Finding, Subject
from loadtest.judge.ledgers import ENDS
from loadtest.times import instant

LATER = 1.0
"""Seconds within which a mock reports an end."""
PARTS = {"job": 1, "attempt": 2, "event": 4}
"""How many of the parts job, attempt, point and event a decision depends on."""
_PATTERNS = ("prompt", "style", "id", "external_id", "nth")
LIMITED = {"until.seconds", *(f"match.{name}" for name in _PATTERNS)}
"""Members of a rule that only its mock can evaluate."""


# A point that a generation passed, its number among the job's, and when, at the latest.
Event = tuple[JobFacts, Generation, int, float]


def of_run(books: Books, clocks: Clocks) -> Iterator[Finding]:
    """Find faults that their rule did not decide on, and events that a rule has met untraced."""
    if books.struck or any(map(books.was_killed, books.mocks)):
        return
    for rule in (rule for rule in books.rules if rule.service not in books.replanned):
        met: dict[tuple[str, int], float] = {}
        for job in books.jobs:
            for row in job.rows.get(raw.FAULTS, ()):
                if (row.get("service"), row.get("rule")) != (rule.service, rule.name):
                    continue
                where, key = str(row.get("where")), str(row.get("job_key"))
                number = whole(row.get("event"))
                met[key, number] = instant(row.get("at")) or 0.0
                if not decides(rule, where, key, attempt=row.get("attempt"), number=number):
                    name = row.get("external_id")
                    text = f"by its seed {rule.name} does not meet {where} {number} of {name}"
                    yield Subject(job.job_id, job.stage).found("faults.rule", text)
        until = mapping(rule.body.get("until"))
        members = {*rule.body, *(f"match.{name}" for name in mapping(rule.body.get("match")))}
        members |= {f"until.{name}" for name in until}
        # Once it is used up, it meets no event.
        left = until.get("count", inf) - whole(rule.body.get("fired"))
        last = max(met.values(), default=0.0) if len(met) >= left else inf
        known = books.done and rule.applies and not members & LIMITED
        where = rule.place.partition(".")[0]
        latest = {key: (number, at) for (key, number), at in sorted(met.items())}
        for job, made, number, at in _events(rule, where, books, clocks, latest) if known else ():
            key = str(made.row.get("job_key"))
            due = at < last and (key, number) not in met
            if due and decides(rule, where, key, attempt=made.attempt, number=number):
                name = made.external_id
                text = f"by its seed {rule.name} met {where} {number} of {name}, untraced"
                yield Subject(job.job_id, job.stage).found("faults.rule", text)


def _events(
    rule: Rule, where: str, books: Books, clocks: Clocks, latest: Mapping[str, tuple[int, float]]
) -> Iterator[Event]:
    """Return the events of ended jobs that are known to have happened, with the rule's own numbers.
    `latest` has the last event of each job that the rule has met, and its instant: all earlier
    events came before."""
    attempts = rule.often.get("attempts")
    wanted = mapping(rule.body.get("match")).get("status")
    for job in (job for job in books.jobs if job.ended):
        own = [g for g in job.generations if g.step == rule.service]
        if where in ("poll", "result") and len(own) == 1:
            last, at = latest.get(str(own[0].row.get("job_key")), (0, 0.0))
            yield from ((job, own[0], number, at) for number in range(2, last))
        own, number = [g for g in own if _is_among(attempts, g.attempt)], 0
        if where == "submit" and own and own[0].attempt == 1:
            yield job, own[0], 1, own[0].accepted or inf
        for place, made in enumerate(own, 1):
            if where == "start" and made.started is not None:
                yield job, made, place, made.finished or inf
            changes = sorted({each.status for each in made.callbacks}, key=ENDS.__contains__)
            if where == "callback" and len(changes) != len(books.changes):
                break
            for status in changes if where == "callback" else ():
                if wanted in (None, status):
                    number += 1
                    yield job, made, number, (made.finished or inf) + LATER
        # Each file that was stored was reported by a status call, and fetched.
        stored = {task: run.closed for run in job.executions for task in run.brought}
        if where in ("poll", "result") and len(own) == 1 and own[0].vendor_id in stored:
            closed = stored[own[0].vendor_id] or inf
            yield job, own[0], 1, closed + clocks.between(SERVER, rule.service)


def decides(rule: Rule, where: str, key: str, *, attempt: int | None, number: int) -> bool:
    """Whether a rule meets an event that it concerns, as long as it is not used up."""
    often, match = rule.often, mapping(rule.body.get("match"))
    events = f"1-{often['first']}" if "first" in often else often.get("events")
    if not (_is_among(events, number) and _is_among(often.get("attempts"), attempt)):
        return False
    if _drawn(rule, "share", key) >= match.get("share", 1.0):
        return False
    per = often.get("per") or ("attempt" if where in ("start", "progress") else "event")
    chance = _drawn(rule, "hit", *(key, attempt, where, number)[: PARTS[per]])
    return chance < float(often.get("probability", 1.0))


def _is_among(spans: object, number: int | None) -> bool:
    """True if a number is in spans such as `1-3,5-`, or if there are no spans."""
    for low, to, high in (span.partition("-") for span in str(spans or "0-").split(",")):
        if int(low) <= (number or 0) <= (float(high or inf) if to else int(low)):
            return True
    return False


def _drawn(rule: Rule, *parts: object) -> float:
    """Return the number from 0 to 1 that the rule's seed gives for these parts."""
    text = "\x1f".join(map(str, (rule.body.get("seed"), rule.name, *parts)))
    drawn = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(drawn, "big") / 2**64
