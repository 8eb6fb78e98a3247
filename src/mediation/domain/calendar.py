"""Working days, rest days and the counting of days, from published notices; pure.

A year without a published notice counts Monday to Friday as working days and says so (`provisional`).
"""

import csv
from calendar import monthrange
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")
_SATURDAY = 5


class WorkCalendar(NamedTuple):
    """The published exceptions: rest days on weekdays, working days on weekends, and the years noticed."""

    rest: frozenset[date] = frozenset()
    work: frozenset[date] = frozenset()
    years: frozenset[int] = frozenset()

    def is_working(self, day: date) -> bool:
        """工作日: a weekday that is no holiday, or a make-up Saturday or Sunday."""
        return day in self.work or (day.weekday() < _SATURDAY and day not in self.rest)

    def is_provisional(self, day: date) -> bool:
        """No notice was published for the year of this day."""
        return day.year not in self.years

    def add_working_days(self, start: date, days: int) -> date:
        """The `days`-th working day after `start`, which is not counted (民法典 201)."""
        day = start
        while days > 0:
            day += timedelta(days=1)
            days -= self.is_working(day)
        return day

    def roll(self, day: date) -> date:
        """The day itself if it is a working day, else the next that is (民法典 203; weekends [G], domain §11.10)."""
        while not self.is_working(day):
            day += timedelta(days=1)
        return day


def parse_notices(text: str) -> WorkCalendar:
    """A calendar from CSV `date,is_workday,kind,name`; ValueError on a bad row."""
    rest: set[date] = set()
    work: set[date] = set()
    for row in csv.DictReader(text.splitlines()):
        day = date.fromisoformat(row["date"])
        (work if row["is_workday"] == "1" else rest).add(day)
    return WorkCalendar(frozenset(rest), frozenset(work), frozenset(day.year for day in rest))


def add_months(start: date, months: int) -> date:
    """The corresponding day, or the last of the month where there is none (民法典 202)."""
    index = start.month - 1 + months
    year, month = start.year + index // 12, index % 12 + 1
    return date(year, month, min(start.day, monthrange(year, month)[1]))


def day_of(instant: str) -> date:
    """The legal day in Asia/Shanghai of an RFC 3339 instant."""
    return datetime.fromisoformat(instant).astimezone(SHANGHAI).date()
