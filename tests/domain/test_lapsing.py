"""What the clock does and does not do: it harms no result, forgets no action, and gives back what was not used up."""

from typing import Any

import msgspec
import pytest
from tests.domain import desk as desks
from tests.domain.test_clocks import SETTLED, Dispute, altered, at
from tests.stories import cast
from tests.stories.telling import SHA256

from mediation.domain.errors import GuardRefused
from mediation.domain.lapsing import lapses
from mediation.domain.laws import Laws
from mediation.domain.vocabulary import ClockState, Expiry, Moment, Unit

WRITTEN = SETTLED | {"form": "written", "sealed": True, "documents": []}


def papers(*kinds: str) -> list[dict[str, str]]:
    return [{"kind": kind, "sha256": SHA256, "ref": f"file/{kind}"} for kind in kinds]


def entrusted(**more: Any) -> Dispute:
    """A suit entrusted to the township and accepted there, on 2 March."""
    dispute = Dispute().filed("2026-03-02", "court_clerk", channel="court")
    dispute.take("2026-03-02", "court_judge", "accept", number="2026-MC-1")
    asked = {"link_up": "court_entrust", "to_org": cast.ident("township"), "consents": [1, 2]}
    dispute.take("2026-03-02", "court_judge", "refer", **asked, documents=papers("entrustment_letter"), **more)
    dispute.take("2026-03-02", "township_clerk", "receive", handoff=1)
    plan = {"leader": cast.ident("township_chair"), "handler": cast.ident("township_mediator"), "plan": "先听"}
    dispute.take("2026-03-02", "township_clerk", "accept", prepare=plan | {"due_on": "2026-03-20"})
    dispute.take("2026-03-02", "township_mediator", "inform_rights")
    dispute.take("2026-03-02", "township_mediator", "start", consents=[1, 2])
    return dispute


def sweep(dispute: Dispute, on: str) -> list[str]:
    """All that the clock does on a day, as the clockwork has it: an action that is refused becomes its alarm."""
    done = []
    while dispute.asked(on):
        try:
            dispute.struck(on)
        except GuardRefused:
            dispute.desk.take("x", alarm(dispute, on), cast.CLOCK, at(on))
        done.append(msgspec.json.decode(dispute.desk.histories["x"][-1])["action"])
    return done


def alarm(dispute: Dispute, on: str) -> dict[str, Any]:
    return lapses(dispute.case, at(on), dispute.desk.orgs)[0].alarm.model_dump(mode="json", exclude_none=True)


def test_a_result_that_waits_to_be_reported_is_not_recalled() -> None:
    dispute = entrusted(report_by="2026-03-16")
    dispute.take("2026-03-15", "township_mediator", "settle", **WRITTEN, pending=True)
    assert "recall" not in sweep(dispute, "2026-03-17")
    dispute.take("2026-03-17", "township_mediator", "report", code="settled", documents=papers("agreement"))
    dispute.take(
        "2026-03-17", "court_judge", "settle", adopts=1, form="mediation_document", signed_by=[1, 2], sealed=True
    )
    assert dispute.case.agreements[0].enforceable_by


def test_an_action_that_was_refused_is_taken_once_nothing_stands_in_its_way() -> None:
    dispute = entrusted()
    dispute.take(
        "2026-03-17", "township_chair", "escalate", to_org=cast.ident("county_centre"), documents=papers("minutes")
    )
    assert sweep(dispute, "2026-03-19")[-1] == "urge"
    assert dispute.clock("TY-WT-P").alarmed
    handoff = next(h.id for h in dispute.case.handoffs if h.link_up == "escalate")
    dispute.take("2026-03-20", "township_chair", "recall", handoff=handoff)
    assert sweep(dispute, "2026-03-20") == ["fail"]


def test_what_stands_still_is_not_ended_behind_its_back() -> None:
    dispute = entrusted()
    dispute.take("2026-03-10", "township_chair", "suspend", cause="succession")
    assert set(sweep(dispute, "2026-04-20")) == {"urge"}
    dispute.take("2026-04-21", "township_chair", "resume", cause_removed=True)
    assert sweep(dispute, "2026-04-21") == ["fail"]


def test_the_receiver_does_not_change_the_form_that_the_sender_fixed() -> None:
    dispute = Dispute().filed("2026-03-02", "court_clerk", channel="court")
    dispute.take("2026-03-02", "court_judge", "accept", number="2026-MC-1")
    asked = {"link_up": "court_entrust", "to_org": cast.ident("township"), "consents": [1, 2], "variant": "summary"}
    dispute.take("2026-03-02", "court_judge", "refer", **asked, documents=papers("entrustment_letter"))
    dispute.take("2026-03-02", "township_clerk", "receive", handoff=1)
    assert dispute.clock("TY-WT-J").due_on == "2026-03-09"
    with pytest.raises(GuardRefused, match="Its sender has fixed"):
        dispute.take("2026-03-02", "township_clerk", "accept", variant="online")


def test_a_failed_entrustment_is_reported_by_the_day_its_sender_set() -> None:
    dispute = entrusted(report_by="2026-03-10")
    dispute.take("2026-03-06", "township_mediator", "fail", ground="no_agreement")
    assert dispute.clock("report").due_on == dispute.case.handoff(1).report_by == "2026-03-10"


