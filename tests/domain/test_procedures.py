"""Every procedure as data: what it must refuse is refused with its article, and what comes next can be done."""

from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple, cast
from uuid import NAMESPACE_URL, uuid5

import pytest
from tests.domain.desk import Desk, laws

from mediation.domain import machine
from mediation.domain.acceptance import allowed_next, articles_of
from mediation.domain.errors import GuardRefused, Reason
from mediation.domain.facts import Actor, Case, Organisation
from mediation.domain.laws import Ground, Laws, Procedure
from mediation.domain.process import LINK_UPS, cite_zh
from mediation.domain.steps import Step
from mediation.domain.vocabulary import (
    Action,
    Category,
    Circumstance,
    Expiry,
    FailGround,
    Label,
    LegState,
    LinkUp,
    NoteKind,
    OrgKind,
    Outcome,
    Role,
    Tier,
)

COUNTY = "150525"
ROLES = (Role.CLERK, Role.OFFICER, Role.JUDGE, Role.ARBITRATOR, Role.CHAIR)
VERSIONS = [version for versions in laws().procedures.values() for version in versions]
GROUNDS = [(version, ground) for version in VERSIONS for ground in version.refuses]
LINKS = {link_up.value for link_up in LinkUp}


def named(version: Procedure) -> str:
    """How a version is shown in a test's name."""
    return f"{version.version}{version.division and f'/{version.division}'}"


class Office(NamedTuple):
    """A body with somebody in it who may do what its kind does."""

    body: Organisation
    person: Actor


@cache
def office(kind: OrgKind, tier: Tier = Tier.COUNTY, division: str = COUNTY, speciality: str = "") -> Office:
    """A body of this kind, tier and place."""
    code = f"{division}-{kind}-{speciality or '01'}"
    ident = str(uuid5(NAMESPACE_URL, f"{code}-{tier}"))
    body = Organisation(
        id=ident, code=code, name=f"{kind.zh}甲", kind=kind, tier=tier, division=division, speciality=speciality
    )
    return Office(body, Actor(person="11111111-1111-4111-8111-111111111111", org=ident, roles=ROLES))


def office_of(version: Procedure) -> Office:
    """A body that may conduct this version."""
    division = (version.division or COUNTY).ljust(6, "0") if len(version.division) < 6 else version.division
    tier = Tier.COUNTY if not version.tiers or Tier.COUNTY in version.tiers else version.tiers[0]
    return office(version.kinds[0], tier, division, version.speciality)


class Story:
    """One dispute told to one or more bodies by `decide`."""

    def __init__(self, day: str, *offices: Office) -> None:
        self.desk = Desk({one.body.id: one.body for one in offices})
        self.day = day
        self.minute = 0

    def take(self, at: Office, action: str, **fields: Any) -> Case:
        """Take a step at a body, a minute after the one before."""
        self.minute += 1
        moment = f"{self.day}T02:{self.minute:02}:00.000000Z"
        self.desk.take("x", {"action": action, **fields}, at.person, moment)
        return self.desk.cases["x"]

    def file(self, at: Office, version: Procedure, claims: int = 1) -> Case:
        """File a dispute the version takes, naming its procedure."""
        return self.take(
            at,
            "file",
            procedure=version.id,
            category=(version.categories or ("other",))[0],
            division=at.body.division,
            parties=[{"name": "甲", "side": "applicant"}, {"name": "乙", "side": "respondent"}],
            claim=[{"what": "money", "amount_fen": 100}] * claims,
            on_behalf_of=[1],
            text="纠纷",
        )

    def refused(self, at: Office, action: str, **fields: Any) -> dict[str, Reason]:
        """Why the step is refused, by code."""
        with pytest.raises(GuardRefused) as found:
            self.take(at, action, **fields)
        return {reason.code: reason for reason in found.value.reasons}


