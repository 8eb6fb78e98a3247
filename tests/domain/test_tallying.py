"""What the steps of every story add up to is what the cases say in the end: each leg came once, and ended once."""

import statistics
from collections import Counter
from collections.abc import Iterator
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.domain.desk import Desk
from tests.domain.test_merging import APPLICANT, MONEY, RESPONDENT, VILLAGE, absorb, at, file
from tests.domain.test_walks import tell
from tests.stories import cast
from tests.stories.telling import PROCEDURES, WALKS, Walk

from mediation.domain.events import evolve, parse
from mediation.domain.facts import Case
from mediation.domain.tallying import EVERY, Sums, Tally, median, tallies, together

FELL = {"breach", "void"}


def told(story: Walk) -> Desk:
    desk = Desk(cast.ORGANISATIONS)
    tell(story, desk)
    return desk


def folded(desk: Desk, name: str) -> Iterator[tuple[Case | None, Case, str]]:
    before = None
    for data in desk.histories[name]:
        event = parse(data)
        after = evolve(before, event)
        yield before, after, event.action
        before = after


def counted(desk: Desk, name: str) -> Counter[tuple[str, int, str, str]]:
    found: Counter[tuple[str, int, str, str]] = Counter()
    for before, after, _ in folded(desk, name):
        for tally in tallies(before, after):
            found[tally[:4]] += tally.more
    return +found


def by_what(found: Counter[tuple[str, int, str, str]]) -> Counter[str]:
    made: Counter[str] = Counter()
    for (_, _, _, what), count in found.items():
        made[what] += count
    return made


@pytest.mark.parametrize("story", [*WALKS, *PROCEDURES], ids=str)
def test_the_steps_of_a_story_add_up_to_what_its_cases_say_in_the_end(story: Walk):
    desk = told(story)
    for name, case in desk.cases.items():
        found = counted(desk, name)
        standing = [leg for leg in case.legs if leg.outcome != "merged"]
        said = Counter((leg.org, int(leg.filed_on[:4]), case.category.value, "received") for leg in standing)
        said += Counter(
            (leg.org, int(leg.accepted_on[:4]), case.category.value, "accepted") for leg in standing if leg.accepted_on
        )
        assert Counter({key: n for key, n in found.items() if key[3] in {"received", "accepted"}}) == said
        ended = Counter(f"ended_{leg.outcome}" for leg in case.legs if not leg.open)
        whats = by_what(found)
        assert Counter({what: n for what, n in whats.items() if what.startswith("ended_")}) == ended
        assert whats["ended"] == ended.total() - ended["ended_merged"]
        assert whats["open"] == sum(leg.open for leg in case.legs) == whats["received"] - whats["ended"]
        assert whats["cases"] == (not case.merged_into)
        assert whats["settled"] <= whats["agreed"]
        settled_now = sum(leg.state == "settled" for leg in case.legs)
        assert settled_now <= whats["agreed"] - whats["fell_through"] - whats["settled"]


@pytest.mark.parametrize("story", WALKS, ids=str)
def test_a_failed_mediation_counts_where_the_step_was_fail_and_nowhere_else(story: Walk):
    desk = told(story)
    for name in desk.cases:
        for before, after, action in folded(desk, name):
            whats = [tally.what for tally in tallies(before, after)]
            assert whats.count("failed") == (action == "fail")
            if "fell_through" in whats:
                assert action in FELL


@pytest.mark.parametrize("story", WALKS, ids=str)
def test_days_are_counted_from_the_day_a_leg_was_opened(story: Walk):
    desk = told(story)
    for name in desk.cases:
        for before, after, _ in folded(desk, name):
            for tally in tallies(before, after):
                assert (tally.days >= 0) == (tally.what in {"ended", "settled"}), tally


