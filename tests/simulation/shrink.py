"""The smallest plan that still breaks the same rule: parts are left out one by one."""

from collections.abc import Iterator
from dataclasses import fields, replace

from tests.simulation.plan import JobPlan, Options, Plan, Quirk
from tests.simulation.simulation import simulate
from tests.simulation.verdicts import Rule

MOST_TRIES = 1500
PLAIN_OPTIONS = Options(forgets=0.0, loses=0.0, slow=0.0)


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
        plain = getattr(PLAIN_OPTIONS, each.name)
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
    for name in ("priority", "degrades"):
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
