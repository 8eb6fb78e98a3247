"""Single conditions of the law, each at the nearest case that passes and the nearest that does not."""

import json
from typing import Any

import pytest
from pydantic import ValidationError
from tests.domain.desk import Desk
from tests.stories import cast

from mediation.domain.commands import STEP, ClaimIn
from mediation.domain.errors import ActionUnavailable, GuardRefused, Malformed, NotPermitted
from mediation.domain.facts import Case

DAY = "2026-03-{:02}T02:00:00.000000Z"


class Dispute:
    """One dispute at the village, told a step at a time."""

    def __init__(self, parties: int = 2) -> None:
        self.desk = Desk(cast.ORGANISATIONS)
        self.day = 1
        people = [{"name": f"甲{n}", "side": "applicant"} for n in range(1, parties)]
        self.take(
            "village_clerk",
            "file",
            category="neighbour",
            division="150525100201",
            on_behalf_of=[1],
            parties=[*people, {"name": "乙", "side": "respondent"}],
            claim=[{"what": "money", "amount_fen": 100}],
            text="排水纠纷",
        )

    @property
    def case(self) -> Case:
        """As it stands."""
        return self.desk.cases["x"]

    def take(self, who: str, action: str, **fields: Any) -> Case:
        """Take a step on the day it is."""
        self.desk.take("x", {"action": action, **fields}, cast.actor(who), DAY.format(self.day))
        return self.case

    def refused(self, who: str, action: str, **fields: Any) -> list[str]:
        """The codes of every reason why a step is refused."""
        with pytest.raises((GuardRefused, ActionUnavailable, NotPermitted, Malformed)) as found:
            self.take(who, action, **fields)
        return [reason.code for reason in found.value.reasons]

    def mediating(self) -> "Dispute":
        """Until mediation has started."""
        plan = {
            "leader": cast.ident("village_chair"),
            "handler": cast.ident("village_mediator"),
            "plan": "先听",
            "due_on": "2026-04-01",
        }
        self.take("village_clerk", "accept", prepare=plan)
        self.take("village_mediator", "inform_rights")
        self.take("village_mediator", "start")
        return self


SETTLED = {
    "obligations": [{"obligor": 2, "what": "money", "amount_fen": 100, "due_on": "2026-03-20"}],
    "signed_by": [1, 2],
    "mediator_signed": True,
    "sealed": True,
}


def test_a_side_elects_a_representative_from_ten_on() -> None:
    nine, ten = Dispute(parties=10), Dispute(parties=11)
    elect = {"change": "represent", "parties": [2, 3], "representative": 1, "on_behalf_of": [1]}
    assert nine.refused("village_clerk", "change_parties", **elect) == ["too_few_to_represent"]
    assert ten.take("village_clerk", "change_parties", **elect).parties[1].represented_by == 1


def test_a_representative_binds_only_those_who_agree() -> None:
    many = Dispute(parties=11).mediating()
    many.take("village_clerk", "change_parties", change="represent", parties=[2], representative=1, on_behalf_of=[1])
    assert "unsigned" in many.refused("village_mediator", "settle", **SETTLED | {"signed_by": [1, 11]})


def test_a_refusal_names_every_reason() -> None:
    fresh = Dispute()
    fresh.take("village_clerk", "accept")
    assert fresh.refused("village_mediator", "start") == ["notice_missing", "not_prepared"]


def test_consent_may_be_revoked_at_any_time_and_stops_the_mediation() -> None:
    told = Dispute().mediating()
    told.take("village_mediator", "record_consent", consent="revoked", parties=[2])
    assert told.refused("village_mediator", "convene") == ["consent_refused"]
    assert "consent_refused" in told.refused("village_mediator", "settle", **SETTLED)
    told.take("village_mediator", "record_consent", consent="given", parties=[2])
    assert told.take("village_mediator", "settle", **SETTLED).state == "settled"


def test_after_a_failure_consent_is_given_anew() -> None:
    failed = Dispute().mediating()
    failed.take("village_mediator", "fail", ground="no_agreement")
    assert failed.refused("village_mediator", "start") == ["consent_missing"]
    assert failed.take("village_mediator", "start", consents=[1, 2]).state == "mediating"


def test_a_replaced_mediator_is_out_of_the_leg() -> None:
    told = Dispute().mediating()
    told.take("village_mediator", "suspend", cause="recusal")
    out, other = cast.ident("village_mediator"), cast.ident("village_chair")
    told.take("village_chair", "appoint", mediators=[other], replaces=[out])
    assert told.refused("village_mediator", "resume") == ["not_permitted"]
    assert told.take("village_chair", "resume").state == "mediating"


def test_closing_asks_for_performance_or_a_day_to_follow_up() -> None:
    settled = Dispute().mediating()
    settled.take("village_mediator", "settle", **SETTLED)
    assert settled.refused("village_chair", "close") == ["not_performed"]
    assert settled.take("village_chair", "close", follow_up_on="2026-05-01").state == "closed"


