"""A limit ends on the day the law says, however it is counted, stood still or extended, and the count explains itself."""

import os
import re
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.domain.limits import (
    APPRAISAL,
    CALENDAR_DAY,
    HOUR,
    MONTH,
    NONE,
    ONE_DAY,
    PACKAGED,
    PUBLISHED,
    RULES,
    STARTS,
    STATUTORY,
    WORKING_DAY,
    YEAR,
    days,
    intervals,
    limit,
    oracle,
)

from mediation.domain.calendar import SHANGHAI, WorkCalendar, parse_notices
from mediation.domain.deadlines import Interval, Line, Rule, explain, reckon
from mediation.domain.errors import Malformed, MediationError, Refused
from mediation.domain.vocabulary import RollOver, Unit

CHINESE = re.compile("[一-鿿]")
MANY = settings(max_examples=1000 if os.environ.get("MEDIATION_BATTERY") == "1" else 100, deadline=None)


def due(rule: Rule, start: str, *stood: str, extended: int = 0) -> str:
    return reckon(rule, date.fromisoformat(start), PUBLISHED, stood=days(*stood), extended=extended).on


@pytest.mark.parametrize(
    ("rule", "start", "stood", "last_day"),
    [
        (limit(30, CALENDAR_DAY), "2026-03-02", [], "2026-04-01"),  # an oral agreement: joint confirmation
        (limit(30, CALENDAR_DAY), "2026-01-16", [], "2026-02-24"),  # a written one: the 30th day is in Spring Festival
        (limit(1, MONTH), "2026-01-31", [], "2026-02-28"),  # no 31st, and the Saturday is a make-up working day
        (limit(15, CALENDAR_DAY), "2026-05-06", [], "2026-05-21"),  # labour mediation
        (limit(10, WORKING_DAY), "2026-09-24", [], "2026-10-15"),  # traffic: across Mid-autumn and National Day
        (limit(30, WORKING_DAY), "2026-06-01", APPRAISAL, "2026-08-11"),  # medical, with an appraisal
    ],
)
def test_the_worked_examples_of_the_domain_page(rule: Rule, start: str, stood: list[str], last_day: str) -> None:
    assert due(rule, start, *stood) == last_day
    assert oracle(rule, date.fromisoformat(start), days(*stood), 0) == (last_day, False)


@pytest.mark.parametrize(
    ("rule", "start", "last_day"),
    [
        (limit(1, MONTH), "2024-01-31", "2024-02-29"),
        (limit(1, MONTH), "2025-01-31", "2025-02-28"),
        (limit(1, MONTH), "2026-02-28", "2026-03-30"),  # the 28th, a Saturday; not the last of March
        (limit(6, MONTH), "2025-08-31", "2026-02-28"),
        (limit(1, YEAR), "2024-02-29", "2025-02-28"),
        (limit(2, YEAR), "2024-02-29", "2026-02-28"),
        (limit(4, YEAR), "2020-02-29", "2024-02-29"),
        (limit(1, MONTH, NONE, exclude_start=False), "2026-03-10", "2026-04-09"),
        (limit(1, CALENDAR_DAY, exclude_start=False), "2026-03-10", "2026-03-10"),
        (limit(2, WORKING_DAY, exclude_start=False), "2026-03-07", "2026-03-10"),
        (limit(7, CALENDAR_DAY, NONE), "2026-03-01", "2026-03-08"),  # a Sunday
        (limit(7, CALENDAR_DAY, STATUTORY), "2026-03-01", "2026-03-08"),
        (limit(7, CALENDAR_DAY), "2026-03-01", "2026-03-09"),
        (limit(30, CALENDAR_DAY, STATUTORY), "2026-01-16", "2026-02-24"),
    ],
)
def test_months_years_and_last_days_end_as_the_code_and_the_rule_say(rule: Rule, start: str, last_day: str) -> None:
    assert due(rule, start) == last_day


def test_a_suspension_counts_from_the_first_day_to_the_last_and_no_further() -> None:
    rule = limit(5, CALENDAR_DAY, NONE)  # 2026-03-03 to 2026-03-07
    assert due(rule, "2026-03-02", "2026-03-07/2026-03-07") == "2026-03-08"
    assert due(rule, "2026-03-02", "2026-03-08/2026-03-09") == "2026-03-07"
    assert due(rule, "2026-03-02", "2026-03-01/2026-03-02") == "2026-03-07"
    assert due(rule, "2026-03-02", "2026-03-01/2026-03-03") == "2026-03-08"


