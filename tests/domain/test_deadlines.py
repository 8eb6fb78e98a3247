"""Days are counted as the law counts them, and a bad pack is refused with its file, rule and reason."""

from datetime import date, timedelta

import chinese_calendar
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.domain.desk import laws

from mediation.domain.calendar import add_months, day_of
from mediation.domain.deadlines import parse_laws
from mediation.domain.errors import Malformed

RULE = """
[[rule]]
id = "X"
zh = "某期限"
value = 3
unit = "{unit}"
basis = "{basis}"
label = "P"
valid_from = "{since}"
"""


@pytest.mark.parametrize(
    ("rule", "start", "due"),
    [
        ("SFQR-APP", "2026-03-02", "2026-04-01"),
        ("SFQR-APP", "2026-01-16", "2026-02-24"),  # the 30th day lies in the Spring Festival
        ("PM-MED", "2026-01-31", "2026-02-28"),  # no 31st; a make-up working Saturday does not roll
        ("LD-MED", "2026-05-06", "2026-05-21"),
        ("DL-MED", "2026-09-24", "2026-10-15"),  # ten working days across the National Day
    ],
)
def test_the_worked_examples_of_the_domain_page(rule: str, start: str, due: str) -> None:
    day = date.fromisoformat(start)
    found = laws().rule(rule, day)
    assert found is not None
    assert laws().due(found, day).on.isoformat() == due


@given(st.dates(date(2004, 1, 1), date(2026, 12, 31)))
def test_working_days_are_those_of_the_published_notices(day: date) -> None:
    assert laws().calendar.is_working(day) is bool(chinese_calendar.is_workday(day))


@given(st.dates(date(2004, 1, 1), date(2026, 10, 1)), st.integers(0, 40))
def test_so_many_working_days_lie_between_start_and_due(start: date, days: int) -> None:
    due = laws().calendar.add_working_days(start, days)
    span = [start + timedelta(days=n) for n in range(1, (due - start).days + 1)]
    assert sum(map(laws().calendar.is_working, span)) == days
    assert days == 0 or laws().calendar.is_working(due)


def test_a_year_without_a_notice_is_counted_and_called_provisional() -> None:
    rule = laws().rule("LD-MED", date(2027, 3, 1))
    assert rule is not None
    assert laws().due(rule, date(2027, 3, 1)).provisional
    assert not laws().due(rule, date(2026, 3, 2)).provisional


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(1, 60))
def test_months_end_on_the_corresponding_day_or_the_last_of_the_month(start: date, months: int) -> None:
    end = add_months(start, months)
    assert (end.year * 12 + end.month) - (start.year * 12 + start.month) == months
    assert end.day == start.day or (end + timedelta(days=1)).day == 1


def test_a_moment_belongs_to_its_day_in_shanghai() -> None:
    assert day_of("2026-11-21T15:59:59.999999Z") == date(2026, 11, 21)
    assert day_of("2026-11-21T16:00:00.000000Z") == date(2026, 11, 22)


def test_the_version_in_force_on_the_day_applies() -> None:
    before, after = laws().rule("XF-MED", date(2026, 4, 14)), laws().rule("XF-MED", date(2026, 4, 15))
    assert before is not None
    assert after is not None
    assert (before.version, before.unit, before.value) == ("XF-MED@2020-01-01", "working_day", 45)
    assert (after.version, after.unit, after.value) == ("XF-MED@2026-04-15", "calendar_day", 60)
    assert laws().rule("XF-MED", date(2019, 12, 31)) is None


@pytest.mark.parametrize(
    ("pack", "why"),
    [
        (RULE.format(unit="fortnight", basis="某法第1条", since="2020-01-01"), "unit"),
        (RULE.format(unit="month", basis="", since="2020-01-01"), "basis"),
        (RULE.format(unit="month", basis="x", since="2020-01-01") + 'colour = "red"', "colour"),
        (RULE.format(unit="month", basis="x", since="2020-01-01") * 2, "overlap"),
        ("[[rule]", "pack.toml"),
    ],
)
def test_a_bad_pack_is_refused_with_its_file_and_reason(pack: str, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        parse_laws({"pack.toml": pack}, "date,is_workday,kind,name\n")


def test_every_rule_and_procedure_cites_its_article_and_label() -> None:
    for versions in laws().rules.values():
        for rule in versions:
            assert rule.basis
            assert rule.label in {"P", "S", "C", "G", "Q"}
    for procedure in laws().procedures.values():
        assert procedure.basis
        assert procedure.label in {"P", "S", "C", "G", "Q"}
