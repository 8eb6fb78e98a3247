"""Days of work and rest are those of the published notices, and a bad notice is refused with its file and line."""

from datetime import date, timedelta
from importlib.resources import files

import chinese_calendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediation.domain.calendar import SHANGHAI, WorkCalendar, add_months, day_of, lacking, parse_notices
from mediation.domain.errors import Malformed
from mediation.domain.vocabulary import RollOver

PACKAGED = (files("mediation") / "data" / "workday_exceptions_2004_2026.csv").read_text("utf-8")
PUBLISHED = parse_notices({"workdays.csv": PACKAGED})
HEADER = "date,is_workday,kind,name\n"
ONE_DAY = timedelta(days=1)


def notice(*rows: str) -> str:
    return HEADER + "".join(f"{row}\n" for row in rows)


def test_every_day_from_2004_to_2026_is_what_an_independent_calendar_says() -> None:
    day, end = date(2004, 1, 1), date(2026, 12, 31)
    while day <= end:
        assert PUBLISHED.is_working(day) is bool(chinese_calendar.is_workday(day)), day
        day += ONE_DAY


def test_the_packaged_notices_are_of_the_years_2004_to_2026() -> None:
    assert {*range(2004, 2027)} == PUBLISHED.years
    assert PUBLISHED.published(2026)
    assert not PUBLISHED.is_provisional(date(2026, 12, 31))
    assert PUBLISHED.is_provisional(date(2027, 1, 1))


def test_without_notices_monday_to_friday_are_worked_and_every_year_is_provisional() -> None:
    calendar = parse_notices({})
    assert calendar == WorkCalendar()
    assert [calendar.is_working(date(2026, 10, day)) for day in range(1, 8)] == [
        True,
        True,
        False,
        False,
        True,
        True,
        True,
    ]
    assert calendar.is_provisional(date(2026, 10, 1))
    assert not calendar.is_statutory(date(2026, 10, 3))


def test_a_later_file_goes_before_an_earlier_one() -> None:
    first = notice("2027-02-08,0,in_lieu,Spring Festival", "2027-02-20,1,weekend_workday,Spring Festival")
    second = notice("2027-02-08,1,weekend_workday,taken back", "2027-02-20,0,in_lieu,taken back")
    both = parse_notices({"a.csv": first, "b.csv": second})
    assert both == WorkCalendar()
    assert parse_notices({"a.csv": first}).is_working(date(2027, 2, 20))
    assert not both.is_working(date(2027, 2, 20))
    assert both.is_working(date(2027, 2, 8))
    again = parse_notices({"a.csv": first, "b.csv": second, "c.csv": first})
    assert again == parse_notices({"a.csv": first})


NEW_YEAR, NATIONAL_DAY = "2027-01-01,0,holiday,New Year's Day", "2027-10-01,0,holiday,National Day"
SPRING = tuple(f"2027-02-{day:02},0,holiday,Spring Festival" for day in (8, 9, 10))


def test_a_notice_is_of_its_year_only_with_new_year_spring_festival_and_national_day() -> None:
    whole = [NEW_YEAR, *SPRING, NATIONAL_DAY]
    published = parse_notices({"workdays.csv": PACKAGED, "2027.csv": notice(*whole)})
    assert published.years == PUBLISHED.years | {2027}
    for left_out in whole:
        calendar = parse_notices({"2027.csv": notice(*(row for row in whole if row != left_out))})
        assert not calendar.published(2027), left_out
        ((_, named),) = lacking(2027, calendar.rest)
        assert named.partition(" (")[0] in left_out
    extra = parse_notices({"extra.csv": notice("2027-02-12,0,holiday,a local day", "2027-10-01,0,holiday,another")})
    assert not extra.is_working(date(2027, 2, 12))
    assert not extra.published(2027)
    assert len(lacking(2027, extra.rest)) == 2
    in_parts = {"a.csv": notice(NEW_YEAR, *SPRING), "b.csv": notice(NATIONAL_DAY)}
    assert parse_notices(in_parts).published(2027)


def test_a_table_saved_by_a_spreadsheet_is_read() -> None:
    text = "\ufeff" + notice("2027-10-01,0,holiday,National Day").replace("\n", "\r\n") + "\r\n"
    assert parse_notices({"2027.csv": text}).rest == {date(2027, 10, 1)}


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("", 1, "date,is_workday,kind,name"),
        ("day,is_workday,kind,name\n2027-10-01,0,holiday,x\n", 1, "date,is_workday,kind,name"),
        (notice("2027/10/1,0,holiday,x"), 2, "YYYY-MM-DD"),
        (notice("20271001,0,holiday,x"), 2, "YYYY-MM-DD"),
        (notice("2027-02-30,0,holiday,x"), 2, "YYYY-MM-DD"),
        (notice("2027-10-01,no,holiday,x"), 2, "0 or 1"),
        (notice("2027-10-01,0,festival,x"), 2, "kind"),
        (notice("2027-10-01,1,holiday,x"), 2, "is_workday of holiday is 0"),
        (notice("2027-10-01,0,holiday"), 2, "4 columns"),
        (notice("2027-10-01,0,holiday,x", "2027-10-04,0,in_lieu,x", "2027-10-01,0,holiday,x"), 4, "line 2"),
        (notice("2027-10-04,1,weekend_workday,x"), 2, "weekday"),
        (notice("2027-10-01,0,holiday," + "x" * 200_000), 2, "not CSV"),
    ],
)
def test_a_bad_row_is_refused_with_file_line_and_reason(text: str, line: int, why: str) -> None:
    with pytest.raises(Malformed) as refused:
        parse_notices({"workdays.csv": PACKAGED, "2027.csv": text})
    (reason,) = refused.value.reasons
    assert reason.en.startswith(f"Notice 2027.csv, line {line}: ")
    assert reason.zh.startswith(f"放假安排 2027.csv 第{line}行：")
    assert why in reason.en