def test_an_extension_is_counted_on_from_the_day_before_it_rolled_over() -> None:
    rule = limit(30, CALENDAR_DAY, extension=CALENDAR_DAY)
    assert due(rule, "2026-01-16") == "2026-02-24"
    assert due(rule, "2026-01-16", extended=30) == "2026-03-17"
    assert due(limit(30, CALENDAR_DAY, extension=WORKING_DAY), "2026-01-16", extended=3) == "2026-02-26"
    assert due(limit(6, MONTH, extension=MONTH), "2025-08-31", extended=6) == "2026-08-28"


def test_a_day_rule_takes_an_instant_as_its_day_in_shanghai() -> None:
    instant = datetime.fromisoformat("2026-03-01T16:30:00Z")
    assert reckon(limit(30, CALENDAR_DAY), instant, PUBLISHED).on == due(limit(30, CALENDAR_DAY), "2026-03-02")


@MANY
@given(RULES, intervals(), st.integers(0, 12))
def test_a_limit_with_suspensions_is_that_of_the_shortened_timeline(
    rule: Rule, when: tuple[date, list[Interval]], extended: int
) -> None:
    extended = extended if rule.extension else 0
    found = reckon(rule, when[0], PUBLISHED, stood=when[1], extended=extended)
    assert (found.on, found.provisional) == oracle(rule, *when, extended)


@MANY
@given(RULES, intervals(), st.integers(0, 12))
def test_the_explanation_leads_day_by_day_to_the_last_in_both_languages(
    rule: Rule, when: tuple[date, list[Interval]], extended: int
) -> None:
    extended = extended if rule.extension else 0
    told = explain(rule, when[0], PUBLISHED, stood=when[1], extended=extended)
    found = reckon(rule, when[0], PUBLISHED, stood=when[1], extended=extended)
    assert told[0].on == when[0].isoformat()
    assert told[-1].on == found.on
    assert [line.on for line in told] == sorted(line.on for line in told)
    assert all(CHINESE.search(line.zh) and line.en.isascii() for line in told)
    assert found.provisional is any(line.en.startswith("Provisional") for line in told)


@MANY
@given(RULES, intervals(), st.frozensets(st.integers(0, 400), max_size=30), st.integers(0, 12))
def test_more_days_of_rest_never_make_a_limit_end_earlier(
    rule: Rule, when: tuple[date, list[Interval]], more: frozenset[int], extended: int
) -> None:
    start, stood = when
    extended = extended if rule.extension else 0
    off = {start + ONE_DAY * n for n in more}
    relaxed = WorkCalendar(
        PUBLISHED.rest | {day for day in off if day.weekday() < 5}, PUBLISHED.work - off, PUBLISHED.years
    )
    before = reckon(rule, start, PUBLISHED, stood=stood, extended=extended).on
    assert reckon(rule, start, relaxed, stood=stood, extended=extended).on >= before


@MANY
@given(
    st.sampled_from([CALENDAR_DAY, MONTH, YEAR]),
    st.integers(1, 40),
    st.sampled_from(RollOver),
    STARTS,
    st.frozensets(st.integers(0, 400), max_size=60),
)
def test_no_calendar_makes_a_limit_in_calendar_days_end_before_its_unrolled_day(
    unit: Unit, value: int, roll: RollOver, start: date, exceptions: frozenset[int]
) -> None:
    value = value if unit is CALENDAR_DAY else value // 8 + 1
    odd = {start + ONE_DAY * n for n in exceptions}
    calendar = WorkCalendar(
        frozenset(day for day in odd if day.weekday() < 5), frozenset(day for day in odd if day.weekday() >= 5)
    )
    unrolled = reckon(limit(value, unit, NONE), start, calendar)
    assert reckon(limit(value, unit, roll), start, calendar).on >= unrolled.on
    assert unrolled.on == reckon(limit(value, unit, NONE), start, PUBLISHED).on
    assert not unrolled.provisional


@MANY
@given(RULES, STARTS, st.integers(0, 12))
def test_a_later_start_a_larger_number_or_an_extension_never_ends_earlier(
    rule: Rule, start: date, extended: int
) -> None:
    found = reckon(rule, start, PUBLISHED).on
    larger = limit(rule.value + 1, rule.unit, rule.roll, exclude_start=rule.exclude_start)
    assert reckon(rule, start + ONE_DAY, PUBLISHED).on >= found
    assert reckon(larger, start, PUBLISHED).on >= found
    if rule.extension:
        assert reckon(rule, start, PUBLISHED, extended=extended).on >= found


