"""A history for a person: what was planned beside the ordinary, and what happened."""

from collections.abc import Iterator
from dataclasses import fields

from tests.simulation.plan import JobPlan, Options, Plan, Quirk, Strike
from tests.simulation.simulation import Outcome

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
    for name in ("image", "video"):
        quirks: tuple[Quirk, ...] = getattr(job, name)
        for number, quirk in enumerate(quirks, 1):
            if quirk != Quirk():
                text += f"; {name}.{number}: {quirk}"
    return text


def _strike(strike: Strike) -> str:
    when = f"{strike.delay} s after '{strike.mark}'" if strike.mark else f"at {strike.delay} s"
    return f"{strike.kind} of {strike.job}, {when} (share {strike.share}, {strike.seconds} s)"
