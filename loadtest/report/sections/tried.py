"""What this run did not try, so that nobody takes its silence for an answer."""

from loadtest.judge.claims import BROKEN, NOT_TRIED, PARTLY, SHOWN, Claim, claims
from loadtest.judge.judge import Judgement
from loadtest.judge.tried import Rule, Tried, rules, tried
from loadtest.report.blocks import BAD, GOOD, WARN, Block, Cell, Section, Table, Text, own, row

_TONES = {SHOWN: GOOD, PARTLY: WARN, NOT_TRIED: WARN, BROKEN: BAD}


def section(judgement: Judgement) -> Section:
    """Each claim of the README, and everything that a run can try."""
    lead = (
        "A run shows what it came across, and no more. Everything here is read from the books; "
        "what was only asked for does not count."
    )
    known = tried(judgement)
    blocks: list[Block] = [
        Text(_summary(known)),
        Table(
            ("claim of the README", "in this run", "what was seen", "shown by tests in any case"),
            [_claim(claim) for claim in claims(judgement)],
            "Claims",
        ),
        Table(
            ("could be tried", "tried", "what was seen", "by the book"),
            [_tried(each) for each in known],
            "What was tried",
        ),
    ]
    if found := rules(judgement):
        heads = ("service", "rule", "fault", "armed at the beginning", "#met jobs of this run")
        blocks.append(Table(heads, list(map(_rule, found)), "Fault rules"))
    return Section("What this run did not try", lead, blocks)


def _summary(known: list[Tried]) -> str:
    left = [each.name for each in known if each.tried is False]
    return f"Not tried by this run: {', '.join(left)}." if left else "All of it was tried."


def _claim(claim: Claim) -> tuple[Cell, ...]:
    return row(
        claim.text,
        Cell(claim.state, _TONES[claim.state]),
        claim.why,
        "; ".join(claim.tests),
    )


def _tried(each: Tried) -> tuple[Cell, ...]:
    answer = {True: Cell("yes", GOOD), False: Cell("no", WARN), None: Cell("–")}[each.tried]
    return row(each.name, answer, each.text, each.by)


def _rule(rule: Rule) -> tuple[Cell, ...]:
    fired = Cell(str(rule.fired), "" if rule.fired else WARN)
    return row(
        rule.service, own(rule.name), own(rule.effects), "yes" if rule.armed else "no", fired
    )