@MANY
@given(RULES, intervals(), st.randoms(use_true_random=False))
def test_days_that_stood_still_count_once_in_whatever_order_and_pieces_they_are_told(
    rule: Rule, when: tuple[date, list[Interval]], chance: Random
) -> None:
    start, stood = when
    single = [
        (first + ONE_DAY * n, first + ONE_DAY * n) for first, last in stood for n in range((last - first).days + 1)
    ]
    pieces = [*single, *stood]
    chance.shuffle(pieces)
    assert reckon(rule, start, PUBLISHED, stood=pieces) == reckon(rule, start, PUBLISHED, stood=stood)
    assert reckon(rule, start, PUBLISHED, stood=stood).on >= reckon(rule, start, PUBLISHED).on


@pytest.mark.parametrize(
    ("rule", "start", "last_day", "provisional"),
    [
        (limit(30, CALENDAR_DAY), "2026-12-10", "2027-01-11", True),  # the 9th is a Saturday
        (limit(30, CALENDAR_DAY, NONE), "2026-12-10", "2027-01-09", False),
        (limit(3, WORKING_DAY), "2026-12-28", "2026-12-31", False),
        (limit(4, WORKING_DAY, NONE), "2026-12-28", "2027-01-01", True),
        (limit(1, YEAR), "2026-02-27", "2027-03-01", True),
        (limit(15, CALENDAR_DAY), "2026-12-16", "2026-12-31", False),
        (limit(15, CALENDAR_DAY, STATUTORY), "2027-01-10", "2027-01-25", True),
        (limit(3, WORKING_DAY), "2003-12-30", "2004-01-05", True),
        (limit(60, CALENDAR_DAY), "2003-11-02", "2004-01-02", False),  # only the last day was asked about
    ],
)
def test_a_day_that_depends_on_a_year_without_a_notice_is_provisional_and_no_other(
    rule: Rule, start: str, last_day: str, *, provisional: bool
) -> None:
    assert reckon(rule, date.fromisoformat(start), PUBLISHED) == (last_day, provisional)


def test_an_extension_in_working_days_is_provisional_too() -> None:
    rule, start = limit(30, CALENDAR_DAY, NONE, WORKING_DAY), date(2026, 11, 30)  # the 30th day is 2026-12-30
    assert reckon(rule, start, PUBLISHED, extended=1) == ("2026-12-31", False)
    assert reckon(rule, start, PUBLISHED, extended=2) == ("2027-01-01", True)


def test_the_notice_of_a_year_moves_its_days_and_makes_them_certain() -> None:
    notice = "date,is_workday,kind,name\n2027-01-01,0,holiday,New Year's Day\n2027-10-01,0,holiday,National Day\n"
    arrived = parse_notices({"workdays.csv": PACKAGED, "calendar-2027.csv": notice})
    rule, start = limit(4, WORKING_DAY), date(2026, 12, 28)
    assert reckon(rule, start, PUBLISHED) == ("2027-01-01", True)
    assert reckon(rule, start, arrived) == ("2027-01-04", False)


def test_a_year_that_stood_still_throughout_needs_no_notice() -> None:
    rule, start, year = limit(5, WORKING_DAY), date(2024, 12, 30), days("2025-01-01/2025-12-31")
    without = PUBLISHED._replace(years=PUBLISHED.years - {2025})
    assert reckon(rule, start, without, stood=year) == ("2026-01-07", False)
    assert reckon(rule, start, without).provisional


def test_a_weekend_between_two_years_is_certain_only_once_both_are_published() -> None:
    calendar = WorkCalendar(years=frozenset({2028}))
    sunday = date(2028, 12, 31)
    for roll, provisional in ((STATUTORY, True), (RollOver.REST_DAY, True), (NONE, False)):
        assert reckon(limit(1, CALENDAR_DAY, roll), sunday - ONE_DAY, calendar).provisional is provisional