def at_the_step(version: Procedure, ground: Ground) -> tuple[Story, Office]:
    """A dispute that stands where this ground is asked: before it is taken, or taken and not yet mediated."""
    here = office_of(version)
    story = Story(version.valid_from, here)
    assert story.file(here, version).legs[0].rule == version.version
    if ground.at == "start":
        story.take(here, "accept")
    return story, here


@pytest.mark.parametrize(("version", "ground"), GROUNDS, ids=lambda one: getattr(one, "when", None) or named(one))
def test_every_ground_of_refusal_refuses_with_its_article(version: Procedure, ground: Ground) -> None:
    story, here = at_the_step(version, ground)
    reason = story.refused(here, ground.at, circumstances=[ground.when.value])[f"barred_{ground.when}"]
    assert ground.zh in reason.zh
    assert ground.en in reason.en
    assert reason.basis == cite_zh(ground.basis)
    assert reason.guard == "G2"


@pytest.mark.parametrize("version", VERSIONS, ids=named)
def test_without_a_circumstance_on_record_no_ground_bars_the_procedure(version: Procedure) -> None:
    here = office_of(version)
    story = Story(version.valid_from, here)
    story.file(here, version)
    assert story.take(here, "accept").legs[0].state in {LegState.ACCEPTED, LegState.DECIDING}


@pytest.mark.parametrize("version", VERSIONS, ids=named)
def test_a_procedure_says_what_it_takes_what_its_outcome_is_worth_and_what_comes_next(version: Procedure) -> None:
    assert version.accepts
    assert version.effect_zh
    assert version.effect_en
    assert version.next
    assert version.papers
    assert all(cite_zh(article) for article in articles_of(version))
    assert articles_of(version)
    assert bool(version.decisions) is version.decides is (Outcome.DECIDED in version.outcomes)
    assert bool(version.fail_grounds) is version.mediates
    assert set(version.articles) <= set(Action)
    assert all(ground.at in {"accept", "start"} for ground in version.refuses)
    assert len({(ground.when, ground.at) for ground in version.refuses}) == len(version.refuses)


@pytest.mark.parametrize("version", VERSIONS, ids=named)
def test_what_comes_next_is_an_action_of_the_table_or_a_link_up_such_a_body_may_send(version: Procedure) -> None:
    for code in version.next:
        if code in LINKS and code not in set(Action):
            assert LINK_UPS[LinkUp(code)].senders & set(version.kinds), code
        elif code not in LINKS:
            assert any(machine.knows(Action(code), state) for state in (*(s.value for s in LegState), "none")), code
    assert (Action.DECIDE in version.next) is version.decides


@pytest.mark.parametrize("version", VERSIONS, ids=named)
def test_a_link_up_that_is_not_among_the_next_is_refused_and_the_others_are_named(version: Procedure) -> None:
    here = office_of(version)
    story = Story(version.valid_from, here)
    case = story.file(here, version)
    step = cast("Step", SimpleNamespace(procedure=laws().procedure_of(case.legs[0], here.body.division)))
    for link_up in LinkUp:
        found = [reason.code for reason in allowed_next(step, link_up)]
        assert found == ([] if link_up.value in version.next else ["not_next"])


def test_every_circumstance_bars_some_procedure() -> None:
    assert {ground.when for _, ground in GROUNDS} == set(Circumstance)


def test_every_excluded_procedure_excludes_or_is_displaced_by_the_other() -> None:
    for version in VERSIONS:
        for other in version.excludes:
            theirs = laws().procedures[other][-1]
            assert version.id in theirs.excludes or theirs.displaces or version.displaces


def test_what_a_clock_does_to_a_mediation_the_procedure_lists() -> None:
    for versions in laws().rules.values():
        for rule in versions:
            if rule.on_expiry is Expiry.FAIL:
                for procedure in rule.procedures:
                    assert all(FailGround.PERIOD_OVER in one.fail_grounds for one in laws().procedures[procedure])


def test_what_is_not_read_in_the_text_says_what_is_open_about_it() -> None:
    for version in VERSIONS:
        assert version.doubt or (version.label is Label.P and version.text), named(version)


