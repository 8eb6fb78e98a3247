"""What a step adds to the statistics of bodies, leg by leg: what came in, what became of it, after how many days."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import accumulate, zip_longest
from typing import NamedTuple

from mediation.domain.calendar import day_of
from mediation.domain.clocks import is_over
from mediation.domain.facts import Case, Clock, Day, Leg
from mediation.domain.vocabulary import Category, ClockState, LegState, Outcome, Tallied

ENDED = "ended_"
"""Before an outcome: how many legs ended so."""

EVERY = ""
"""The category of the rows that count all categories."""

_MEDIATED = frozenset({LegState.ACCEPTED, LegState.MEDIATING, LegState.SUSPENDED})
_HOME = frozenset({LegState.UNSETTLED, LegState.DECIDING})
_NONE = Leg(0)


class Tally(NamedTuple):
    """So many more (or, `more` being -1, fewer) of `what` at a body in a year of Asia/Shanghai, in a category.

    `what` is a word of `Tallied`, or `ended_` and an outcome; what is open is of no year, 0. `days`: the calendar days
    from the leg's opening to its end, for `ended` and `settled`; else -1.
    """

    org: str
    year: int
    category: str
    what: str
    days: int = -1
    more: int = 1


class Summed(NamedTuple):
    """A row of the table of counts, of a body and all below it: how many, and how many took 0 days, 1 day and so on.

    `category`: one of them, or `EVERY`.
    """

    org: str
    year: int
    category: str
    what: str
    many: int
    days: list[int]


def tallies(before: Case | None, after: Case) -> tuple[Tally, ...]:
    """What the step from `before` (None: it opened the case) to `after` adds to the counts; pure, most often nothing.

    Summed over a history it is what docs/statistics.md says. A leg merged away is taken out of what had come in, and a
    corrected category moves what had come in and is open; whatever became of a leg stays where it was counted.
    """
    if before is not None and before.legs is after.legs and before.category is after.category:
        return ()
    return tuple(_tallies(before, after))


def _tallies(before: Case | None, after: Case) -> Iterator[Tally]:
    category = after.category
    if before is None:
        yield _came(after, category, 1)
    elif before.category is not category:
        yield from _moved(before, category)
    if before and after.merged_into and not before.merged_into:
        yield _came(after, category, -1)
    known = len(before.legs) if before else 0
    for number, leg in enumerate(after.legs):
        earlier = before.legs[number] if before and number < known else _NONE
        if earlier is not leg:
            yield from _of_leg(before, earlier, leg, after)


def _of_leg(before: Case | None, earlier: Leg, leg: Leg, after: Case) -> Iterator[Tally]:
    category = after.category
    if earlier is _NONE:
        yield _on(leg, leg.filed_on, category, Tallied.RECEIVED)
        yield _open(leg, category, 1)
    if leg.accepted_on and not earlier.accepted_on:
        yield _on(leg, leg.accepted_on, category, Tallied.ACCEPTED)
    if earlier.state is leg.state:
        return
    day = day_of(after.at)
    here = Tally(leg.org, day.year, category.value, "")
    if leg.state is LegState.ENDED:
        yield _open(leg, category, -1)
        late = before is not None and any(_ran_out(before, clock, leg.id, after.at) for clock in before.clocks)
        yield from _ended(here, earlier, leg, day, late=late)
    elif turned := _turned(earlier.state, leg.state):
        yield here._replace(what=turned.value)


def _turned(earlier: LegState, state: LegState) -> Tallied | None:
    """What it says that a leg went from one state to another and goes on."""
    if state is LegState.SETTLED:
        return Tallied.AGREED
    if state in _HOME:
        return Tallied.FAILED if earlier in _MEDIATED else Tallied.FELL_THROUGH if earlier is LegState.SETTLED else None
    return None


def _ended(here: Tally, earlier: Leg, leg: Leg, day: date, *, late: bool) -> Iterator[Tally]:
    yield here._replace(what=f"{ENDED}{leg.outcome}")
    if leg.outcome == Outcome.MERGED:
        yield from _came_in(leg, Category(here.category), -1)
        return
    days = (day - date.fromisoformat(leg.filed_on)).days
    yield here._replace(what=Tallied.ENDED.value, days=days)
    reported = earlier.state is LegState.SETTLED and leg.outcome == Outcome.REPORTED
    if reported or leg.outcome == Outcome.SETTLED:
        yield here._replace(what=Tallied.SETTLED.value, days=days)
    if late:
        yield here._replace(what=Tallied.LATE.value)


def _moved(before: Case, category: Category) -> Iterator[Tally]:
    """The category was corrected: what had come in under the old one and is open came in under the new one."""
    if not before.merged_into:
        yield _came(before, before.category, -1)
        yield _came(before, category, 1)
    for leg in before.legs:
        if leg.open:
            for one, more in ((before.category, -1), (category, 1)):
                yield from _came_in(leg, one, more)
                yield _open(leg, one, more)


def _came(case: Case, category: Category, more: int) -> Tally:
    first = case.legs[0]
    return _on(first, first.filed_on, category, Tallied.CASES, more)


def _came_in(leg: Leg, category: Category, more: int) -> Iterator[Tally]:
    yield _on(leg, leg.filed_on, category, Tallied.RECEIVED, more)
    if leg.accepted_on:
        yield _on(leg, leg.accepted_on, category, Tallied.ACCEPTED, more)


def _open(leg: Leg, category: Category, more: int) -> Tally:
    return Tally(leg.org, 0, category.value, Tallied.OPEN.value, more=more)


def _on(leg: Leg, day: Day, category: Category, what: Tallied, more: int = 1) -> Tally:
    return Tally(leg.org, int(day[:4]), category.value, what.value, more=more)


def _ran_out(case: Case, clock: Clock, leg: int, at: str) -> bool:
    """Whether a clock measures what the body of this leg had to do in it, and has run out on it."""
    owed_by = case.handoff(clock.handoff).to_leg if clock.handoff else clock.leg
    if owed_by != leg or clock.agreement or clock.complaint or clock.listing:
        return False
    over = clock.state is ClockState.RUNNING and is_over(clock, at)
    return over or clock.alarmed or clock.state is ClockState.LAPSED


class Sums:
    """Tallies added up by body, year, category and what; each body by itself."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int, str, str], int] = {}
        self._days: dict[tuple[str, int, str, str], dict[int, int]] = {}

    def add(self, tallies: Iterable[Tally]) -> None:
        for tally in tallies:
            key = tally[:4]
            self._counts[key] = self._counts.get(key, 0) + tally.more
            if tally.days >= 0:
                days = self._days.setdefault(key, {})
                days[tally.days] = days.get(tally.days, 0) + tally.more

    @property
    def bodies(self) -> frozenset[str]:
        """The bodies of which there is anything."""
        return frozenset(org for org, *_ in self._counts)

    def rows(self, paths: Mapping[str, Sequence[str]]) -> list[Summed]:
        """Each sum that is not nothing, of a body and all below it, in the order of body, year, category and what.

        `paths`: all bodies above each; where there are none it may be left out.
        """
        counts: dict[tuple[str, int, str, str], int] = {}
        days: dict[tuple[str, int, str, str], dict[int, int]] = {}
        for key, many in self._counts.items():
            for place in _places(key, paths):
                counts[place] = counts.get(place, 0) + many
        for key, took in self._days.items():
            for place in _places(key, paths):
                whole = days.setdefault(place, {})
                for day, many in took.items():
                    whole[day] = whole.get(day, 0) + many
        return [Summed(*key, many, _spread(days.get(key, {}))) for key, many in sorted(counts.items()) if many]


def _places(key: tuple[str, int, str, str], paths: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, int, str, str]]:
    """Where a sum of a body counts: at itself and at all above it, in its category and in all together."""
    org, year, category, what = key
    for body in (org, *paths.get(org, ())):
        yield body, year, category, what
        yield body, year, EVERY, what


def _spread(days: Mapping[int, int]) -> list[int]:
    return [days.get(day, 0) for day in range(max(days) + 1)] if days else []


def together(days: Iterable[Sequence[int]]) -> list[int]:
    """How many took 0 days, 1 day, 2 days and so on, in all of these."""
    return [sum(each) for each in zip_longest(*days, fillvalue=0)]


def median(days: Sequence[int]) -> int | None:
    """The median in whole days, given how many took 0 days, 1 day and so on; the lower of two in the middle.

    None, where there are none.
    """
    half = (sum(days) + 1) // 2
    return next((day for day, reached in enumerate(accumulate(days)) if 0 < half <= reached), None)