@pytest.mark.parametrize(
    ("value", "start", "stood", "extended", "instant"),
    [
        (48, "2026-03-02T08:30:00.5+08:00", [], 0, "2026-03-04T00:30:00.500000Z"),
        (2, "2026-03-06T23:00:00+08:00", [], 0, "2026-03-06T17:00:00.000000Z"),  # Saturday: hours do not roll over
        (2, "2026-03-06T23:00:00+08:00", ["2026-03-07/2026-03-08"], 0, "2026-03-08T17:00:00.000000Z"),
        (1, "2026-03-06T23:00:00+08:00", ["2026-03-07/2026-03-08"], 0, "2026-03-06T16:00:00.000000Z"),
        (24, "2026-03-06T12:00:00+08:00", ["2026-03-06/2026-03-06"], 0, "2026-03-07T16:00:00.000000Z"),
        (48, "2026-03-02T08:30:00Z", [], 5, "2026-03-09T08:30:00.000000Z"),  # extended by days
    ],
)
def test_hours_run_from_their_instant_and_leave_out_the_days_that_stood_still(
    value: int, start: str, stood: list[str], extended: int, instant: str
) -> None:
    rule, moment = limit(value, HOUR, extension=CALENDAR_DAY), datetime.fromisoformat(start)
    assert reckon(rule, moment, PUBLISHED, stood=days(*stood), extended=extended) == (instant, False)
    assert explain(rule, moment, PUBLISHED, stood=days(*stood), extended=extended)[-1].on == instant


@MANY
@given(intervals(), st.integers(0, 47), st.integers(1, 96))
def test_hours_are_those_of_the_shortened_timeline(
    when: tuple[date, list[Interval]], half_hour: int, hours: int
) -> None:
    half = timedelta(minutes=30)
    start = datetime(when[0].year, when[0].month, when[0].day, tzinfo=SHANGHAI) + half * half_hour
    at, left = start.astimezone(UTC), hours * 2
    while left:
        day = at.astimezone(SHANGHAI).date()
        left -= not any(first <= day <= last for first, last in when[1])
        at += half
    assert datetime.fromisoformat(reckon(limit(hours, HOUR), start, PUBLISHED, stood=when[1]).on) == at


MOMENT = datetime(2026, 3, 2, 8, tzinfo=UTC)
MONDAY = date(2026, 3, 2)


@pytest.mark.parametrize(
    ("rule", "start", "stood", "extended", "error", "code"),
    [
        (limit(0, CALENDAR_DAY), MONDAY, [], 0, Refused, "no_limit_stated"),
        (limit(30, CALENDAR_DAY), MONDAY, [], 1, Refused, "not_extendable"),
        (limit(30, CALENDAR_DAY, extension=HOUR), MONDAY, [], 1, Refused, "not_extendable"),
        (limit(48, HOUR, extension=WORKING_DAY), MOMENT, [], 1, Refused, "not_extendable"),
        (limit(48, HOUR), MONDAY, [], 0, Refused, "instant_needed"),
        (limit(48, HOUR), MOMENT.replace(tzinfo=None), [], 0, Refused, "instant_needed"),
        (limit(30, CALENDAR_DAY), MOMENT.replace(tzinfo=None), [], 0, Refused, "instant_needed"),
        (limit(30, CALENDAR_DAY), MONDAY, ["2026-03-10/2026-03-09"], 0, Malformed, "bad_interval"),
        (limit(30, CALENDAR_DAY, extension=MONTH), MONDAY, [], -1, Malformed, "bad_extension"),
        (limit(30, CALENDAR_DAY, extension=MONTH), MONDAY, [], 10_000, Malformed, "bad_extension"),
        (limit(30, CALENDAR_DAY), date.max, [], 0, Malformed, "beyond_calendar"),
        (limit(30, WORKING_DAY), date.max, [], 0, Malformed, "beyond_calendar"),
        (limit(9000, YEAR), MONDAY, [], 0, Malformed, "beyond_calendar"),
        (limit(30, CALENDAR_DAY), MONDAY, ["2026-03-10/9999-12-31"], 0, Malformed, "beyond_calendar"),
        (limit(48, HOUR), MOMENT, ["2026-03-03/9999-12-31"], 0, Malformed, "beyond_calendar"),
    ],
)
def test_what_cannot_be_counted_is_refused_in_both_languages(
    rule: Rule, start: date, stood: list[str], extended: int, error: type[MediationError], code: str
) -> None:
    for count in (reckon, explain):
        with pytest.raises(error) as refused:
            count(rule, start, PUBLISHED, stood=days(*stood), extended=extended)
        (reason,) = refused.value.reasons
        assert reason.code == code
        assert reason.en.isascii()
        assert CHINESE.search(reason.zh)