def on(day: str, procedure: str, division: str = COUNTY) -> str:
    """The version of a procedure in force on a day in a place."""
    found = laws().procedure(procedure, day, division)
    return found.version if found else ""


@pytest.mark.parametrize(
    ("procedure", "last", "first"),
    [
        ("court_entrusted", "2024-12-31", "2025-01-01"),
        ("court_delegated", "2024-12-31", "2025-01-01"),
        ("public_security", "2025-12-31", "2026-01-01"),
        ("consumer", "2026-04-14", "2026-04-15"),
    ],
)
def test_a_change_of_the_law_is_another_version_from_its_day(procedure: str, last: str, first: str) -> None:
    before, after = laws().procedure(procedure, last, COUNTY), laws().procedure(procedure, first, COUNTY)
    assert before is not None
    assert after is not None
    assert before.valid_to == last
    assert after.valid_from == first
    assert (before.label, before.basis) != (after.label, after.basis)


def test_a_complaint_of_the_last_day_is_refused_by_the_old_list_and_one_of_the_next_by_the_new() -> None:
    here = office(OrgKind.MARKET_REGULATOR)
    found = {"circumstances": ["false_materials", "not_consumer"]}
    for day, codes, text in (
        ("2026-04-14", {"barred_not_consumer"}, "CON-15"),
        ("2026-04-15", {"barred_not_consumer", "barred_false_materials"}, "CNR-16"),
    ):
        version = laws().procedure("consumer", day, COUNTY)
        assert version is not None
        story = Story(day, here)
        story.file(here, version)
        story.day = "2026-04-20"
        reasons = story.refused(here, "accept", **found)
        assert reasons.keys() == codes
        assert {reason.basis for reason in reasons.values()} == {cite_zh(text)}


def test_a_region_s_own_law_goes_before_the_nation_s() -> None:
    assert on("2026-03-02", "people", "330203001002") == "people@2015-06-01"
    assert on("2026-03-02", "people") == "people@2011-01-01"
    assert on("2026-03-02", "award_review", "330108") == "award_review@2016-01-01"
    assert on("2026-03-02", "award_review") == "award_review@2017-07-01"
    assert on("2026-03-02", "administrative", "440305") == "administrative@2022-05-01"
    assert on("2026-03-02", "forest_rights", "440100") == "forest_rights@2016-05-01"
    assert on("2026-03-02", "forest_rights") == ""


def test_a_circumstance_noted_before_is_asked_when_the_case_is_to_be_taken() -> None:
    version = laws().procedures["people"][0]
    here = office_of(version)
    story = Story("2026-03-02", here)
    story.file(here, version)
    note = {"kind": NoteKind.FACT.value, "text": "法院已立案", "circumstances": ["handled_elsewhere"]}
    assert story.take(here, "note", **note).circumstances == ("handled_elsewhere",)
    assert story.refused(here, "accept").keys() == {"barred_handled_elsewhere"}


def test_a_circumstance_that_is_gone_is_corrected_and_bars_nothing_more() -> None:
    version = laws().procedures["medical_people"][0]
    here = office_of(version)
    story = Story("2026-03-02", here)
    story.file(here, version)
    story.take(here, "note", kind="fact", text="已起诉", circumstances=["in_litigation"])
    assert story.refused(here, "accept").keys() == {"barred_in_litigation"}
    assert story.take(here, "correct", text="已撤诉", circumstances=[]).circumstances == ()
    assert story.take(here, "accept").legs[0].state is LegState.ACCEPTED


