"""A dispute filed twice becomes one: who and what passes over, under which number, and what stays where it was."""

from typing import Any

import pytest
from tests.domain.desk import Desk
from tests.domain.wandering import TEXT, everybody, papers
from tests.stories import cast

from mediation.domain import access
from mediation.domain.errors import Malformed
from mediation.domain.events import Event
from mediation.domain.facts import Actor, Case, Party
from mediation.domain.merging import passage

VILLAGE, TOWNSHIP = everybody("village"), everybody("township")
APPLICANT, RESPONDENT, THIRD = ({"name": name, "side": side} for name, side in (
    ("张三", "applicant"), ("李四", "respondent"), ("王五", "applicant")))  # fmt: skip
MONEY = {"what": "money", "by": [1], "against": [2], "amount_fen": 500}
APOLOGY = {"what": "apology", "by": [1], "against": [2]}


@pytest.fixture
def desk() -> Desk:
    return Desk(cast.ORGANISATIONS)


def at(minute: int) -> str:
    return f"2026-03-02T{1 + minute // 60:02}:{minute % 60:02}:00.000000Z"


def file(
    desk: Desk,
    name: str,
    parties: list[dict[str, Any]],
    claims: list[dict[str, Any]],
    who: Actor = VILLAGE,
    **more: Any,
) -> Case:
    body = {"action": "file", "category": "neighbour", "division": "150525100201", "parties": parties, "claim": claims}
    desk.take(name, body | {"text": TEXT, "documents": papers("registration")} | more, who, at(len(desk.cases)))
    return desk.cases[name]


def absorb(desk: Desk, minute: int = 30, **more: Any) -> Event:
    other = desk.cases["second"]
    body = {"action": "absorb", "case": other.id, "version": other.version} | more
    event = desk.take("first", body, VILLAGE, at(minute), "second")
    assert desk.replayed("first") == desk.cases["first"]
    return event


@pytest.mark.parametrize(
    ("applicant", "found", "carried"),
    [
        ({}, {"sensitive": ["domestic_violence"]}, ["domestic_violence"]),
        ({}, {"category": "medical"}, ["medical"]),
        ({"minor": True}, {}, ["minor"]),
        ({}, {}, []),
    ],
)
def test_what_restricts_who_sees_a_case_passes_over_with_its_people(
    desk: Desk, applicant: dict[str, Any], found: dict[str, Any], carried: list[str]
):
    file(desk, "first", [APPLICANT, RESPONDENT], [MONEY])
    file(desk, "second", [APPLICANT | applicant, RESPONDENT], [MONEY], **found)
    absorb(desk)
    assert list(desk.cases["first"].sensitive) == carried
    assert access.restricted(desk.cases["first"]) == bool(carried)


def test_people_and_claims_come_under_the_next_numbers_and_claims_name_people_by_their_new_ones(desk: Desk):
    file(desk, "first", [APPLICANT, RESPONDENT], [MONEY])
    file(desk, "second", [THIRD, RESPONDENT, APPLICANT], [APOLOGY, {"what": "conduct", "by": [3, 1], "against": [2]}])
    event = absorb(desk)
    case = desk.cases["first"]
    assert (event.attrs["parties_as"], event.attrs["claims_as"]) == ([3, 2, 1], [2, 3])
    assert [(party.id, party.side) for party in case.parties[2:]] == [(3, "applicant")]
    assert [(c.id, c.what, c.by, c.against) for c in case.claims[1:]] == [
        (2, "apology", (3,), (2,)),
        (3, "conduct", (1, 3), (2,)),
    ]
    assert case.leg(1).claims == (1, 2, 3)


def test_the_same_claim_stands_once_and_whoever_makes_it_too_joins_it(desk: Desk):
    file(desk, "first", [APPLICANT, RESPONDENT], [MONEY])
    file(desk, "second", [APPLICANT, RESPONDENT, THIRD], [MONEY | {"by": [1, 3]}])
    event = absorb(desk)
    (claim,) = desk.cases["first"].claims
    assert (claim.by, claim.against, event.attrs["claims_as"]) == ((1, 3), (2,), [1])


def test_nobody_joins_a_claim_that_is_settled(desk: Desk):
    file(desk, "first", [APPLICANT, RESPONDENT], [MONEY])
    settle(desk, "first")
    file(desk, "second", [APPLICANT, RESPONDENT, THIRD], [MONEY | {"by": [1, 3]}], TOWNSHIP)
    absorb(desk)
    first, second = desk.cases["first"].claims
    assert (first.by, first.state, second.by, second.state) == ((1,), "settled", (1, 3), "open")
    assert desk.cases["first"].leg(1).claims == (1,)  # a settled leg has nothing open
    assert desk.cases["first"].state == "settled"