def test_every_bad_row_of_every_file_is_named() -> None:
    with pytest.raises(Malformed) as refused:
        parse_notices(
            {"a.csv": notice("x,2,y,z"), "b.csv": notice("2027-10-01,0,holiday,x", "2027-10-04,1,weekend_workday,x")}
        )
    assert [reason.en.partition(": ")[0] for reason in refused.value.reasons] == ["Notice a.csv, line 2"] * 3 + [
        "Notice b.csv, line 3"
    ]


def test_a_holiday_takes_in_the_weekends_that_it_encloses_and_touches() -> None:
    spring = {date(2026, 2, 15) + ONE_DAY * n for n in range(9)}
    around = [date(2026, 2, 1) + ONE_DAY * n for n in range(28)]
    assert {day for day in around if PUBLISHED.is_statutory(day)} == spring
    assert PUBLISHED.is_statutory(date(2026, 6, 21))  # the Sunday after the Friday of Dragon Boat
    assert not PUBLISHED.is_statutory(date(2026, 2, 14))  # a make-up Saturday
    assert not PUBLISHED.is_statutory(date(2026, 2, 8))  # an ordinary Sunday
    for off, made_up, weekend in ((6, 7, 8), (9, 8, 7)):  # a make-up day stands between, before and after
        calendar = WorkCalendar(frozenset({date(2026, 3, off)}), frozenset({date(2026, 3, made_up)}))
        assert not calendar.is_statutory(date(2026, 3, weekend))


@given(st.dates(date(2004, 1, 2), date(2026, 12, 30)))
def test_statutory_days_are_the_unbroken_runs_without_work_that_hold_a_published_day_of_rest(day: date) -> None:
    run = {day} if not chinese_calendar.is_workday(day) else set()
    for step in (ONE_DAY, -ONE_DAY):
        at = day + step
        while run and date(2004, 1, 1) <= at <= date(2026, 12, 31) and not chinese_calendar.is_workday(at):
            run.add(at)
            at += step
    assert PUBLISHED.is_statutory(day) is any(one.weekday() < 5 for one in run)


@pytest.mark.parametrize(
    ("day", "how", "rolled"),
    [
        ("2026-02-15", RollOver.REST_DAY, "2026-02-24"),
        ("2026-02-15", RollOver.STATUTORY_HOLIDAY, "2026-02-24"),
        ("2026-02-15", RollOver.NONE, "2026-02-15"),
        ("2026-02-28", RollOver.REST_DAY, "2026-02-28"),  # a make-up Saturday
        ("2026-03-07", RollOver.REST_DAY, "2026-03-09"),
        ("2026-03-07", RollOver.STATUTORY_HOLIDAY, "2026-03-07"),  # an ordinary Saturday
    ],
)
def test_a_last_day_rolls_over_as_its_rule_says(day: str, how: RollOver, rolled: str) -> None:
    assert PUBLISHED.roll(date.fromisoformat(day), how) == date.fromisoformat(rolled)


def test_a_last_day_does_not_roll_into_days_that_stand_still() -> None:
    stood = [(date(2026, 3, 9), date(2026, 3, 10)), (date(2026, 3, 11), date(2026, 3, 13))]
    assert PUBLISHED.roll(date(2026, 3, 7), skipping=stood) == date(2026, 3, 16)


@given(st.dates(date(2004, 1, 1), date(2026, 10, 1)), st.integers(0, 40))
def test_so_many_working_days_lie_between_start_and_end(start: date, days: int) -> None:
    end = PUBLISHED.add_working_days(start, days)
    span = [start + ONE_DAY * n for n in range(1, (end - start).days + 1)]
    assert sum(bool(chinese_calendar.is_workday(day)) for day in span) == days
    assert days == 0 or chinese_calendar.is_workday(end)


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(1, 60))
def test_months_end_on_the_corresponding_day_or_the_last_of_the_month(start: date, months: int) -> None:
    end = add_months(start, months)
    assert (end.year * 12 + end.month) - (start.year * 12 + start.month) == months
    assert end.day == start.day or (end.day < start.day and (end + ONE_DAY).day == 1)


def test_a_moment_belongs_to_its_day_in_shanghai() -> None:
    assert day_of("2026-11-21T15:59:59.999999Z") == date(2026, 11, 21)
    assert day_of("2026-11-21T16:00:00.000000Z") == date(2026, 11, 22)
    assert SHANGHAI.key == "Asia/Shanghai"
