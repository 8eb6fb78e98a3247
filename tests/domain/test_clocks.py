"""The clocks of a case: they keep the terms they started under, and what runs out asks for a step, once."""

from dataclasses import dataclass, field
from datetime import date
from typing import Any

import msgspec
import pytest
from tests.domain import desk as desks
from tests.domain.desk import Desk
from tests.stories import cast
from tests.stories.telling import SHA256, WALKS, Scene, command

from mediation.domain.calendar import WorkCalendar, day_of
from mediation.domain.clocks import counted, terms
from mediation.domain.errors import GuardRefused
from mediation.domain.facts import Case, Clock, Instant
from mediation.domain.lapsing import lapses, wake_at
from mediation.domain.laws import Laws
from mediation.domain.machine import knows
from mediation.domain.process import LINK_UPS, ROWS
from mediation.domain.vocabulary import (
    Action,
    ClockState,
    Expiry,
    FailGround,
    LegState,
    Letter,
    Moment,
    Silence,
    Unit,
)

SETTLED = {
    "form": "oral",
    "obligations": [{"obligor": 2, "what": "money", "amount_fen": 1, "due_on": "2026-09-01"}],
    "signed_by": [1, 2],
    "mediator_signed": True,
    "notice_given": True,
    "consents": [1, 2],
    "documents": [{"kind": "oral_register", "sha256": SHA256, "ref": "file/1"}],
}


@dataclass
class Dispute:
    """One dispute, told a step at a time by the clock on the wall."""

    division: str = "150525100201"
    category: str = "neighbour"
    desk: Desk = field(default_factory=lambda: Desk(cast.ORGANISATIONS))

    @property
    def case(self) -> Case:
        return self.desk.cases["x"]

    def take(self, on: str, who: str, action: str, **fields: Any) -> Case:
        """Take a step at ten o'clock in Shanghai on a day."""
        self.desk.take("x", {"action": action, **fields}, cast.actor(who), at(on))
        return self.case

    def filed(self, on: str, who: str = "village_clerk", **fields: Any) -> "Dispute":
        people = [{"name": "甲", "side": "applicant"}, {"name": "乙", "side": "respondent"}]
        about = {"category": self.category, "division": self.division, "parties": people, "text": "纠纷"}
        self.take(on, who, "file", **about | {"on_behalf_of": [1], "claim": [{"what": "money"}]} | fields)
        return self

    def clock(self, rule_id: str) -> Clock:
        """The newest clock of a rule, or of a day that was set."""
        return [k for k in self.case.clocks if rule_id in {k.rule.partition("@")[0], k.owed}][-1]

    def asked(self, on: str) -> list[str]:
        """What the clock would do at ten o'clock on a day."""
        return [lapse.command.action for lapse in lapses(self.case, at(on), self.desk.orgs)]

    def struck(self, on: str) -> Case:
        """The clock takes the first step that is due."""
        first = lapses(self.case, at(on), self.desk.orgs)[0].command.model_dump(mode="json", exclude_none=True)
        self.desk.take("x", first, cast.CLOCK, at(on))
        return self.case


def at(on: str) -> Instant:
    return f"{on}T02:00:00.000000Z"


def altered(laws: Laws, **changes: Any) -> Laws:
    """These laws with every rule changed alike, as a pack edited in place would have it."""
    rules = {key: tuple(msgspec.structs.replace(v, **changes) for v in of) for key, of in laws.rules.items()}
    return Laws(rules, laws.procedures, laws.calendar, laws.sources, "f" * 64)


