"""A plan is taken whole or refused whole: every mistake is named before anything changes."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from services.mock_core.faults.kinds import KINDS, Fault, Where, names_at
from services.mock_core.faults.presets import PRESETS
from services.mock_core.faults.rules import Effect, Rule, number_test, text_matcher
from services.mock_core.problems import Problem
from shared.http.mistakes import MOST, member_of, sentence_of

MAX_RULES = 10_000
# Of one rule.
MAX_VALUES = 500
ParsedRule = tuple[Rule, list[Fault]]
_NEVER_A_RESULT = {
    *("start.fail", "start.out-of-memory", "start.never-start", "start.stick", "start.vanish"),
}
# Two of one group in one rule contradict each other.
EXCLUSIVE = (
    {"submit.refuse", "submit.reset", "submit.hang", "submit.lose-reply", "submit.accept-late"},
    {"submit.lose-reply", "submit.reply-after-callback"},
    {"submit.accept-late", "submit.reply-after-callback"},
    _NEVER_A_RESULT,
    {"poll.refuse", "poll.reset", "poll.hang", "poll.forget", "poll.garbage"},
    {"poll.garbage", "poll.truncate"},
    {"progress.unknown-state", "progress.relapse"},
    {"result.refuse", "result.reset", "result.hang", "result.truncate", "result.empty"},
    {"result.refuse", "result.redirect", "result.expire", "result.corrupt", "result.swap"},
    {"result.empty", "result.corrupt", "result.swap", "result.drip"},
    {"result.reset", "result.drip"},
    {"callback.unknown-job", "callback.other-job"},
    {"callback.garbage", "callback.truncate", "callback.oversize"},
    {"callback.garbage", "callback.envelope"},
    {"callback.hold", "callback.after-poll"},
)
_NEVER_ACCEPTED = {"submit.refuse", "submit.reset", "submit.hang"}
_NEVER_SUCCEEDS = {"progress.no-url", "progress.relapse"}


@dataclass(slots=True)
class Mistakes:
    found: list[dict[str, str]] = field(default_factory=list)

    def add(self, rule: str, member: str, problem: str) -> None:
        if not self.full:
            self.found.append({"rule": rule, "field": member, "message": problem})

    @property
    def full(self) -> bool:
        """An answer does not grow with what was sent."""
        return len(self.found) >= MOST

    def add_all(self, rule: str, prefix: str, error: ValidationError) -> None:
        for item in error.errors()[:MOST]:
            path = ".".join(part for part in (prefix, member_of(item["loc"])) if part)
            self.add(rule, path, sentence_of(item))


def parse_rules(raw: Sequence[Any], mistakes: Mistakes) -> list[ParsedRule]:
    """Rules with the fault of each effect; incomplete when mistakes were added."""
    if len(raw) > MAX_RULES:
        mistakes.add("", "rules", f"at most {MAX_RULES} rules")
        return []
    rules: list[ParsedRule] = []
    names: set[str] = set()
    for index, item in enumerate(raw):
        if mistakes.full:
            break
        label = _label(item, index)
        if _values(item) > MAX_VALUES:
            mistakes.add(label, "", f"holds more than {MAX_VALUES} values")
            continue
        try:
            rule = Rule.model_validate(item)
        except ValidationError as error:
            mistakes.add_all(label, "", error)
            _read_loose(item, label, mistakes)
            continue
        if rule.name is not None and rule.name in names:
            mistakes.add(label, "name", "another rule of this plan has it")
        names.add(rule.name or "")
        rules.append((rule, _check(rule, label, mistakes)))
    return rules


def _values(item: Any) -> int:
    """How many values it holds, as far as a rule may."""
    ahead, count = [item], 0
    while ahead and count <= MAX_VALUES:
        value = ahead.pop()
        count += 1
        if isinstance(value, dict | list):
            ahead.extend(value.values() if isinstance(value, dict) else value)
    return count + len(ahead)


def _label(item: Any, index: int) -> str:
    name = item.get("name") if isinstance(item, dict) else None
    return name if isinstance(name, str) else f"#{index + 1}"


def _check(rule: Rule, label: str, mistakes: Mistakes) -> list[Fault]:
    for member, problem in (*_shape(rule), *_selection(rule), *_sense(rule)):
        mistakes.add(label, member, problem)
    return _read_effects(rule, label, mistakes)


def _shape(rule: Rule) -> Iterator[tuple[str, str]]:
    if rule.effects and (rule.where or rule.do or rule.with_ is not None):
        yield "effects", "give either effects, or where and do"
    elif not rule.effects:
        if rule.where is None:
            yield "where", "missing: one of " + ", ".join(Where)
        if rule.do is None:
            yield "do", "missing"


def _selection(rule: Rule) -> Iterator[tuple[str, str]]:
    for member in ("prompt", "style", "tag", "id", "external_id"):
        pattern = getattr(rule.match, member)
        problem = _fails(text_matcher, pattern)
        if problem:
            yield f"match.{member}", problem
    for path, spec in (
        ("match.nth", rule.match.nth),
        ("often.events", rule.often.events),
        ("often.attempts", rule.often.attempts),
    ):
        problem = _fails(number_test, spec)
        if problem:
            yield path, problem


def _fails(read: Any, value: object) -> str:
    if value is None:
        return ""
    try:
        read(value)
    except ValueError as error:
        return str(error)
    return ""


def _sense(rule: Rule) -> Iterator[tuple[str, str]]:
    effects = rule.all_effects()
    names = [f"{effect.where}.{effect.do}" for effect in effects]
    points = {effect.where for effect in effects}
    if len(set(names)) < len(names):
        yield "effects", "the same effect twice"
    for group in EXCLUSIVE:
        both = sorted(group & set(names))
        if len(both) > 1:
            yield "effects", f"{' and '.join(both)} contradict each other"
    yield from _impossible(set(names), points)
    if rule.service == "image" and Where.CALLBACK in points:
        yield "where", "the image service sends no callbacks"
    for effect in effects:
        kind = KINDS.get((effect.where, effect.do))
        if kind is not None and kind.service not in (None, rule.service) and rule.service:
            yield "do", f"the {rule.service} service has no {effect.where}.{effect.do}"
    if rule.match.status is not None and Where.CALLBACK not in points:
        yield "match.status", "only callbacks have it"
    if rule.often.first is not None and rule.often.events is not None:
        yield "often", "first and events contradict each other"
    yield from _ends(rule)


def _impossible(names: set[str], points: set[Where]) -> Iterator[tuple[str, str]]:
    later = sorted(points - {Where.SUBMIT})
    refused = sorted(names & _NEVER_ACCEPTED)
    if refused and later:
        yield "effects", f"after {refused[0]} there is nothing to disturb at {', '.join(later)}"
    dead = sorted(names & _NEVER_A_RESULT)
    if dead and Where.RESULT in points:
        yield "effects", f"after {dead[0]} there is no result to disturb"
    hopeless = sorted(names & _NEVER_SUCCEEDS)
    if dead and hopeless:
        yield "effects", f"after {dead[0]} there is no success for {hopeless[0]}"
    silent = sorted(name for name in names if name.startswith("callback."))
    if "callback.lose" in names and len(silent) > 1:
        others = ", ".join(name for name in silent if name != "callback.lose")
        yield "effects", f"a lost callback cannot be disturbed further by {others}"


def _ends(rule: Rule) -> Iterator[tuple[str, str]]:
    begins, ends = rule.after.seconds, rule.until.seconds
    if begins is not None and ends is not None and ends <= begins:
        yield "until.seconds", "ends before after.seconds has passed"
    if rule.until.at is None:
        return
    if rule.until.at.tzinfo is None:
        yield "until.at", "needs a time zone"
    elif rule.until.at.timestamp() <= time.time():
        yield "until.at", "lies in the past"


def _read_effects(rule: Rule, label: str, mistakes: Mistakes) -> list[Fault]:
    faults: list[Fault] = []
    for index, effect in enumerate(rule.all_effects()):
        prefix = f"effects[{index}]." if rule.effects else ""
        read = _read_effect(effect, label, mistakes, prefix=prefix)
        if read is not None:
            faults.append(read)
    return faults


def _read_effect(effect: Effect, label: str, mistakes: Mistakes, *, prefix: str) -> Fault | None:
    kind = KINDS.get((effect.where, effect.do))
    if kind is None:
        known = ", ".join(names_at(effect.where))
        problem = f"no {effect.do!r} at {effect.where}: one of {known}"
        mistakes.add(label, f"{prefix}do", problem)
        return None
    try:
        return kind.model_validate(effect.with_)
    except ValidationError as error:
        mistakes.add_all(label, f"{prefix}with", error)
        return None


def _read_loose(item: Any, label: str, mistakes: Mistakes) -> None:
    """Find what else is wrong in a rule that has a mistake already."""
    if not isinstance(item, dict):
        return
    listed = item.get("effects")
    loose = listed if isinstance(listed, list) and listed else [item]
    for index, part in enumerate(loose):
        if not isinstance(part, dict):
            continue
        prefix = f"effects[{index}]." if loose is listed else ""
        picked = {name: part[name] for name in ("where", "do", "with") if name in part}
        try:
            effect = Effect.model_validate(picked)
        except ValidationError:
            continue
        _read_effect(effect, label, mistakes, prefix=prefix)


_PLAN_MEMBERS = {"rules", "preset", "seed"}


@dataclass(frozen=True, slots=True)
class PlanRequest:
    rules: list[ParsedRule]
    seed: int | None


def read_plan(body: Mapping[str, Any]) -> PlanRequest:
    """The whole plan, or a problem (422) that names every mistake in it."""
    mistakes = Mistakes()
    raw: list[Any] = []
    seed = None
    if _PLAN_MEMBERS & set(body):
        for unknown in sorted(set(body) - _PLAN_MEMBERS):
            mistakes.add("", unknown, "not a member of a plan")
        raw = [*_preset(body, mistakes), *_listed(body, mistakes)]
        seed = _seed(body, mistakes)
    else:
        raw = [body]
    rules = parse_rules(raw, mistakes)
    if mistakes.found:
        raise Problem(
            422,
            "bad_fault_plan",
            detail="; ".join(
                f"rule {item['rule'] or '-'}: {item['field']}: {item['message']}"
                for item in mistakes.found
            ),
            errors=mistakes.found,
        )
    return PlanRequest(rules, seed)


def _preset(body: Mapping[str, Any], mistakes: Mistakes) -> list[Any]:
    if "preset" not in body:
        return []
    preset = PRESETS.get(body["preset"]) if isinstance(body["preset"], str) else None
    if preset is None:
        mistakes.add("", "preset", "one of " + ", ".join(PRESETS))
        return []
    return list(preset.rules)


def _listed(body: Mapping[str, Any], mistakes: Mistakes) -> list[Any]:
    rules = body.get("rules", [])
    if not isinstance(rules, list):
        mistakes.add("", "rules", "must be a list")
        return []
    return rules


def _seed(body: Mapping[str, Any], mistakes: Mistakes) -> int | None:
    seed = body.get("seed")
    if seed is None or (isinstance(seed, int) and not isinstance(seed, bool)):
        return seed
    mistakes.add("", "seed", "must be a whole number")
    return None