def told(rule: Rule, start: str, *stood: str, extended: int = 0) -> tuple[Line, ...]:
    return explain(rule, date.fromisoformat(start), PUBLISHED, stood=days(*stood), extended=extended)


def test_a_count_tells_its_start_its_days_its_roll_over_and_the_articles() -> None:
    lines = told(limit(30, CALENDAR_DAY, told=True), "2026-01-16")
    assert [(line.on, line.zh) for line in lines] == [
        ("2026-01-16", "起算：协议生效"),
        ("2026-01-17", "起算当日不计入，自次日起算（民法典201）"),
        ("2026-02-15", "计30日"),
        ("2026-02-24", "2026-02-15为法定休假日，顺延至2026-02-24（民法典203）"),
        ("2026-02-24", "期限于该日24时届满；有业务时间的，于停止业务活动时届满（民法典203）"),
    ]
    assert lines[0].en == "Start: the agreement takes effect"
    assert lines[3].en == "2026-02-15 is a statutory holiday: it rolls over to 2026-02-24 (Civil Code art. 203)"


@pytest.mark.parametrize(
    ("rule", "start", "stood", "extended", "on", "zh", "en"),
    [
        (limit(1, MONTH), "2026-01-31", [], 0, "2026-02-28", "无对应日", "no corresponding day"),
        (limit(1, MONTH), "2026-01-31", [], 0, "2026-02-28", "调休上班日", "make-up working day"),
        (limit(1, MONTH), "2026-03-09", [], 0, "2026-04-09", "的对应日（民法典202）", "the corresponding day"),
        (limit(1, MONTH, exclude_start=False), "2026-03-09", [], 0, "2026-04-08", "前一日", "the day before"),
        (limit(7, CALENDAR_DAY), "2026-03-01", [], 0, "2026-03-09", "[G]未经核实", "[G], not verified"),
        (limit(7, CALENDAR_DAY, NONE), "2026-03-01", [], 0, "2026-03-08", "不顺延", "does not roll over"),
        (limit(7, CALENDAR_DAY, STATUTORY), "2026-03-01", [], 0, "2026-03-08", "非法定休假日", "no statutory holiday"),
        (
            limit(7, CALENDAR_DAY, exclude_start=False),
            "2026-03-02",
            [],
            0,
            "2026-03-02",
            "当日计入",
            "first day counts",
        ),
        (limit(10, WORKING_DAY), "2026-09-24", [], 0, "2026-10-15", "休息日11日不计", "days of rest left out: 11"),
        (limit(10, WORKING_DAY), "2026-09-24", [], 0, "2026-10-15", "调休上班1日计入", "make-up days counted: 1"),
        (
            limit(30, WORKING_DAY),
            "2026-06-01",
            APPRAISAL,
            0,
            "2026-08-11",
            "中止，不计入20个工作日",
            "working days: 20",
        ),
        (
            limit(10, WORKING_DAY),
            "2026-03-02",
            ["2026-02-20/2026-03-03"],
            0,
            "2026-03-17",
            "不计入1个工作日",
            "days: 1",
        ),
        (limit(30, CALENDAR_DAY), "2026-06-01", ["2026-05-20/2026-06-05"], 0, "2026-07-05", "不计入4日", "days: 4"),
        (
            limit(5, CALENDAR_DAY),
            "2026-03-02",
            ["2026-03-08/2026-03-10"],
            0,
            "2026-03-11",
            "中止的日期除外",
            "past the days",
        ),
        (
            limit(30, CALENDAR_DAY, extension=MONTH),
            "2026-01-16",
            [],
            2,
            "2026-02-15",
            "（顺延前）起接续",
            "before any roll",
        ),
        (limit(30, CALENDAR_DAY, extension=MONTH), "2026-01-16", [], 2, "2026-04-15", "2个月后的对应日", "2 months on"),
        (limit(3, WORKING_DAY), "2026-12-30", [], 0, "2027-01-04", "2027年放假安排尚未公布", "no notice of 2027"),
    ],
)
def test_each_turn_of_a_count_is_told(
    rule: Rule, start: str, stood: list[str], extended: int, on: str, zh: str, en: str
) -> None:
    lines = told(rule, start, *stood, extended=extended)
    assert [line for line in lines if line.on == on and zh in line.zh and en in line.en], lines
