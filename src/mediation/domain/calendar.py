"""Working days, rest days and the counting of days, from published notices; pure.

A year without a published notice counts Monday to Friday as working days and says so (`is_provisional`).
"""

import csv
from calendar import monthrange
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from mediation.domain.errors import Malformed, Reason
from mediation.domain.vocabulary import RollOver

SHANGHAI = ZoneInfo("Asia/Shanghai")
HEADER = ["date", "is_workday", "kind", "name"]
KINDS = {"holiday": "0", "in_lieu": "0", "weekend_workday": "1"}
"""What a row may be called, and the `is_workday` it must say."""

_DAY = timedelta(days=1)
_SATURDAY = 5
_FESTIVALS = (
    (("元旦（1月1日至3日）", "New Year (1–3 January)"), (1, 1), (1, 3), 1),
    (
        ("春节（1月20日至2月25日，三天以上）", "Spring Festival (three days of 20 January–25 February)"),
        (1, 20),
        (2, 25),
        3,
    ),
    (("国庆节（10月1日至3日）", "National Day (1–3 October)"), (10, 1), (10, 3), 1),
)
"""What every notice has: the name of a festival, its first and last day, and of these the weekdays of rest at least."""


class WorkCalendar(NamedTuple):
    """The published exceptions: rest days on weekdays, working days on weekends, and the years noticed.

    `skipping` are days left out as if they were not there: `(first, last)` both included, sorted, none overlapping.
    """

    rest: frozenset[date] = frozenset()
    work: frozenset[date] = frozenset()
    years: frozenset[int] = frozenset()

    def is_working(self, day: date) -> bool:
        """工作日: a weekday that is no holiday, or a make-up Saturday or Sunday."""
        return day in self.work or (day.weekday() < _SATURDAY and day not in self.rest)

    def is_statutory(self, day: date) -> bool:
        """法定休假日: a published rest day, or a weekend day that unbroken days without work join to one."""
        before, after = self.beside(day)
        return before in self.rest or after in self.rest

    def beside(self, day: date) -> tuple[date, date]:
        """The weekdays or make-up days just before and after the weekend of `day`; the day twice if it is none."""
        before = after = day
        while before.weekday() >= _SATURDAY and before not in self.work:
            before -= _DAY
        while after.weekday() >= _SATURDAY and after not in self.work:
            after += _DAY
        return before, after

    def published(self, year: int) -> bool:
        """Whether the notice of this year is known."""
        return year in self.years

    def is_provisional(self, day: date) -> bool:
        """No notice was published for the year of this day."""
        return day.year not in self.years

    def add_working_days(self, start: date, days: int, skipping: Sequence[tuple[date, date]] = ()) -> date:
        """The `days`-th working day after `start`, which is not counted (民法典 201)."""
        rest, work = self.rest, self.work  # looked up for every day of every step that starts a clock
        day = start
        while days > 0:
            day += _DAY
            if skipping:
                day = past(day, skipping)
            days -= day in work or (day.weekday() < _SATURDAY and day not in rest)
        return day

    def roll(self, day: date, how: RollOver = RollOver.REST_DAY, skipping: Sequence[tuple[date, date]] = ()) -> date:
        """The day itself, or the next that may be a last day (民法典 203; weekends [G], domain §11.10)."""
        if how is RollOver.NONE:
            return day
        while True:
            day = past(day, skipping)
            if self.is_working(day) or (how is RollOver.STATUTORY_HOLIDAY and not self.is_statutory(day)):
                return day
            day += _DAY


def past(day: date, skipping: Sequence[tuple[date, date]]) -> date:
    """The day itself or, where it lies in one of these intervals, the first after that lies in none."""
    for first, last in skipping:
        if first <= day <= last:
            day = last + _DAY
    return day


