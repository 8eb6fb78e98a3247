"""What a step adds to the statistics of bodies, leg by leg: what came in, what became of it, after how many days."""

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from mediation.domain.calendar import day_of
from mediation.domain.clocks import is_over
from mediation.domain.facts import Case, Clock, Day, Leg
from mediation.domain.vocabulary import Category, ClockState, LegState, Outcome, Tallied

ENDED = "ended_"
"""Before an outcome: how many legs ended so."""

_MEDIATED = frozenset({LegState.ACCEPTED, LegState.MEDIATING, LegState.SUSPENDED})
_HOME = frozenset({LegState.UNSETTLED, LegState.DECIDING})
_NONE = Leg(0)


class Tally(NamedTuple):
    """So many more (or, `more` being -1, fewer) of `what` at a body in a year of Asia/Shanghai, in a category.

    `what` is a word of `Tallied`, or `ended_` and an outcome. `days`: the calendar days from the leg's opening, where
    they are counted; else -1.
    """

    org: str
    year: int
    category: str
    what: str
    days: int = -1
    more: int = 1


def tallies(before: Case | None, after: Case) -> tuple[Tally, ...]:
    """What the step from `before` (None: it opened the case) to `after` adds to the counts; pure, most often nothing.

    Summed over a history it is what docs/statistics.md says. What is merged away is taken out of what had come in, and
    a corrected category moves what had come in; what became of it stays where it was counted.
    """
    if before is not None and before.legs is after.legs and before.category is after.category:
        return ()
    return tuple(_tallies(before, after))


def _tallies(before: Case | None, after: Case) -> Iterator[Tally]:
    category = after.category
    if before is None:
        yield _came(after, category, 1)
    elif after.merged_into and not before.merged_into:
        yield _came(after, before.category, -1)
    if before and before.category is not category:
        yield from _moved(before, category)
    known = len(before.legs) if before else 0
    for number, leg in enumerate(after.legs):
        earlier = before.legs[number] if before and number < known else _NONE
        if earlier is leg:
            continue
        if number >= known:
            yield _on(leg, leg.filed_on, category, Tallied.RECEIVED)
        if leg.accepted_on and not earlier.accepted_on:
            yield _on(leg, leg.accepted_on, category, Tallied.ACCEPTED)
        if earlier.state is not leg.state:
            yield from _turned(before, earlier, leg, after)


def _turned(before: Case | None, earlier: Leg, leg: Leg, after: Case) -> Iterator[Tally]:
    """What it says that a leg left its state."""
    day, category = day_of(after.at), after.category
    days = (day - date.fromisoformat(leg.filed_on)).days
    if leg.state is LegState.SETTLED:
        yield Tally(leg.org, day.year, category.value, Tallied.AGREED.value, days)
    elif leg.state in _HOME and earlier.state in _MEDIATED:
        yield Tally(leg.org, day.year, category.value, Tallied.FAILED.value)
    elif leg.state in _HOME and earlier.state is LegState.SETTLED:
        yield Tally(leg.org, day.year, category.value, Tallied.FELL_THROUGH.value)
    elif leg.state is LegState.ENDED:
        yield Tally(leg.org, day.year, category.value, f"{ENDED}{leg.outcome}", days)
        if leg.outcome == Outcome.MERGED:
            yield from _came_in(leg, category, -1)
            return
        reported = earlier.state is LegState.SETTLED and leg.outcome == Outcome.REPORTED
        if reported or leg.outcome == Outcome.SETTLED:
            yield Tally(leg.org, day.year, category.value, Tallied.SETTLED.value, days)
        if before and any(_ran_out(before, clock, leg.id, after.at) for clock in before.clocks):
            yield Tally(leg.org, day.year, category.value, Tallied.LATE.value)


def _moved(before: Case, category: Category) -> Iterator[Tally]:
    """The category was corrected: what had come in under the old one came in under the new one."""
    if not before.merged_into:
        yield _came(before, before.category, -1)
        yield _came(before, category, 1)
    for leg in before.legs:
        if leg.outcome != Outcome.MERGED:
            yield from _came_in(leg, before.category, -1)
            yield from _came_in(leg, category, 1)


def _came(case: Case, category: Category, more: int) -> Tally:
    first = case.legs[0]
    return _on(first, first.filed_on, category, Tallied.CASES, more)


def _came_in(leg: Leg, category: Category, more: int) -> Iterator[Tally]:
    yield _on(leg, leg.filed_on, category, Tallied.RECEIVED, more)
    if leg.accepted_on:
        yield _on(leg, leg.accepted_on, category, Tallied.ACCEPTED, more)


def _on(leg: Leg, day: Day, category: Category, what: Tallied, more: int = 1) -> Tally:
    return Tally(leg.org, int(day[:4]), category.value, what.value, more=more)


def _ran_out(case: Case, clock: Clock, leg: int, at: str) -> bool:
    """Whether a clock measures what the body of this leg had to do in it, and has run out on it."""
    owed_by = case.handoff(clock.handoff).to_leg if clock.handoff else clock.leg
    if owed_by != leg or clock.agreement or clock.complaint or clock.listing:
        return False
    over = clock.state is ClockState.RUNNING and is_over(clock, at)
    return over or clock.alarmed or clock.state is ClockState.LAPSED
