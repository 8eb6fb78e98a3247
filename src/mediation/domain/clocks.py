"""The clocks of a case 期限: the terms each runs under, the day it is due, and how that day was counted."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from mediation.domain.calendar import SHANGHAI
from mediation.domain.deadlines import Due, Extension, Interval, Line, Rule, explain, reckon
from mediation.domain.facts import Case, Clock, Day, Instant, Organisation
from mediation.domain.laws import Laws
from mediation.domain.vocabulary import ClockState, ExtendBy, Label, Unit

SOON_DAYS = 3
"""So many days before its last day a clock is due soon [Q], earlier where its rule has the body reminded earlier."""


class Urgency(NamedTuple):
    """How urgent it is: a running clock has run out, or soon will."""

    overdue: bool = False
    due_soon: bool = False


class Running(msgspec.Struct, frozen=True, array_like=True):
    """A running clock, as far as it says how urgent a case is: by the rules of the `body` that conducts it."""

    rule: str
    body: str
    due_on: Day
    runs_out: Instant


def terms(laws: Laws, clock: Clock, division: str) -> Rule:
    """The rule of a clock with the terms it started under, whatever its pack says by now."""
    rule_id, _, valid_from = clock.rule.partition("@")
    rule = laws.version(clock.rule, division) or Rule(
        id=rule_id,
        zh=rule_id,
        en=rule_id,
        value=clock.value,
        unit=clock.unit,
        basis="",
        label=Label.G,
        valid_from=valid_from,
    )
    own: dict[str, Any] = {name: getattr(clock, name) for name in ("value", "unit", "roll", "exclude_start")}
    if clock.extended and (rule.extension is None or rule.extension.unit is not clock.extended_in):
        own["extension"] = Extension(by=ExtendBy.HEAD, unit=clock.extended_in)
    same = all(getattr(rule, name) == value for name, value in own.items())
    return rule if same else msgspec.structs.replace(rule, **own)


def conductor(case: Case, clock: Clock) -> str:
    """The body that conducts what a clock measures, "" if unknown."""
    if clock.handoff:
        return case.handoff(clock.handoff).from_org
    host = clock.leg or (case.agreement(clock.agreement).leg if clock.agreement else 0)
    return case.leg(host).org if host else ""


def division_of(case: Case, clock: Clock, orgs: Mapping[str, Organisation]) -> str:
    """The division whose rules a clock runs under: that of the body that conducts what it measures, "" if unknown."""
    return _division(orgs, conductor(case, clock))


def _division(orgs: Mapping[str, Organisation], body: str) -> str:
    return orgs[body].division if body in orgs else ""


def due_of(laws: Laws, clock: Clock, rule: Rule) -> Due:
    """When a clock is due under the calendar of these laws."""
    return reckon(rule, _start(clock), laws.calendar, stood=_stood(clock), extended=clock.extended)


def counted(laws: Laws, clock: Clock, rule: Rule) -> tuple[Line, ...]:
    """How a clock's due day is counted, step by step, under the calendar of these laws."""
    return explain(rule, _start(clock), laws.calendar, stood=_stood(clock), extended=clock.extended)


def runs_out(clock: Clock) -> Instant:
    """The instant at which a clock has run out: an hour rule's own, else midnight in Shanghai after its last day."""
    return clock.due_at or midnight(clock.due_on, 1)


def is_over(clock: Clock, at: Instant) -> bool:
    """Whether a clock has run out at an instant."""
    return bool(clock.due_on) and runs_out(clock) <= at


def is_warning(clock: Clock, at: Instant) -> bool:
    """Whether a reminder of a clock is due at an instant."""
    return bool(clock.warn_on) and midnight(clock.warn_on) <= at


def running(case: Case) -> tuple[Running, ...]:
    """The clocks that make a case urgent; of an archived case none does."""
    return () if case.archived else tuple(_running(case, clock) for clock in case.clocks if _is_running(clock))


def urgency(clocks: Iterable[Running], laws: Laws, orgs: Mapping[str, Organisation], at: Instant) -> Urgency:
    """How urgent it is at an instant: as the most urgent of its clocks."""
    overdue = due_soon = False
    for clock in clocks:
        if clock.runs_out <= at:
            overdue = True
        elif not due_soon:
            rule = laws.version(clock.rule, _division(orgs, clock.body))
            due_soon = midnight(clock.due_on, -max((SOON_DAYS, *(rule.warn if rule else ())))) <= at
    return Urgency(overdue, due_soon)


def urgencies(case: Case, laws: Laws, orgs: Mapping[str, Organisation], at: Instant) -> list[Urgency]:
    """How urgent each clock of a case is at an instant, in their order; in an archived case nothing is."""
    return [
        urgency([_running(case, clock)] if _is_running(clock) and not case.archived else [], laws, orgs, at)
        for clock in case.clocks
    ]


def most_urgent(found: list[Urgency]) -> Urgency:
    """Of a case: whether any of its clocks has run out, and whether any soon will."""
    return Urgency(any(one.overdue for one in found), any(one.due_soon for one in found))


def _is_running(clock: Clock) -> bool:
    return clock.state is ClockState.RUNNING and bool(clock.due_on)


def _running(case: Case, clock: Clock) -> Running:
    return Running(clock.rule, conductor(case, clock), clock.due_on, runs_out(clock))


@lru_cache(maxsize=4096)
def midnight(day: Day, after: int = 0) -> Instant:
    """The instant at which a day in Shanghai (or one so many days `after`) begins."""
    begins = datetime.combine(date.fromisoformat(day) + timedelta(days=after), time(), SHANGHAI)
    return begins.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def warning_after(rule: Rule, due_on: Day, day: Day) -> Day:
    """The first day after `day` on which the rule has the body reminded that the clock is due; "" for none."""
    last = date.fromisoformat(due_on)
    days = ((last - timedelta(days=before)).isoformat() for before in rule.warn)
    return min((on for on in days if on > day), default="")


def _start(clock: Clock) -> date | datetime:
    return datetime.fromisoformat(clock.from_at) if clock.unit is Unit.HOUR else date.fromisoformat(clock.from_on)


def _stood(clock: Clock) -> list[Interval]:
    days = [date.fromisoformat(day) for day in clock.stood]
    return list(zip(days[::2], days[1::2], strict=True))
