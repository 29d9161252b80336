"""A history for a person: told, and shrunk to the smallest plan that still breaks the same rule."""

from collections.abc import Iterator
from dataclasses import fields, replace

from tests.simulation.plan import JobPlan, Options, Plan, Quirk, Rule, Strike
from tests.simulation.simulation import Outcome, simulate

PLAIN = Options(forgets=0.0, loses=0.0, slow=0.0)


def told(outcome: Outcome, *, history: bool = True) -> str:
    """The plan, the history where it is wanted, and the violations."""
    lines = list(_plan(outcome.plan))
    if history:
        lines += outcome.told
    lines += [f"!! {violation}" for violation in outcome.violations]
    return "\n".join(lines)


def _plan(plan: Plan) -> Iterator[str]:
    yield f"seed {plan.seed}; {_options(plan.options)}"
    for index, job in plan.present():
        yield f"  job {index} at {job.at} s{_job(job)}"
    for strike in plan.strikes:
        yield f"  {_strike(strike)}"


def _options(options: Options) -> str:
    odd = [
        f"{each.name}={getattr(options, each.name)}"
        for each in fields(Options)
        if each.name not in ("jobs", "strikes", "odd", "kinds")
        and getattr(options, each.name) != getattr(PLAIN, each.name)
    ]
    return ", ".join(odd) or "plain options"


def _job(job: JobPlan) -> str:
    text = f", priority {job.priority}" if job.priority != JobPlan(0.0).priority else ""
    if job.degrades:
        text += ", degrades"
    if job.pipeline != JobPlan(0.0).pipeline:
        text += f", of {job.pipeline}"
    for name in ("image", "video"):
        quirks: tuple[Quirk, ...] = getattr(job, name)
        for number, quirk in enumerate(quirks, 1):
            if quirk != Quirk():
                text += f"; {name}.{number}: {quirk}"
    return text


def _strike(strike: Strike) -> str:
    when = f"{strike.delay} s after '{strike.mark}'" if strike.mark else f"at {strike.delay} s"
    return f"{strike.kind} of {strike.job}, {when} (share {strike.share}, {strike.seconds} s)"


MOST_TRIES = 1500


def shrunk(plan: Plan, rule: Rule) -> Plan:
    """Leave out what isn't needed, until nothing more can be left out."""
    tries = 0
    smaller = True
    while smaller:
        smaller = False
        for candidate in _simpler(plan):
            tries += 1
            if tries > MOST_TRIES:
                return plan
            if breaks(candidate, rule):
                plan, smaller = candidate, True
                break
    return plan


def breaks(plan: Plan, rule: Rule) -> bool:
    """Whether a plan breaks this rule."""
    return any(violation.rule is rule for violation in simulate(plan).violations)


def _simpler(plan: Plan) -> Iterator[Plan]:
    for place in range(len(plan.strikes)):
        yield replace(plan, strikes=plan.strikes[:place] + plan.strikes[place + 1 :])
    for index, _ in reversed(plan.present()):
        yield _with_job(plan, index, None)
    yield from _simpler_options(plan)
    for index, job in plan.present():
        for simpler in _simpler_jobs(job):
            yield _with_job(plan, index, simpler)
    for place, strike in enumerate(plan.strikes):
        if strike.delay:
            strikes = list(plan.strikes)
            strikes[place] = replace(strike, delay=0.0)
            yield replace(plan, strikes=tuple(strikes))


def _simpler_options(plan: Plan) -> Iterator[Plan]:
    for each in fields(Options):
        plain = getattr(PLAIN, each.name)
        if (
            each.name not in ("jobs", "strikes", "odd", "kinds")
            and getattr(plan.options, each.name) != plain
        ):
            yield replace(plan, options=replace(plan.options, **{each.name: plain}))


def _with_job(plan: Plan, index: int, job: JobPlan | None) -> Plan:
    jobs = list(plan.jobs)
    jobs[index] = job
    return replace(plan, jobs=tuple(jobs))


def _simpler_jobs(job: JobPlan) -> Iterator[JobPlan]:
    for name in ("image", "video"):
        quirks: tuple[Quirk, ...] = getattr(job, name)
        plain = tuple(Quirk() for _ in quirks)
        if quirks != plain:
            yield _with_quirks(job, name, plain)
        for place, quirk in enumerate(quirks):
            for simpler in _simpler_quirks(quirk):
                changed = (*quirks[:place], simpler, *quirks[place + 1 :])
                yield _with_quirks(job, name, changed)
    for name in ("priority", "degrades", "pipeline"):
        plain_value = getattr(JobPlan(0.0), name)
        if getattr(job, name) != plain_value:
            yield replace(job, **{name: plain_value})


def _with_quirks(job: JobPlan, name: str, quirks: tuple[Quirk, ...]) -> JobPlan:
    return replace(job, image=quirks) if name == "image" else replace(job, video=quirks)


def _simpler_quirks(quirk: Quirk) -> Iterator[Quirk]:
    plain = Quirk()
    if quirk == plain:
        return
    yield plain
    for each in fields(Quirk):
        if getattr(quirk, each.name) != getattr(plain, each.name):
            yield replace(quirk, **{each.name: getattr(plain, each.name)})
