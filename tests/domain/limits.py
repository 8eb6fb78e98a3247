"""Limits for the tests, told or drawn by chance, and an oracle that shares nothing with what it judges.

The oracle writes the days of a limit down one by one, strikes out those that stood still, and takes the last.
"""

from datetime import date, timedelta
from importlib.resources import files

import chinese_calendar
from hypothesis import strategies as st

from mediation.domain.calendar import parse_notices
from mediation.domain.deadlines import Extension, Interval, Rule
from mediation.domain.vocabulary import ExtendBy, Label, RollOver, Unit

PACKAGED = (files("mediation") / "data" / "workday_exceptions_2004_2026.csv").read_text("utf-8")
PUBLISHED = parse_notices({"workdays.csv": PACKAGED})
ONE_DAY = timedelta(days=1)
CALENDAR_DAY, WORKING_DAY, MONTH, YEAR, HOUR = Unit
REST_DAY, STATUTORY, NONE = RollOver
APPRAISAL = ["2026-06-10/2026-07-08"]


def limit(
    value: int,
    unit: Unit,
    roll: RollOver = REST_DAY,
    extension: Unit | None = None,
    *,
    exclude_start: bool = True,
    told: bool = False,
) -> Rule:
    return Rule(
        id="X",
        zh="某期限",
        en="a limit",
        value=value,
        unit=unit,
        basis="某法第1条",
        label=Label.P,
        valid_from="2000-01-01",
        from_zh="协议生效" if told else "",
        from_en="the agreement takes effect" if told else "",
        roll=roll,
        extension=Extension(ExtendBy.PARTIES, unit=extension) if extension else None,
        exclude_start=exclude_start,
    )


def days(*written: str) -> list[Interval]:
    pairs = (pair.split("/") for pair in written)
    return [(date.fromisoformat(first), date.fromisoformat(last)) for first, last in pairs]


def works(day: date) -> bool:
    return bool(chinese_calendar.is_workday(day)) if 2004 <= day.year <= 2026 else day.weekday() < 5


def holiday(day: date) -> bool:
    """A weekday off, or a day of a run of days off that holds one."""
    run, at = [day], day
    while not works(at := at - ONE_DAY):
        run.append(at)
    at = day
    while not works(at := at + ONE_DAY):
        run.append(at)
    return not works(day) and any(one.weekday() < 5 for one in run)


def corresponding(start: date, months: int) -> date:
    year, month, day = start.year, start.month, start.day
    for _ in range(months):
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    while True:
        try:
            return date(year, month, day)
        except ValueError:
            day -= 1


def shortened(first: date, stood: list[Interval]) -> list[date]:
    """The timeline from a day on without the days that stood still."""
    still = {begins + ONE_DAY * n for begins, until in stood for n in range((until - begins).days + 1)}
    return [day for n in range(2500) if (day := first + ONE_DAY * n) not in still]


def oracle(rule: Rule, start: date, stood: list[Interval], extended: int) -> tuple[str, bool]:
    """The last day of a limit, and whether a day of a year without a notice was asked about."""
    asked: list[date] = []

    def end(timeline: list[date], number: int, unit: Unit, origin: date) -> date:
        if unit is WORKING_DAY:
            worked = [day for day in timeline[: number * 3 + 60] if works(day)]
            asked.extend(day for day in timeline if day <= worked[number - 1])
            return worked[number - 1]
        if unit in {MONTH, YEAR}:
            number = (corresponding(origin, number * (12 if unit is YEAR else 1)) - origin).days
        return timeline[number - 1]

    last = end(shortened(start + ONE_DAY * rule.exclude_start, stood), rule.value, rule.unit, start)
    if rule.extension and extended:
        last = end(shortened(last + ONE_DAY, stood), extended, rule.extension.unit, last)
    for day in [last] if rule.roll is NONE else shortened(last, stood):
        if rule.roll is NONE:
            return day.isoformat(), any(one.year > 2026 for one in asked)
        asked.append(day)
        if works(day) or (rule.roll is STATUTORY and not holiday(day)):
            return day.isoformat(), any(one.year > 2026 for one in asked)
    raise AssertionError


UNITS = st.sampled_from([CALENDAR_DAY, WORKING_DAY, MONTH, YEAR])
STARTS = st.dates(date(2004, 1, 1), date(2027, 12, 31))
RULES = st.builds(
    lambda unit, value, roll, extension, exclude: limit(
        value if unit in {CALENDAR_DAY, WORKING_DAY} else value // (20 if unit is YEAR else 4) + 1,
        unit,
        roll,
        extension,
        exclude_start=exclude,
    ),
    UNITS,
    st.integers(1, 60),
    st.sampled_from(RollOver),
    st.none() | UNITS.filter(lambda unit: unit is not YEAR),
    st.booleans(),
)


@st.composite
def intervals(draw: st.DrawFn) -> tuple[date, list[Interval]]:
    """A start, and days around and after it that stood still: in any order, apart, touching or one over another."""
    start = draw(STARTS)
    shapes = draw(st.lists(st.tuples(st.integers(-15, 120), st.integers(0, 40)), max_size=5))
    return start, [(start + ONE_DAY * begins, start + ONE_DAY * (begins + more)) for begins, more in shapes]