@pytest.fixture
def other_laws(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put other laws in force at the desk."""

    def enact(laws: Laws) -> None:
        monkeypatch.setattr(desks, "laws", lambda: laws)

    return enact


def test_a_period_that_ran_out_is_told_to_the_superior_once() -> None:
    dispute = Dispute().filed("2026-03-02")
    dispute.take("2026-03-02", "village_clerk", "accept")
    assert dispute.clock("PM-MED").due_on == "2026-04-02"
    assert dispute.asked("2026-04-02") == ["urge"] * bool(dispute.clock("PM-MED").warn_on)
    while dispute.asked("2026-04-03"):
        dispute.struck("2026-04-03")
    assert dispute.clock("PM-MED").alarmed
    assert dispute.case.due_on == "2026-04-02"
    assert dispute.asked("2027-04-03") == []
    assert wake_at(dispute.case) == ""


def test_a_reminder_comes_on_each_of_its_days_and_not_twice() -> None:
    dispute = Dispute().filed("2026-03-02")
    dispute.take("2026-03-02", "village_clerk", "accept")
    warned = []
    while (wakes := wake_at(dispute.case)) < at("2026-04-02"):
        warned.append(day_of(wakes).isoformat())
        dispute.struck(warned[-1])
    assert warned == ["2026-03-26", "2026-03-30"]


def test_the_clock_speaks_of_nothing_before_its_day() -> None:
    dispute = Dispute().filed("2026-03-02")
    dispute.take("2026-03-02", "village_clerk", "accept")
    with pytest.raises(GuardRefused, match="The clock only speaks"):
        dispute.desk.take("x", {"action": "urge", "clock": 1, "leg": 1}, cast.CLOCK, at("2026-03-03"))


def test_a_clock_is_counted_under_the_terms_it_started_with_whatever_its_pack_says_later(other_laws: Any) -> None:
    laws = desks.laws()
    dispute = Dispute().filed("2026-03-02")
    dispute.take("2026-03-02", "village_clerk", "accept")
    other_laws(altered(laws, value=1, unit=Unit.WORKING_DAY))
    dispute.take("2026-03-03", "village_chair", "suspend", cause="recusal")
    dispute.take("2026-03-10", "village_chair", "resume", recusal="rejected")
    assert (dispute.clock("PM-MED").due_on, dispute.clock("PM-MED").stood) == (
        "2026-04-09",
        ("2026-03-03", "2026-03-09"),
    )
    other_laws(Laws({}, laws.procedures, laws.calendar, {}, "0" * 64))
    gone = terms(desks.laws(), dispute.clock("PM-MED"), "")
    assert counted(desks.laws(), dispute.clock("PM-MED"), gone)[-1].on == "2026-04-09"


def test_a_change_of_the_packs_changes_nothing_in_the_past(other_laws: Any) -> None:
    before = desks.laws()
    dispute = Dispute()
    scene = Scene(cast.ident, dispute.desk.cases)
    for step in WALKS[1].steps:
        if not step.refused:
            name = step.case
            dispute.desk.take(name, command(WALKS[1], step, scene), cast.actor(step.who), WALKS[1].instant(step))
    told = dict(dispute.desk.cases)
    other_laws(altered(before, value=99, unit=Unit.YEAR))
    assert {name: dispute.desk.replayed(name) for name in told} == told


def test_an_event_that_counts_a_day_names_the_set_of_laws() -> None:
    dispute = Dispute().filed("2026-03-02")
    dispute.take("2026-03-02", "village_clerk", "accept")
    counting = [msgspec.json.decode(data) for data in dispute.desk.histories["x"]]
    assert counting[-1]["attrs"]["laws"] == desks.laws().digest
    dispute.take("2026-03-03", "village_clerk", "note", kind="visit", text="走访")
    assert "laws" not in msgspec.json.decode(dispute.desk.histories["x"][-1])["attrs"]


def test_a_day_of_a_year_without_notice_is_provisional_until_the_clock_counts_it_anew(other_laws: Any) -> None:
    laws = desks.laws()
    dispute = Dispute().filed("2026-12-02")
    dispute.take("2026-12-02", "village_clerk", "accept")
    assert (dispute.clock("PM-MED").due_on, dispute.clock("PM-MED").provisional) == ("2027-01-04", True)
    noticed = WorkCalendar(
        laws.calendar.rest | {date(2027, 1, 4), date(2027, 10, 1)}, laws.calendar.work, laws.calendar.years | {2027}
    )
    other_laws(Laws(laws.rules, laws.procedures, noticed, laws.sources, "a" * 64))
    clock = dispute.clock("PM-MED").id
    dispute.desk.take("x", {"action": "correct", "clocks": [clock], "leg": 1}, cast.CLOCK, at("2026-12-10"))
    assert (dispute.clock("PM-MED").due_on, dispute.clock("PM-MED").provisional) == ("2027-01-05", False)
    assert dispute.desk.replayed("x") == dispute.case


def test_the_clock_corrects_nothing_but_its_own_count() -> None:
    dispute = Dispute().filed("2026-03-02")
    with pytest.raises(GuardRefused, match="only counts clocks anew"):
        dispute.desk.take("x", {"action": "correct", "category": "contract", "leg": 1}, cast.CLOCK, at("2026-03-03"))


def test_a_party_s_right_that_ran_out_is_lost_and_says_so_once() -> None:
    dispute = Dispute().filed("2026-03-02")
    dispute.take("2026-03-02", "village_mediator", "settle", **SETTLED)
    assert dispute.clock("SFQR-APP").due_on == "2026-04-01"
    assert dispute.clock("performance").due_on == "2026-09-01"
    while dispute.asked("2026-04-02"):
        dispute.struck("2026-04-02")
    assert dispute.clock("SFQR-APP").state is ClockState.LAPSED
    assert dispute.case.due_on == "2026-09-01"


def test_an_application_that_was_posted_in_time_is_in_time() -> None:
    dispute = Dispute().filed("2026-03-02")
    dispute.take("2026-03-02", "village_mediator", "settle", **SETTLED)
    papers = [{"kind": kind, "sha256": SHA256, "ref": f"file/{kind}"} for kind in ("agreement", "hosting_proof")]
    asked = {"link_up": "confirmation", "to_org": cast.ident("court"), "on_behalf_of": [1, 2], "documents": papers}
    with pytest.raises(GuardRefused, match="Out of time"):
        dispute.take("2026-04-07", "village_mediator", "refer", **asked, posted_on="2026-04-02")
    assert dispute.take("2026-04-07", "village_mediator", "refer", **asked, posted_on="2026-04-01").handoffs


def test_every_action_on_expiry_is_a_legal_step_of_the_clock() -> None:
    clocks = {row.action for row in ROWS if Letter.CLOCK in row.who}
    laws = desks.laws()
    for versions in laws.rules.values():
        for rule in versions:
            if not (rule.starts and rule.value):
                continue
            assert rule.on_expiry is not None, rule.version
            assert Action(rule.on_expiry.value) in clocks, rule.version
            if rule.on_expiry is Expiry.FAIL:
                assert knows(Action.FAIL, LegState.MEDIATING.value)
                for procedure in (v for name in rule.procedures for v in laws.procedures[name]):
                    assert procedure.mediates, rule.version
                    assert not procedure.fail_grounds or FailGround.PERIOD_OVER in procedure.fail_grounds, rule.version


def test_every_silence_on_a_hand_off_is_an_act_of_the_clock() -> None:
    answers = {rule.id: rule for of in desks.laws().rules.values() for rule in of if Moment.OFFERED in rule.starts}
    assert answers["ZX-CNF"].on_expiry is Expiry.RETURN
    acts = {Silence.BACK: Action.RETURN, Silence.ALARM: Action.URGE, Silence.DEEMED: Action.ACCEPT}
    clocks = {row.action for row in ROWS if Letter.CLOCK in row.who}
    assert {acts[row.silence] for row in LINK_UPS.values()} <= clocks