def test_what_is_merged_away_is_counted_in_the_survivor_alone():
    desk = Desk(cast.ORGANISATIONS)
    file(desk, "first", [APPLICANT, RESPONDENT], [MONEY])
    second = file(desk, "second", [APPLICANT, RESPONDENT], [MONEY])
    before = by_what(counted(desk, "first")) + by_what(counted(desk, "second"))
    assert (before["cases"], before["received"]) == (2, 2)
    absorb(desk)
    body = {"action": "merge", "into": desk.cases["first"].id}
    desk.take("second", body, VILLAGE, at(40), "first")
    assert second.id in desk.cases["first"].absorbed
    assert by_what(counted(desk, "first") + counted(desk, "second")) == {
        "cases": 1,
        "received": 1,
        "open": 1,
        "ended_merged": 1,
    }


def test_a_corrected_type_moves_what_had_come_in():
    desk = Desk(cast.ORGANISATIONS)
    file(desk, "first", [APPLICANT, RESPONDENT], [MONEY])
    desk.take("first", {"action": "accept"}, VILLAGE, at(10))
    desk.take("first", {"action": "correct", "category": "damages", "text": "据实更正"}, VILLAGE, at(20))
    found = counted(desk, "first")
    assert {category for _, _, category, _ in found} == {"damages"}
    assert by_what(found) == {"cases": 1, "received": 1, "accepted": 1, "open": 1}


def test_a_step_that_moves_no_leg_adds_nothing():
    desk = Desk(cast.ORGANISATIONS)
    file(desk, "first", [APPLICANT, RESPONDENT], [MONEY])
    desk.take("first", {"action": "note", "kind": "fact", "text": "据实记录"}, VILLAGE, at(10))
    *_, (before, after, _) = folded(desk, "first")
    assert tallies(before, after) == ()


@pytest.mark.parametrize(("day", "late"), [("2026-03-20", 0), ("2027-06-01", 1)])
def test_a_leg_ended_after_its_period_ran_out_is_late_and_counts_in_the_year_it_ended(day: str, late: int):
    desk = Desk(cast.ORGANISATIONS)
    file(desk, "first", [APPLICANT, RESPONDENT], [MONEY])
    desk.take("first", {"action": "accept"}, VILLAGE, at(10))
    withdrawn = {"action": "withdraw", "reason": "solved", "on_behalf_of": [1], "text": "已自行和解"}
    desk.take("first", withdrawn, VILLAGE, f"{day}T01:00:00.000000Z")
    *_, (before, after, _) = folded(desk, "first")
    days = (date.fromisoformat(day) - date(2026, 3, 2)).days
    here = Tally(VILLAGE.org, int(day[:4]), "neighbour", "ended_withdrawn")
    told = (here, here._replace(what="ended", days=days), here._replace(what="late"))
    assert tallies(before, after) == (here._replace(year=0, what="open", more=-1), *told[: 2 + late])


def test_the_year_and_the_days_are_those_of_shanghai():
    desk = Desk(cast.ORGANISATIONS)
    file(desk, "first", [APPLICANT, RESPONDENT], [MONEY])
    desk.take("first", {"action": "accept"}, VILLAGE, "2026-12-31T15:59:59.000000Z")
    *_, (before, after, _) = folded(desk, "first")
    assert [(tally.what, tally.year) for tally in tallies(before, after)] == [("accepted", 2026)]
    withdrawn = {"action": "withdraw", "reason": "solved", "on_behalf_of": [1], "text": "已自行和解"}
    desk.take("first", withdrawn, VILLAGE, "2026-12-31T16:00:00.000000Z")
    *_, (before, after, _) = folded(desk, "first")
    assert [tally[1:5] for tally in tallies(before, after)][-1] == (2027, "neighbour", "ended", 305)


@given(st.lists(st.lists(st.integers(0, 400), max_size=12), max_size=6))
def test_the_median_of_summed_days_is_that_of_all_the_days(bodies: list[list[int]]):
    summed: list[int] = []
    for days in bodies:
        sums = Sums()
        sums.add(Tally("org", 2026, "other", "ended", day) for day in days)
        if days:
            every_category, category = sums.rows({})
            assert (every_category.category, *every_category[4:]) == (EVERY, len(days), category.days)
            assert category.many == len(days)
            summed = together([summed, category.days])
    every = [day for days in bodies for day in days]
    assert sum(summed) == len(every)
    assert median(summed) == (statistics.median_low(every) if every else None)