def parse_notices(files: Mapping[str, str]) -> WorkCalendar:
    """A calendar from notices `{file name: CSV text}` with the columns `date,is_workday,kind,name`.

    A row is an exception: a weekday of rest (`0`; `holiday` or `in_lieu`) or a working day of a weekend (`1`;
    `weekend_workday`); a weekend day of rest may be listed too. A later file goes before an earlier one: there a
    row may also say what the weekday alone would say, and takes the earlier exception back. A year is published once
    its days of rest lack no festival (`lacking`), or by a file named `calendar-<year>.csv`, which somebody has put
    there as the notice of that year. Raises Malformed with file, line and reason of every bad row.
    """
    wrong: list[Reason] = []
    kinds: dict[date, str] = {}
    for name, text in files.items():
        kinds |= _rows(name, text, kinds, wrong)
    if wrong:
        raise Malformed(*wrong)
    rest = {day: kind for day, kind in kinds.items() if KINDS[kind] == "0" and day.weekday() < _SATURDAY}
    return WorkCalendar(
        rest=frozenset(rest),
        work=frozenset(day for day, kind in kinds.items() if KINDS[kind] == "1" and day.weekday() >= _SATURDAY),
        years=frozenset(
            year for year in {day.year for day in rest} if f"calendar-{year}.csv" in files or not lacking(year, rest)
        ),
    )


def lacking(year: int, rest: Collection[date]) -> tuple[tuple[str, str], ...]:
    """The festivals `(Chinese, English)` of which days of rest are missing for a whole notice of the year."""
    return tuple(
        name
        for name, first, last, least in _FESTIVALS
        if sum(date(year, *first) <= day <= date(year, *last) for day in rest) < least
    )


def _rows(name: str, text: str, earlier: Mapping[date, str], wrong: list[Reason]) -> dict[date, str]:
    """The kind of each day in one file; what is wrong with the others is added to `wrong`."""
    found: dict[date, str] = {}
    lines: dict[date, int] = {}
    reader = csv.reader(text.removeprefix("\ufeff").splitlines())  # a table saved by Excel opens with this mark
    try:
        if next(reader, None) != HEADER:
            wrong.append(_bad(name, 1, f"表头须为 {','.join(HEADER)}", f"the header is {','.join(HEADER)}"))
            return {}
        for row in reader:
            if not row:
                continue
            faults = [_bad(name, reader.line_num, zh, en) for zh, en in _faults(row, earlier)]
            if not faults:
                day = date.fromisoformat(row[0])
                if day in lines:
                    zh, en = f"日期与第{lines[day]}行重复", f"the date of line {lines[day]} again"
                    faults = [_bad(name, reader.line_num, zh, en)]
                found[day], lines[day] = row[2], reader.line_num
            wrong += faults
    except csv.Error as broken:
        wrong.append(_bad(name, reader.line_num, f"不是有效的CSV {broken}", f"not CSV: {broken}"))
    return found


def _faults(row: Sequence[str], earlier: Mapping[date, str]) -> Iterator[tuple[str, str]]:
    if len(row) != len(HEADER):
        yield f"须有{len(HEADER)}列，实有{len(row)}列", f"{len(HEADER)} columns are needed, here are {len(row)}"
        return
    written, flag, kind, _ = row
    day = _day(written)
    if day is None:
        yield f"日期“{written}”须写作YYYY-MM-DD", f"{written!r} is no date YYYY-MM-DD"
    if flag not in {"0", "1"}:
        yield f"is_workday“{flag}”须为0或1", f"is_workday is 0 or 1, not {flag!r}"
    if kind not in KINDS:
        yield f"未知类别“{kind}”，可用 {'、'.join(KINDS)}", f"kind {kind!r} is none of {', '.join(KINDS)}"
    elif flag in {"0", "1"} and flag != KINDS[kind]:
        yield f"{kind}的is_workday须为{KINDS[kind]}", f"is_workday of {kind} is {KINDS[kind]}"
    elif flag == "1" and day and day.weekday() < _SATURDAY and KINDS.get(earlier.get(day, ""), flag) == flag:
        yield (
            "周一至周五本为工作日，不必列出",
            "a weekday is a working day without being listed",
        )  # it takes nothing back


def _day(written: str) -> date | None:
    try:
        day = date.fromisoformat(written)
    except ValueError:
        return None
    return day if day.isoformat() == written else None


def _bad(name: str, line: int, zh: str, en: str) -> Reason:
    return Reason("bad_notice", f"放假安排 {name} 第{line}行：{zh}", f"Notice {name}, line {line}: {en}")


def add_months(start: date, months: int) -> date:
    """The corresponding day, or the last of the month where there is none (民法典 202)."""
    index = start.month - 1 + months
    year, month = start.year + index // 12, index % 12 + 1
    return date(year, month, min(start.day, monthrange(year, month)[1]))


def day_of(instant: str) -> date:
    """The legal day in Asia/Shanghai of an RFC 3339 instant."""
    return datetime.fromisoformat(instant).astimezone(SHANGHAI).date()
