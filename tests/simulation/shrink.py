"""A history for a person: told, and shrunk to the smallest plan that still breaks the same rule."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeVar

from tests.simulation.plan import JobPlan, Options, Plan, Quirk, Rule, differences
from tests.simulation.simulation import Outcome, simulate

T = TypeVar("T")
PLAIN = Options(forgets=0.0, loses=0.0, slow=0.0)
MOST_TRIES = 1500


def told(outcome: Outcome) -> str:
    """The plan as it differs from a plain one, the history, and the violations."""
    plan = outcome.plan
    lines = [f"seed {plan.seed}; options {differences(plan.options, PLAIN)}"]
    for index, job in plan.present():
        lines.append(f"  job {index} at {job.at} s {differences(job, JobPlan(job.at))}")
    for strike in plan.strikes:
        when = f"{strike.delay} s after '{strike.mark}'" if strike.mark else f"at {strike.delay} s"
        how = f"share {strike.share}, {strike.seconds} s"
        lines.append(f"  {strike.kind} of {strike.job}, {when} ({how})")
    return "\n".join([*lines, *outcome.told, *(f"!! {each}" for each in outcome.violations)])


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
            if any(violation.rule is rule for violation in simulate(candidate).violations):
                plan, smaller = candidate, True
                break
    return plan


def _simpler(plan: Plan) -> Iterator[Plan]:
    strikes, jobs = plan.strikes, plan.jobs
    for place in range(len(strikes)):
        yield replace(plan, strikes=strikes[:place] + strikes[place + 1 :])
    for index, _ in reversed(plan.present()):
        yield replace(plan, jobs=_with(jobs, index, None))
    for options in _plainer(plan.options, PLAIN):
        yield replace(plan, options=options)
    for index, job in plan.present():
        for simpler in _plainer(job, JobPlan(job.at)):
            yield replace(plan, jobs=_with(jobs, index, simpler))
    for place, strike in enumerate(strikes):
        if strike.delay:
            yield replace(plan, strikes=_with(strikes, place, replace(strike, delay=0.0)))


def _plainer(value: Any, plain: Any) -> Iterator[Any]:
    """The same with one field as in the plain one, or with one quirk of a field that is plainer."""
    for name, present in differences(value, plain).items():
        yield replace(value, **{name: getattr(plain, name)})
        if isinstance(present, tuple):
            for place, quirk in enumerate(present):
                for simpler in _plainer(quirk, Quirk()):
                    yield replace(value, **{name: _with(present, place, simpler)})


def _with(items: tuple[T, ...], place: int, item: T) -> tuple[T, ...]:
    return (*items[:place], item, *items[place + 1 :])
