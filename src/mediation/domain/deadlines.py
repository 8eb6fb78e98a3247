"""Limits as data: a rule with its article, and the day on which its clock is due, each step of the count explained."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from mediation.domain.calendar import SHANGHAI, WorkCalendar, add_months, past
from mediation.domain.errors import Malformed, Reason, Refused
from mediation.domain.facts import Fact
from mediation.domain.vocabulary import (
    DocumentKind,
    Expiry,
    ExtendBy,
    Label,
    LinkUp,
    Moment,
    OrgKind,
    RollOver,
    SuspendCause,
    Tier,
    Unit,
    Variant,
)

Interval = tuple[date, date]
"""Days on which a clock stands still: the first and the last, both of them included."""


class Extension(Fact, frozen=True):
    """How a limit may be extended: by whom, by how much at most each time, how often, and on what paper.

    `value` 0: the text states no most; `times` 0: as often as agreed.
    """

    by: ExtendBy
    value: int = 0
    unit: Unit = Unit.CALENDAR_DAY
    times: int = 1
    paper: DocumentKind | None = None


class Rule(Fact, frozen=True):
    """One version of a limit: `value` `unit`s from a moment, with its article and how far it may be trusted.

    `value` 0: the text states no number, and no clock runs. `starts` are the moments that start its clock in a leg of
    one of `procedures` (or in a hand-off by one of `link_ups`), `until` those that stop it; a rule without `starts` is
    counted only when asked for. `division` is the prefix of the divisions where a regional rule goes before the
    national one of its id. `warn`: days before the due day on which the body is reminded. `text` names the text of
    the law that was read, "" where it is not held: then the rule is not quoted. `doubt`: what is still open about it.
    """

    id: str
    zh: str
    en: str
    value: int
    unit: Unit
    basis: str
    label: Label
    valid_from: str
    valid_to: str = ""
    supersedes: str = ""
    division: str = ""
    region: str = ""
    text: str = ""
    doubt: str = ""
    from_zh: str = ""
    from_en: str = ""
    procedures: tuple[str, ...] = ()
    link_ups: tuple[LinkUp, ...] = ()
    starts: tuple[Moment, ...] = ()
    until: tuple[Moment, ...] = ()
    variant: Variant | None = None
    tiers: tuple[Tier, ...] = ()
    kinds: tuple[OrgKind, ...] = ()
    speciality: str = ""
    exclude_start: bool = True
    roll: RollOver = RollOver.REST_DAY
    suspends: tuple[SuspendCause, ...] = ()
    extension: Extension | None = None
    warn: tuple[int, ...] = ()
    on_expiry: Expiry | None = None
    expiry_zh: str = ""
    expiry_en: str = ""

    @property
    def version(self) -> str:
        """`<id>@<valid_from>`, the name under which events cite it."""
        return f"{self.id}@{self.valid_from}"


class Line(NamedTuple):
    """One step of a count: the day (or, of an hour rule, the instant) it comes to, and why, in both languages."""

    on: str
    zh: str
    en: str


class Due(NamedTuple):
    """The last day `YYYY-MM-DD` of a limit (of an hour rule the instant, RFC 3339 UTC with six digits).

    `provisional`: it depends on a year without a published notice.
    """

    on: str
    provisional: bool


class _Count(NamedTuple):
    """A limit counted: its start, its own last day, that with the extension, and where that rolls over to.

    An hour rule has instants in UTC for days. `unnoticed`: the years without a notice that had a say.
    """

    start: date
    base: date
    last: date
    due: date
    unnoticed: Sequence[int]


_DAY = timedelta(days=1)
_MOST_EXTENDED = 9_999
_BY_THE_CLOCK = frozenset({Unit.HOUR, Unit.CALENDAR_DAY})
_BY_THE_MONTH = {Unit.MONTH: 1, Unit.YEAR: 12}


def reckon(
    rule: Rule, start: date | datetime, calendar: WorkCalendar, *, stood: Sequence[Interval] = (), extended: int = 0
) -> Due:
    """The last day of a limit that starts on `start` (民法典 201–203), skipping the days on which it `stood` still.

    A month or year ends on the corresponding day, or the last day of a month that has none; with days that stood still
    it is that many days longer. `extended`, in the unit of the rule's extension, is counted on from the last day before
    it rolls over: the period is one, and only its last day rolls over. An instant given to a day rule is its day in
    Asia/Shanghai. An hour rule takes and gives instants; it does not roll over, and leaves out the hours of the
    Shanghai days on which it stood still.

    Raises Refused where the rule states no number (`no_limit_stated`) or no extension (`not_extendable`), or an hour
    rule is given a day (`instant_needed`); Malformed where an interval ends before it begins, or the end is beyond any
    calendar.
    """
    count = _count(rule, start, calendar, _merged(stood) if stood else (), extended)
    return Due(_on(count.due), bool(count.unnoticed))


def explain(
    rule: Rule, start: date | datetime, calendar: WorkCalendar, *, stood: Sequence[Interval] = (), extended: int = 0
) -> tuple[Line, ...]:
    """How `reckon` counts the same limit, step by step; the last line is its day. Raises what it raises."""
    still = _merged(stood)
    count = _count(rule, start, calendar, still, extended)
    lines = list(_opening(rule, count.start))
    lines += _stretch(rule.value, rule.unit, count.start, calendar, still, exclude_start=rule.exclude_start)
    if rule.extension and extended:
        zh, en = "经延长，自原届满之日（顺延前）起接续计算", "Extended: counted on from the end before any roll-over"
        lines.append(Line(_on(count.base), zh, en))
        lines += _stretch(extended, rule.extension.unit, count.base, calendar, still)
    if rule.unit is not Unit.HOUR:
        lines += _closing(rule, count, calendar, still)
    return tuple(lines)


def _count(
    rule: Rule, start: date | datetime, calendar: WorkCalendar, stood: Sequence[Interval], extended: int
) -> _Count:
    """The one count behind `reckon` and `explain`; `stood` is sorted and without overlaps."""
    if rule.value < 1:
        zh, en = f"{rule.id}未规定具体期限", f"{rule.id} states no number: there is no last day to count"
        raise Refused(Reason("no_limit_stated", zh, en, rule.basis))
    if extended:
        _check_extension(rule, extended)
    try:
        begin = _begin(rule, start)
        base = last = _end(rule.value, rule.unit, begin, calendar, stood, exclude_start=rule.exclude_start)
        if rule.extension and extended:
            last = _end(extended, rule.extension.unit, base, calendar, stood)
        due = last if rule.unit is Unit.HOUR else calendar.roll(last, rule.roll, stood)
    except (OverflowError, ValueError) as beyond:
        raise Malformed(Reason("beyond_calendar", "期限超出历法范围", "The limit ends beyond any calendar")) from beyond
    count = _Count(begin, base, last, due, ())
    one_year = begin.year == due.year in calendar.years and rule.roll is not RollOver.STATUTORY_HOLIDAY
    if rule.unit is Unit.HOUR or one_year:
        return count  # the usual case: no other year had a say
    return count._replace(unnoticed=_unnoticed(rule, count, calendar, stood))


def _check_extension(rule: Rule, extended: int) -> None:
    if not 0 < extended <= _MOST_EXTENDED:
        zh, en = f"延长须为0至{_MOST_EXTENDED}", f"An extension is 0 to {_MOST_EXTENDED} units"
        raise Malformed(Reason("bad_extension", zh, en))
    if rule.extension is None:
        raise Refused(Reason("not_extendable", f"{rule.id}不得延长", f"{rule.id} may not be extended", rule.basis))
    unit = rule.extension.unit
    if unit not in _BY_THE_CLOCK if rule.unit is Unit.HOUR else unit is Unit.HOUR:
        zh = f"{rule.id}以{rule.unit.zh}计，不能按{unit.zh}延长"
        en = f"{rule.id} is counted in {rule.unit.en}s and cannot be extended by {unit.en}s"
        raise Refused(Reason("not_extendable", zh, en, rule.basis))


def _begin(rule: Rule, start: date | datetime) -> date:
    """The start as the rule counts: an instant in UTC for hours, else the day in Asia/Shanghai."""
    if not isinstance(start, datetime):
        if rule.unit is not Unit.HOUR:
            return start
    elif start.utcoffset() is not None:
        return start.astimezone(UTC) if rule.unit is Unit.HOUR else start.astimezone(SHANGHAI).date()
    zh = f"{rule.id}须自带时区的时刻起算，如2026-11-21T08:00:00+08:00"
    en = f"{rule.id} needs an instant with its offset, such as 2026-11-21T08:00:00+08:00"
    raise Refused(Reason("instant_needed", zh, en, rule.basis))


def _merged(stood: Sequence[Interval]) -> list[Interval]:
    """The intervals in order, those that overlap as one."""
    merged: list[Interval] = []
    for first, last in sorted(stood):
        if last < first:
            zh, en = f"中止区间{first}至{last}首尾颠倒", f"The interval {first} to {last} ends before it begins"
            raise Malformed(Reason("bad_interval", zh, en))
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def _end(
    number: int,
    unit: Unit,
    start: date,
    calendar: WorkCalendar,
    stood: Sequence[Interval],
    *,
    exclude_start: bool = True,
) -> date:
    """The last of so many units from `start`, of the days (or hours) that did not stand still."""
    if isinstance(start, datetime):
        return _hours_after(start, timedelta(hours=number) if unit is Unit.HOUR else timedelta(days=number), stood)
    before = start if exclude_start else start - _DAY
    if unit is Unit.WORKING_DAY:
        return calendar.add_working_days(before, number, stood)
    if unit in _BY_THE_MONTH:
        number = (add_months(start, number * _BY_THE_MONTH[unit]) - start).days
    last = before + timedelta(days=number)
    for first, until in stood:
        if first > last:
            break
        if until > before:
            last += until - max(first, before + _DAY) + _DAY
    return last


def _hours_after(start: datetime, length: timedelta, stood: Sequence[Interval]) -> datetime:
    end = start + length
    for first, until in stood:
        still_from = datetime.combine(first, time(), SHANGHAI).astimezone(UTC)
        still_to = datetime.combine(until + _DAY, time(), SHANGHAI).astimezone(UTC)
        if still_from >= end:
            break
        if still_to > start:
            end += still_to - max(still_from, start)
    return end


def _unnoticed(rule: Rule, count: _Count, calendar: WorkCalendar, stood: Sequence[Interval]) -> list[int]:
    """The years without a notice of the days on which it mattered whether anybody works."""
    asked = []
    if rule.unit is Unit.WORKING_DAY:
        asked.append((count.start + _DAY if rule.exclude_start else count.start, count.base))
    if rule.extension and rule.extension.unit is Unit.WORKING_DAY:
        asked.append((count.base + _DAY, count.last))
    if rule.roll is not RollOver.NONE:
        asked.append((count.last, count.due))
    years = {
        year for first, last in asked for year in range(first.year, last.year + 1) if _runs(first, last, year, stood)
    }
    if rule.roll is RollOver.STATUTORY_HOLIDAY:  # whether a weekend belongs to a holiday, the days beside it say
        years |= {day.year for day in (*calendar.beside(count.last), *calendar.beside(count.due))}
    return sorted(years - calendar.years)


def _runs(first: date, last: date, year: int, stood: Sequence[Interval]) -> bool:
    """Whether a day of the year from `first` to `last` did not stand still."""
    day = past(max(first, date(year, 1, 1)), stood)
    return day <= last and day.year == year


def _opening(rule: Rule, start: date) -> Iterator[Line]:
    zh, en = rule.from_zh or "起算事由发生", rule.from_en or "the event from which it runs"
    yield Line(_on(start), f"起算：{zh}", f"Start: {en}")
    if rule.unit is Unit.HOUR:
        zh, en = "按小时计算，自该时刻起算（民法典201）", "Hours run from this instant (Civil Code art. 201)"
        yield Line(_on(start), zh, en)
    elif rule.exclude_start:
        zh, en = "起算当日不计入，自次日起算（民法典201）", "The first day is not counted (Civil Code art. 201)"
        yield Line(_on(start + _DAY), zh, en)
    else:
        zh, en = "依规则起算当日计入（民法典204）", "By its rule the first day counts (Civil Code art. 204)"
        yield Line(_on(start), zh, en)


def _stretch(
    number: int,
    unit: Unit,
    start: date,
    calendar: WorkCalendar,
    stood: Sequence[Interval],
    *,
    exclude_start: bool = True,
) -> Iterator[Line]:
    """So many units in one line, then a line for each interval that moves their end."""
    end = _end(number, unit, start, calendar, (), exclude_start=exclude_start)
    first = start + _DAY if exclude_start else start
    yield Line(_on(end), *_counting(number, unit, first, end, calendar, exclude_start=exclude_start))
    for intervals in range(1, len(stood) + 1):
        later = _end(number, unit, start, calendar, stood[:intervals], exclude_start=exclude_start)
        if later == end:
            continue
        begins, until = stood[intervals - 1]
        if isinstance(start, datetime):
            hours = (later - end) / timedelta(hours=1)
            zh, en = f"{hours:g}小时", f"{hours:g} hours"
        elif unit is Unit.WORKING_DAY:
            since = max(begins, first)
            left_out = sum(calendar.is_working(since + _DAY * n) for n in range((until - since).days + 1))
            zh, en = f"{left_out}个工作日", f"working days: {left_out}"
        else:
            zh, en = f"{(later - end).days}日", f"days: {(later - end).days}"
        zh, en = f"{begins}至{until}中止，不计入{zh}", f"Stood still {begins} to {until}; not counted: {en}"
        yield Line(_on(later), zh, en)
        end = later


def _counting(
    number: int, unit: Unit, first: date, end: date, calendar: WorkCalendar, *, exclude_start: bool
) -> tuple[str, str]:
    """How so many units from `first` come to end on `end`, in both languages."""
    zh, en = f"{number}{unit.zh}", f"{number} {unit.en}{'s' if number > 1 else ''}"
    if unit is Unit.WORKING_DAY:
        days = [first + _DAY * n for n in range((end - first).days + 1)]
        rests = sum(not calendar.is_working(day) for day in days)
        holidays, made_up = sum(day in calendar.rest for day in days), sum(day in calendar.work for day in days)
        zh = f"计{zh}，其间休息日{rests}日不计（含放假安排的周一至周五{holidays}日）"
        en = f"{en}; days of rest left out: {rests} (weekdays off by notice: {holidays})"
        return (f"{zh}，调休上班{made_up}日计入", f"{en}; make-up days counted: {made_up}") if made_up else (zh, en)
    if unit not in _BY_THE_MONTH:
        return f"计{zh}", en
    if not exclude_start:
        en = f"{en} on, the day before the corresponding one (Civil Code art. 202)"
        return f"{zh}后对应日的前一日（民法典202）", en
    if end.day == (first - _DAY).day:
        return f"{zh}后的对应日（民法典202）", f"{en} on, the corresponding day (Civil Code art. 202)"
    en = f"{en} on there is no corresponding day: the last of the month (Civil Code art. 202)"
    return f"{zh}后无对应日，以该月最后一日为届满日（民法典202）", en


def _closing(rule: Rule, count: _Count, calendar: WorkCalendar, stood: Sequence[Interval]) -> Iterator[Line]:
    """Roll-over, what is provisional, and the hour at which the last day ends."""
    on, last = _on(count.due), count.last
    if rule.roll is RollOver.NONE:
        yield Line(on, "本期限的最后一日不顺延（规则规定）", "The last day of this limit does not roll over (its rule)")
    elif count.due != last:
        holiday = calendar.is_statutory(last)
        zh = f"{last}为{'法定休假日' if holiday else '休息日'}，顺延至{on}"
        en = f"{last} is a {'statutory holiday' if holiday else 'day of rest'}: it rolls over to {on}"
        label_zh = "" if holiday else "；以休息日为法定休假日，[G]未经核实"
        label_en = "" if holiday else "; that a weekend counts as a holiday is [G], not verified"
        if any(last < first <= count.due for first, _ in stood):
            zh, en = f"{zh}（中止的日期除外）", f"{en}, past the days that stood still"
        yield Line(on, f"{zh}（民法典203{label_zh}）", f"{en} (Civil Code art. 203{label_en})")
    elif last in calendar.work:
        yield Line(on, f"{last}为调休上班日，不顺延", f"{last} is a make-up working day: it does not roll over")
    elif not calendar.is_working(last):
        zh, en = "为休息日而非法定休假日，不顺延", "is a day of rest but no statutory holiday: it does not roll over"
        yield Line(on, f"{last}{zh}（民法典203）", f"{last} {en} (Civil Code art. 203)")
    if count.unnoticed:
        years = ", ".join(map(str, count.unnoticed))
        zh = f"暂定：{years.replace(', ', '、')}年放假安排尚未公布，按周一至周五为工作日计算，公布后重算"
        en = f"Provisional: no notice of {years} is published; Monday to Friday are counted as working days until then"
        yield Line(on, zh, en)
    zh = "期限于该日24时届满；有业务时间的，于停止业务活动时届满（民法典203）"
    yield Line(on, zh, "It ends at 24:00, or at close of business where there are business hours (Civil Code art. 203)")


def _on(moment: date) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if isinstance(moment, datetime) else moment.isoformat()
