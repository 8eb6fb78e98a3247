"""The demo county without a database: its ladder of bodies, its people, and the true history of every dispute."""

from collections import Counter
from datetime import date, datetime, time, timedelta

import pytest
from tests.domain.desk import Desk, laws

from mediation.domain.calendar import SHANGHAI
from mediation.domain.facts import Actor
from mediation.domain.vocabulary import CaseState, Role, Tier
from mediation.service.naiman import county
from mediation.service.naiman.chronicle import CLOCK, COURT, Line
from mediation.service.naiman.histories import PATHS, Untellable, history, together
from mediation.service.registry import org_id, person_id

DISPUTES = county.disputes()
UNTIL = date(2026, 11, 21)
SHIFT = UNTIL - max(dispute["filed_on"] for dispute in DISPUTES)
STORIES = {group[0]["id"]: group for group in together(DISPUTES)}
ROLES = {row["person_code"]: row["roles"] for row in county.people()}


def lines_of(group) -> list[Line]:
    return history(group, SHIFT, UNTIL, laws().calendar)


def actor(line: Line) -> Actor:
    if line.who == CLOCK:
        return Actor(person=CLOCK, org="", roles=(Role.CLOCK,))
    return Actor(person=person_id(line.who), org=org_id(line.org), roles=(Role(ROLES[line.who]),))


PEOPLE = {person_id(row["person_code"]): frozenset({org_id(row["org_code"])}) for row in county.people()}


def lived(group) -> Desk:
    """The dispute as it goes through the law alone."""
    desk = Desk(county.bodies(), people=PEOPLE)
    for line in lines_of(group):
        body, other = dict(line.body), ""
        for name, value in line.body.items():
            if isinstance(value, str) and value.startswith("@"):
                what, _, other = value[1:].partition(":")
                body[name] = desk.cases[other].id if what == "case" else desk.cases[other].version
        desk.take(str(line.case), body, actor(line), line.at, other)
    return desk


@pytest.fixture(scope="module")
def cases():
    return {int(name): case for group in STORIES.values() for name, case in lived(group).cases.items()}


def test_every_path_leads_to_a_state_it_promises(cases):
    assert len(cases) == 200
    strayed = {
        (dispute["id"], dispute["path"], cases[dispute["id"]].state.value)
        for dispute in DISPUTES
        if cases[dispute["id"]].state not in PATHS[dispute["path"]].ends
    }
    assert strayed == set()


def test_cases_stand_in_every_state_on_every_tier_and_track(cases):
    assert {case.state for case in cases.values()} == set(CaseState) - {CaseState.NEW}
    assert {case.tier for case in cases.values()} == {tier.value for tier in Tier}
    assert len({case.track for case in cases.values()}) >= 5


def test_what_a_path_is_named_for_has_happened(cases):
    by_path = {path: [cases[d["id"]] for d in DISPUTES if d["path"] == path] for path in PATHS}
    assert all(case.handoffs[-1].link_up == "escalate" for case in by_path["escalated_in_transit"])
    assert all(case.agreements[0].enforceable_by == "confirmation" for case in by_path["confirmed"])
    assert all(case.legs[-1].procedure == "confirmation" for case in by_path["confirmation_pending"])
    assert all(case.legs[-1].procedure == "enforcement" and case.legs[-1].open for case in by_path["enforcement"])
    assert all(case.agreements[0].state == "breached" for case in by_path["breached"])
    assert all(
        sum(o.done for o in c.obligations) in range(1, len(c.obligations)) for c in by_path["settled_partly_performed"]
    )
    assert sum(bool(case.merged_into) for case in by_path["merged"]) == 3
    assert all(case.listings for case in by_path["supervised"])
    assert any(case.final for case in by_path["petition"])
    assert Counter(case.tier for case in by_path["at_county"]) == {"county": 6}


def test_a_court_and_townships_find_something_in_their_trays_not_yet_received(cases):
    offered = Counter(
        (h.to_org, h.link_up.value) for case in cases.values() for h in case.handoffs if h.state == "offered"
    )
    court = org_id(COURT)
    assert offered[court, "confirmation"] >= 2
    assert offered[court, "suit"] >= 2
    assert offered[org_id("150525103-people_committee-01"), "escalate"] >= 1
    late = [
        (case.number, h.offered_at)
        for case in cases.values()
        for h in case.handoffs
        if h.state == "offered" and h.to_org == court and (UNTIL - date.fromisoformat(h.offered_at[:10])).days > 5
    ]
    assert late == []


def test_no_case_ends_while_somebody_owes_a_report(cases):
    ended = [case for case in cases.values() if case.state in {CaseState.CLOSED, CaseState.ARCHIVED}]
    assert [(case.number, h.id, h.link_up) for case in ended for h in case.handoffs if h.live] == []


@pytest.mark.parametrize("number", STORIES)
def test_a_history_is_told_in_office_hours_and_is_over_by_now(number):
    lines = lines_of(STORIES[number])
    local = [datetime.fromisoformat(line.at).astimezone(SHANGHAI) for line in lines]
    assert local == sorted(local)
    assert all(time(8, 30) <= at.time() <= time(17, 45) for at in local)
    assert local[0].date() == STORIES[number][0]["filed_on"] + SHIFT
    assert local[-1].date() <= UNTIL


def test_a_dispute_filed_today_cannot_have_a_long_history():
    archived = next(dispute for dispute in DISPUTES if dispute["path"] == "archived")
    with pytest.raises(Untellable):
        history([archived], UNTIL - archived["filed_on"], UNTIL - timedelta(days=1), laws().calendar)


def test_a_village_is_below_its_township_the_county_centre_the_bureau_and_the_government():
    above = list(county.superiors("150525103201-people_committee-01"))
    assert [code.split("-")[1] for code in above] == [
        "people_committee", "county_centre", "justice_bureau", "government", "government",
    ]  # fmt: skip
    assert list(county.superiors("150525-petition_office-01")) == ["1505-petition_office-01", "15-petition_office-01"]
    assert "150525-market_regulator-01" in county.superiors("150525-consumer_association-01")
    assert "1505-court-01" in county.superiors("150525101-court-01")


def test_people_are_the_same_at_every_call_and_a_committee_has_a_woman_and_three_to_nine_members():
    codes = [row["person_code"] for row in county.people()]
    assert len(set(codes)) == len(codes)
    assert {"150525103201-mediator-1", "150525103-chair-1", "150525-county_centre-coordinator-1"} <= set(codes)
    assert {"150525-court-judge-1", "150525-audit_office-auditor-1"} <= set(codes)
    sizes = Counter(row["org_code"] for row in county.people() if "-people_committee-" in row["org_code"])
    assert set(sizes.values()) <= set(range(3, 10))
    assert len(sizes) == 16 + 381