def test_a_request_that_came_back_may_be_made_again_within_its_time() -> None:
    dispute = Dispute().filed("2026-03-02")
    dispute.take("2026-03-02", "village_mediator", "settle", **SETTLED)
    asked = {"link_up": "confirmation", "to_org": cast.ident("court"), "on_behalf_of": [1, 2]}
    dispute.take("2026-03-05", "village_mediator", "refer", **asked, documents=papers("agreement", "hosting_proof"))
    assert dispute.clock("SFQR-APP").state is ClockState.STOPPED
    dispute.take("2026-03-06", "court_clerk", "receive", handoff=1)
    dispute.take("2026-03-06", "court_clerk", "return", handoff=1, reason="papers_missing")
    assert (dispute.clock("SFQR-APP").state, dispute.clock("SFQR-APP").due_on) == (ClockState.RUNNING, "2026-04-01")


def test_what_bars_a_procedure_is_for_those_to_say_who_handle_the_case() -> None:
    dispute = Dispute().filed("2026-03-02")
    dispute.take("2026-03-02", "village_clerk", "accept")
    papers_ = papers("risk_report")
    dispute.take(
        "2026-03-02", "village_chair", "refer", link_up="alert", to_org=cast.ident("police"), documents=papers_
    )
    with pytest.raises(GuardRefused, match="Only a body that handles it"):
        dispute.take("2026-03-03", "police_officer", "note", kind="fact", text="听说", circumstances=["sham"])
    dispute.take("2026-03-03", "village_mediator", "note", kind="fact", text="查明", circumstances=["sham"])
    assert dispute.case.circumstances == ("sham",)


def test_a_limit_in_hours_acts_at_its_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    laws = altered(desks.laws())
    hourly = msgspec.structs.replace(
        laws.rules["PM-MED"][0], value=24, unit=Unit.HOUR, on_expiry=Expiry.FAIL, warn=(), extension=None
    )
    changed = Laws(dict(laws.rules) | {"PM-MED": (hourly,)}, laws.procedures, laws.calendar, {}, "c" * 64)
    monkeypatch.setattr(desks, "laws", lambda: changed)
    dispute = Dispute().filed("2026-03-02")
    dispute.take("2026-03-02", "village_clerk", "accept")
    assert dispute.clock("PM-MED").due_at == "2026-03-03T02:00:00.000000Z"
    assert sweep(dispute, "2026-03-03") == ["fail"]


def test_a_region_that_counts_from_another_moment_goes_before_the_nation_there_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    laws = desks.laws()
    local = msgspec.structs.replace(
        laws.rules["PM-MED"][0], valid_from="2020-01-01", division="1505", starts=(Moment.FILED,), value=10
    )
    rules = dict(laws.rules) | {"PM-MED": (*laws.rules["PM-MED"], local)}
    monkeypatch.setattr(desks, "laws", lambda: Laws(rules, laws.procedures, laws.calendar, {}, "d" * 64))
    dispute = Dispute().filed("2026-03-02")
    dispute.take("2026-03-02", "village_clerk", "accept")
    assert [clock.rule for clock in dispute.case.clocks if clock.going] == ["PM-MED@2020-01-01"]


def test_a_clock_whose_text_leaves_out_an_appraisal_stands_while_one_is_asked_for() -> None:
    dispute = Dispute().filed("2026-03-02", "court_clerk", channel="court")
    dispute.take("2026-03-02", "court_judge", "accept", number="2026-MC-1")
    before = dispute.clock("CT-TRIAL").due_on
    asked = {"link_up": "appraisal", "to_org": cast.ident("medical_association"), "consents": [1, 2]}
    dispute.take(
        "2026-03-10", "court_judge", "refer", **asked, on_behalf_of=[1, 2], documents=papers("application", "evidence")
    )
    assert dispute.clock("CT-TRIAL").state is ClockState.STANDING
    dispute.take("2026-03-11", "medical_association_officer", "receive", handoff=1)
    opinion = {"handoff": 1, "code": "opinion", "documents": papers("opinion")}
    dispute.take("2026-03-20", "medical_association_officer", "report", **opinion)
    assert dispute.clock("CT-TRIAL").stood == ("2026-03-10", "2026-03-19")
    assert (before, dispute.clock("CT-TRIAL").due_on) == ("2026-09-02", "2026-09-14")  # the 12th is a Saturday


def test_on_a_provisional_day_the_clock_does_nothing_that_cannot_be_undone() -> None:
    dispute = Dispute(category="labour_other")
    dispute.filed("2026-12-18", "enterprise_committee_clerk", procedure="labour_mediation")
    dispute.take("2026-12-18", "enterprise_committee_clerk", "accept")
    assert dispute.clock("LD-MED").provisional
    assert set(sweep(dispute, "2027-01-20")) == {"urge"}
    assert dispute.case.state == "accepted"


def test_a_clock_stands_still_and_stops_as_its_rule_said_when_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    laws = desks.laws()
    dispute = Dispute().filed("2026-03-02")
    dispute.take("2026-03-02", "village_clerk", "accept")
    monkeypatch.setattr(desks, "laws", lambda: Laws({}, laws.procedures, laws.calendar, {}, "e" * 64))
    dispute.take("2026-03-03", "village_chair", "suspend", cause="recusal")
    assert dispute.clock("PM-MED").state is ClockState.STANDING
    dispute.take("2026-03-05", "village_mediator", "fail", ground="no_agreement")
    assert dispute.clock("PM-MED").state is ClockState.STOPPED


def test_a_step_cites_the_rule_of_the_clock_it_moves_and_no_text_of_another_procedure() -> None:
    dispute = Dispute().filed("2026-03-02")
    dispute.take("2026-03-02", "village_clerk", "accept")
    dispute.take("2026-03-03", "village_chair", "suspend", cause="recusal")
    cited = msgspec.json.decode(dispute.desk.histories["x"][-1])["basis"]
    assert cited == ["OUR-5@2026-11-22", "PM-MED@2002-11-01"]