def test_a_claim_that_has_ended_keeps_its_end_and_is_held_by_no_leg(desk: Desk):
    file(desk, "first", [APPLICANT, RESPONDENT], [MONEY])
    file(desk, "second", [APPLICANT, RESPONDENT], [APOLOGY], TOWNSHIP)
    settle(desk, "second", TOWNSHIP)
    absorb(desk)
    case = desk.cases["first"]
    assert [claim.state for claim in case.claims] == ["open", "settled"]
    assert case.leg(1).claims == (1,)


def test_a_claim_that_a_body_is_deciding_comes_over_but_into_no_other_hand(desk: Desk):
    file(desk, "first", [APPLICANT, RESPONDENT], [MONEY])
    file(desk, "second", [APPLICANT, RESPONDENT], [APOLOGY], everybody("court"))
    desk.take("second", {"action": "accept"}, everybody("court"), at(20))
    assert desk.cases["second"].state == "deciding"
    absorb(desk)
    assert [claim.what for claim in desk.cases["first"].claims] == ["money", "apology"]
    assert desk.cases["first"].leg(1).claims == (1,)


def test_a_case_absorbed_twice_brings_nothing_the_second_time(desk: Desk):
    file(desk, "first", [APPLICANT, RESPONDENT], [MONEY])
    file(desk, "second", [THIRD, RESPONDENT], [APOLOGY, APOLOGY])
    absorb(desk)
    once = desk.cases["first"]
    assert len(once.claims) == 3  # two alike are two: each stands for one
    again = absorb(desk, 31)
    case = desk.cases["first"]
    assert (case.parties, case.claims, case.leg(1).claims) == (once.parties, once.claims, once.leg(1).claims)
    assert {"parties", "claims", "legs"}.isdisjoint(again.attrs)


def test_an_heir_stands_for_whom_it_succeeded_and_who_left_comes_again():
    case = Case(id="a", parties=(Party(1, left=True), Party(2, successor_of=1), Party(3, left=True)))
    other = Case(id="b", parties=(Party(1), Party(2), Party(3)))
    assert passage(case, other, (1, 3, 0)).parties == {1: 2, 2: 4, 3: 5}


def test_reports_owed_stay_with_the_case_absorbed_and_are_named_in_the_survivor(desk: Desk):
    file(desk, "first", [APPLICANT, RESPONDENT], [MONEY])
    file(desk, "second", [APPLICANT, RESPONDENT], [MONEY], everybody("county_centre"))
    refer = {"action": "refer", "link_up": "triage", "to_org": TOWNSHIP.org, "documents": papers("application")}
    desk.take("second", refer, everybody("county_centre"), at(20))
    desk.take("second", {"action": "receive", "handoff": 1}, TOWNSHIP, at(21))
    desk.take("second", {"action": "accept"}, TOWNSHIP, at(22))
    assert absorb(desk).attrs["owed"] == [1]
    desk.take("second", {"action": "merge", "into": desk.cases["first"].id}, TOWNSHIP, at(40), "first")
    merged = desk.cases["second"]
    assert (merged.state, merged.merged_into, merged.handoffs[0].live) == ("closed", desk.cases["first"].id, True)
    assert [claim.state for claim in merged.claims] == ["open"]  # counted in the survivor, where it stands once
    assert len(desk.cases["first"].claims) == 1


def test_too_many_people_for_one_step_are_refused_and_those_who_joined_before_need_not_come(desk: Desk):
    file(desk, "first", [APPLICANT, RESPONDENT], [MONEY])
    crowd = [{"name": f"某{n}", "side": "respondent" if n else "applicant"} for n in range(50)]
    file(desk, "second", crowd, [MONEY])
    desk.take("second", {"action": "change_parties", "change": "join", "join": [THIRD]}, VILLAGE, at(20))
    before = desk.cases["first"]
    with pytest.raises(Malformed) as refused:
        absorb(desk)
    assert [reason.code for reason in refused.value.reasons] == ["event_too_long"]
    assert desk.cases["first"] == before
    desk.take("first", {"action": "change_parties", "change": "join", "join": [THIRD]}, VILLAGE, at(29))
    absorb(desk)
    assert len(desk.cases["first"].parties) == 53


def settle(desk: Desk, name: str, who: Actor = VILLAGE) -> None:
    """On the spot, by word of mouth."""
    body = {
        "action": "settle",
        "form": "oral",
        "obligations": [{"obligor": 2, "what": "conduct", "due_on": "2026-03-20"}],
        "signed_by": [1, 2],
        "consents": [1, 2],
        "notice_given": True,
        "mediator_signed": True,
        "sealed": True,
        "documents": papers("oral_register"),
    }
    desk.take(name, body, who, at(10 + len(desk.cases)))
    assert desk.cases[name].state == "settled"