def test_a_breach_needs_a_day_past_and_an_urging() -> None:
    settled = Dispute().mediating()
    settled.take("village_mediator", "settle", **SETTLED)
    assert settled.refused("village_mediator", "breach") == ["not_due", "not_urged"]
    settled.day = 21
    case = settled.take("village_mediator", "breach", urged=True)
    assert (case.state, case.claims[0].state) == ("unsettled", "open")


def test_a_danger_is_not_closed_away() -> None:
    told = Dispute().mediating()
    told.take("village_mediator", "grade_risk", risk="orange")
    told.take("village_mediator", "settle", **SETTLED)
    assert told.refused("village_chair", "close", follow_up_on="2026-05-01") == ["risk_high"]


def test_a_claim_settled_once_is_not_settled_twice() -> None:
    told = Dispute().mediating()
    told.take("village_mediator", "settle", **SETTLED)
    assert told.refused("village_mediator", "settle", **SETTLED) == ["no_such_step"]


def test_what_names_nothing_is_malformed() -> None:
    told = Dispute()
    assert told.refused("village_clerk", "accept", leg=7) == ["no_such_leg"]
    assert told.refused("village_clerk", "accept", claims=[9]) == ["no_such_claim"]
    assert told.refused("village_clerk", "withdraw", reason="solved", on_behalf_of=[9]) == ["no_such_party"]


def test_a_stranger_to_the_case_takes_no_step_in_it() -> None:
    told = Dispute()
    assert told.refused("court_clerk", "accept") == ["not_permitted"]
    assert told.refused("audit_office_auditor", "note", kind="fact") == ["not_permitted"]


def test_four_things_are_named_for_real_people_and_a_day_to_come() -> None:
    told = Dispute()
    told.take("village_clerk", "accept")
    stranger = {"leader": cast.ident("court_judge"), "handler": cast.ident("township_mediator"), "plan": "x"}
    refused = told.refused("village_chair", "prepare", plan=stranger | {"due_on": "2026-02-28"})
    assert refused == ["plan_past", "not_of_the_body", "not_of_the_body"]
    own = {"leader": cast.ident("township_chair"), "handler": cast.ident("village_mediator"), "plan": "x"}
    assert told.take("village_chair", "prepare", plan=own | {"due_on": "2026-03-01"}).legs[0].prepared


def test_what_happened_does_not_lie_in_the_future() -> None:
    told = Dispute()
    assert told.refused("village_clerk", "note", kind="fact", on="2026-03-02") == ["day_in_future"]
    told.mediating()
    early = SETTLED | {"obligations": [SETTLED["obligations"][0] | {"due_on": "2026-02-01"}]}
    assert told.refused("village_mediator", "settle", **early) == ["due_before_effect"]


def test_a_case_is_not_moved_out_of_the_sight_of_its_city() -> None:
    told = Dispute()
    assert told.refused("village_clerk", "correct", division="330102000000") == ["foreign_division"]


@pytest.mark.parametrize("facts", [{"category": "other"}, {"division": "150525"}, {"occurred_on": "2026-02-01"}])
def test_who_does_not_handle_a_case_does_not_say_what_it_is_and_so_who_may_see_it(facts: dict[str, str]) -> None:
    told = Dispute()
    assert told.refused("township_chair", "correct", **facts) == ["not_handling"]
    assert told.take("township_chair", "correct", text="错别字").version == 2
    assert told.take("village_clerk", "correct", **facts).version == 3


def test_only_a_sender_a_superior_or_the_clock_urges() -> None:
    told = Dispute()
    assert told.refused("village_clerk", "urge") == ["not_permitted"]
    assert told.take("township_chair", "urge").state == "filed"


def test_a_mediator_who_is_not_the_assigned_one_is_told_so() -> None:
    told = Dispute().mediating()
    with pytest.raises(NotPermitted, match="another mediator is assigned"):
        told.take("village_mediator_2", "convene")


@pytest.mark.parametrize(
    "wrong",
    [
        {"action": "extend", "clock": "1", "by": 3},
        {"action": "withdraw", "reason": "other", "permitted": "yes"},
        {"action": "note", "kind": "fact", "on": 0},
        {"action": "note", "kind": "fact", "on": "2026-11-20T00:00:00Z"},
        {"action": "note", "kind": "fact", "on": "9999-12-31"},
        {"action": "note", "kind": "fact", "text": "a\u0000b"},
        {"action": "correct"},
        {"action": "correct", "division": "１５０５２５"},
        {"action": "note", "kind": "fact", "documents": [{"kind": "other", "sha256": "0" * 64, "ref": "13800001111"}]},
    ],
)
def test_what_is_not_what_the_contract_says_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        STEP.validate_json(json.dumps(wrong))


def test_nobody_claims_against_themselves() -> None:
    with pytest.raises(ValidationError, match="本人"):
        ClaimIn.model_validate({"what": "money", "by": [1], "against": [1]})