def test_a_dispute_does_not_go_on_by_a_link_up_that_does_not_follow_its_procedure() -> None:
    version = laws().procedures["traffic"][0]
    here, committee = office_of(version), office(OrgKind.PEOPLE_COMMITTEE)
    story = Story("2026-03-02", here, committee)
    story.file(here, version)
    story.take(here, "accept")
    papers = [{"kind": "transfer_letter", "sha256": "0" * 64, "ref": "file-1"}]
    asked = {"to_org": committee.body.id, "consents": [1, 2], "documents": papers}
    reason = story.refused(here, "refer", link_up="petition", **asked)["not_next"]
    assert reason.guard == "G10"
    assert "行调→人调" in reason.zh
    assert "not_next" not in story.refused(here, "refer", link_up="agency_entrust", **asked)


def test_a_new_violation_during_police_mediation_ends_it_there() -> None:
    version = laws().procedures["public_security"][-1]
    here = office(OrgKind.POLICE)
    story = Story("2026-03-02", here)
    story.file(here, version)
    story.take(here, "accept")
    story.take(here, "start", consents=[1, 2])
    story.take(here, "note", kind="fact", text="又动手", circumstances=["new_violation"])
    settled = {
        "obligations": [{"obligor": 2, "what": "apology", "due_on": "2026-03-20"}],
        "signed_by": [1, 2],
        "mediator_signed": True,
    }
    assert "barred_new_violation" in story.refused(here, "settle", **settled)


def test_a_body_of_the_wrong_tier_or_speciality_reads_whose_it_is_with_the_article() -> None:
    land, medical = laws().procedures["land_mediation"][0], laws().procedures["medical_people"][0]
    county, other = office(OrgKind.GOVERNMENT), office(OrgKind.INDUSTRY_COMMITTEE, speciality="road_traffic")
    story = Story("2026-03-02", county)
    story.file(county, land)
    reason = story.refused(county, "accept")["not_competent_tier"]
    assert "村(居)、乡镇(街道)" in reason.zh
    assert "农村土地承包经营纠纷调解仲裁法第3条" in reason.basis
    story = Story("2026-03-02", other)
    story.file(other, medical)
    assert "医疗纠纷预防和处理条例第31条" in story.refused(other, "accept")["not_competent_speciality"].basis


def test_two_forums_that_exclude_each_other_are_not_open_at_once_even_on_different_claims() -> None:
    committee = office(OrgKind.INDUSTRY_COMMITTEE, speciality="medical")
    health, court = office(OrgKind.HEALTH_AUTHORITY), office(OrgKind.COURT)
    story = Story("2026-03-02", committee, health, court)
    story.file(committee, laws().procedures["medical_people"][0], claims=2)
    story.take(committee, "accept", claims=[1])
    story.take(health, "file", case_code="x", claims=[2], on_behalf_of=[1])
    reason = story.refused(health, "accept", leg=2)["rival_open"]
    assert "医疗纠纷人民调解" in reason.zh
    assert reason.basis == cite_zh("MED-40")
    story.take(court, "file", case_code="x", claims=[2], on_behalf_of=[1])
    assert story.take(court, "accept", leg=3).legs[2].state is LegState.DECIDING


def test_a_body_that_may_name_a_procedure_does_not_choose_it_by_itself() -> None:
    chosen = laws().default_procedure(OrgKind.PEOPLE_COMMITTEE, Category.LABOUR_OTHER, "", "2026-03-02", COUNTY)
    assert chosen is not None
    assert chosen.id == "people"
    named_there = laws().procedure("labour_mediation", "2026-03-02", COUNTY)
    assert named_there is not None
    assert OrgKind.PEOPLE_COMMITTEE in named_there.kinds


@pytest.mark.parametrize("division", [COUNTY, "330203", "440305", "210102", "330108"])
@pytest.mark.parametrize("kind", OrgKind)
def test_no_body_has_two_equally_special_procedures_to_choose_from(kind: OrgKind, division: str) -> None:
    in_reverse = Laws(laws().rules, dict(reversed(list(laws().procedures.items()))), laws().calendar, {}, "")
    for category in Category:
        for speciality in ("", "medical", "road_traffic"):
            asked = kind, category, speciality, "2026-03-02", division
            assert laws().default_procedure(*asked) == in_reverse.default_procedure(*asked), (category, speciality)
