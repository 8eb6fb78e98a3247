"""The working copy of one step: what it changes so far, the case as it would then stand, and the clocks it moves."""

from collections.abc import Iterable
from datetime import date
from typing import Any, NamedTuple

from msgspec import structs

from mediation.domain.calendar import day_of
from mediation.domain.commands import Command
from mediation.domain.deadlines import Laws, Procedure
from mediation.domain.events import HEADER, PARTS, merge
from mediation.domain.facts import Actor, Agreement, Case, Clock, Day, Handoff, Leg, Organisation
from mediation.domain.vocabulary import (
    AgreementState,
    ClaimState,
    ClockState,
    HandoffState,
    LegState,
    Letter,
    Mode,
    Outcome,
    Role,
)


class Step(NamedTuple):
    """One asked-for step with all that guards and effects may look at."""

    case: Case
    leg: Leg | None
    handoff: Handoff | None
    agreement: Agreement | None
    command: Command
    actor: Actor
    role: Role
    letter: Letter
    at: str
    laws: Laws
    orgs: "dict[str, Organisation]"
    other: Case | None = None
    case_number: str = ""
    people: "dict[str, frozenset[str]]" = {}  # noqa: RUF012  never written to

    @property
    def on(self) -> date:
        """The legal day of the step."""
        return day_of(self.at)

    @property
    def here(self) -> Leg:
        """The leg it is about; LookupError where it opens one."""
        if self.leg is None:
            raise LookupError(self.command)
        return self.leg

    @property
    def procedure(self) -> Procedure | None:
        """The procedure of the leg."""
        return self.laws.procedures.get(self.leg.procedure) if self.leg else None

    @property
    def org(self) -> Organisation:
        """The actor's body."""
        return self.orgs[self.actor.org]

    @property
    def concerned(self) -> tuple[int, ...]:
        """Parties, not gone, with a claim of the leg (or named) on either side."""
        numbers = self.command.claims or (self.leg.claims if self.leg else ())
        claims = [claim for claim in self.case.claims if claim.id in numbers]
        named = {party for claim in claims for party in (*claim.by, *claim.against)}
        present = [party.id for party in self.case.present]
        return tuple(party for party in present if party in named) if named else tuple(present)


_DEFAULTS = {part: {field.name: field.default for field in structs.fields(kind)} for part, kind in PARTS.items()}


class Draft:
    """Collects changes by part and number; `case` is the case with all of them."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.case = step.case
        self.day: Day = step.on.isoformat()
        self.basis: list[str] = []
        self.notes: dict[str, Any] = {}
        self._parts: dict[str, dict[int, dict[str, Any]]] = {}
        self._header: dict[str, Any] = {}

    def put(self, part: str, number: int, /, **facts: Any) -> None:  # noqa: ANN401 - facts of any part
        """Change facts of one part."""
        self._parts.setdefault(part, {}).setdefault(number, {"id": number}).update(facts)
        self.case = merge(self.case, {part: [{"id": number, **facts}]})

    def add(self, part: str, /, **facts: Any) -> int:  # noqa: ANN401 - facts of any part
        """Add a part, leaving out what equals its default; its number."""
        number = len(getattr(self.case, part)) + 1
        defaults = _DEFAULTS[part]
        self.put(part, number, **{name: value for name, value in facts.items() if value != defaults[name]})
        return number

    def header(self, **facts: Any) -> None:  # noqa: ANN401 - facts of any part
        """Change header facts."""
        assert facts.keys() <= HEADER  # noqa: S101 - a programming error, not an input
        self._header.update(facts)
        self.case = merge(self.case, {"case": facts})

    def attrs(self) -> dict[str, Any]:
        """The event's attributes: notes, then every part that moved."""
        parts = {name: [facts[number] for number in sorted(facts)] for name, facts in self._parts.items()}
        return {**self.notes, **({"case": self._header} if self._header else {}), **parts}

    # -- legs ---------------------------------------------------------------------------------------------------

    def leg(self, number: int) -> Leg:
        """The leg as it stands in the draft."""
        return self.case.leg(number)

    def procedure(self, leg: Leg) -> Procedure | None:
        """Its procedure."""
        return self.step.laws.procedures.get(leg.procedure)

    def open_leg(self, org: Organisation, procedure: Procedure, claims: Iterable[int], **facts: Any) -> int:  # noqa: ANN401 - facts of a leg
        """∅ → filed: a leg at a body, naming the claims of kinds its procedure takes."""
        kinds = procedure.claim_kinds
        number = self.add(
            "legs",
            org=org.id,
            procedure=procedure.id,
            track=procedure.track,
            tier=org.tier,
            decides=procedure.decides,
            claims=tuple(c for c in claims if self.case.claim(c).kind in kinds),
            filed_on=self.day,
            **facts,
        )
        self.start_clock(procedure.accept_clock, leg=number)
        if procedure.conclude_from == "file" or (procedure.conclude_from == "receive" and facts.get("via")):
            self.start_clock(procedure.conclude_clock, leg=number)
        return number

    def release(self, number: int, claims: Iterable[int], outcome: Outcome) -> None:
        """R2 on another leg: it lets go of claims, recalls its hand-offs on them, and stands as what is left says."""
        leg = self.leg(number)
        gone = set(claims)
        self.recall_down(number, gone)
        self.put("legs", number, claims=tuple(c for c in leg.claims if c not in gone))
        leg = self.leg(number)
        if self.case.open_claims(leg):
            return
        if self.case.unfinished(number):
            self.put("legs", number, state=LegState.SETTLED)
            self.stop_clocks(number)
        else:
            self.end(number, outcome)

    def end(self, number: int, outcome: Outcome) -> None:
        """The leg ends: its clocks stop, it holds nothing, and a hand-off that hung on it is resolved."""
        self.put("legs", number, state=LegState.ENDED, outcome=outcome.value, claims=())
        self.stop_clocks(number)
        self.settle_handoff_of(number, outcome.value)

    def recall_down(self, number: int, claims: set[int]) -> None:
        """Recall the live `ends`/`waits` hand-offs of a leg on these claims, down the chain."""
        for handoff in self.case.handoffs:
            if handoff.from_leg != number or not handoff.holds or (handoff.claims and not claims & set(handoff.claims)):
                continue
            self.put("handoffs", handoff.id, state=HandoffState.RECALLED)
            if handoff.to_leg and self.leg(handoff.to_leg).open:
                self.release(handoff.to_leg, self.leg(handoff.to_leg).claims, Outcome.RECALLED)

    # -- claims -------------------------------------------------------------------------------------------------

    def reopen_claims(self, agreement: Agreement) -> None:
        """The claims of an agreement that fell are open again; its host holds them unless another leg does."""
        host = self.leg(agreement.leg)
        standing = [a for a in self.case.agreements if a.unfinished or a.state is AgreementState.PERFORMED]
        covered = {number for a in standing if a.id != agreement.id for number in a.claims}
        for number in agreement.claims:
            if self.case.claim(number).state in {ClaimState.DECIDED, ClaimState.DROPPED} or number in covered:
                continue
            self.put("claims", number, state="open")
            held = any(number in leg.claims for leg in self.case.legs if leg.taken and leg.id != host.id)
            if host.open and not held and number not in self.leg(host.id).claims:
                self.put("legs", host.id, claims=tuple(sorted((*self.leg(host.id).claims, number))))

    # -- hand-offs ----------------------------------------------------------------------------------------------

    def follow_duty(self, sender: int, receiver: int) -> None:
        """Whoever takes over an entrusted leg by a transfer owes its report (process.md §5)."""
        to_org = self.leg(receiver).org
        for handoff in self.case.handoffs:
            owed = handoff.state is HandoffState.TAKEN and handoff.to_leg == sender
            if owed and (handoff.owes or handoff.mode is Mode.WAITS):
                self.put("handoffs", handoff.id, to_leg=receiver, to_org=to_org)

    def settle_handoff_of(self, number: int, report: str) -> None:
        """An ended leg's own hand-off: returned before acceptance, answered after it."""
        leg = self.leg(number)
        if leg.via and self.case.handoff(leg.via).to_leg == number:
            handoff = self.case.handoff(leg.via)
            if handoff.unanswered:
                self.put("handoffs", handoff.id, state=HandoffState.RETURNED, report=report)
            elif handoff.state is HandoffState.TAKEN and handoff.mode is not Mode.ENDS:
                self.put("handoffs", handoff.id, state=HandoffState.ANSWERED, report=report)

    # -- clocks -------------------------------------------------------------------------------------------------

    def start_clock(self, rule_id: str, *, leg: int = 0, agreement: int = 0, on: Day = "") -> None:
        """Start a clock under the version of its rule in force on the day it starts."""
        start = on or self.day
        rule = self.step.laws.rule(rule_id, date.fromisoformat(start)) if rule_id else None
        if rule is None:
            return
        due = self.step.laws.due(rule, date.fromisoformat(start))
        self.add(
            "clocks",
            rule=rule.version,
            leg=leg,
            agreement=agreement,
            from_on=start,
            due_on=due.on.isoformat(),
            provisional=due.provisional,
        )
        self.basis.append(rule.version)

    def stop_clocks(self, leg: int = 0, *, agreement: int = 0, rule_id: str = "") -> None:
        """Stop the running and standing clocks of a leg or an agreement, all or those of one rule."""
        for clock in self.case.clocks:
            mine = (leg and clock.leg == leg) or (agreement and clock.agreement == agreement)
            if mine and clock.state in {ClockState.RUNNING, ClockState.STANDING}:
                if rule_id and not clock.rule.startswith(f"{rule_id}@"):
                    continue
                self.put("clocks", clock.id, state=ClockState.STOPPED)

    def stand_clocks(self, leg: int) -> None:
        """The clocks of a leg stand still from today."""
        for clock in self.case.clocks:
            if clock.leg == leg and clock.state is ClockState.RUNNING:
                self.put("clocks", clock.id, state=ClockState.STANDING, standing_on=self.day)

    def resume_clocks(self, leg: int) -> None:
        """The clocks of a leg run on; the days they stood are added."""
        for clock in self.case.clocks:
            if clock.leg == leg and clock.state is ClockState.STANDING:
                stood = clock.stood + (self.step.on - date.fromisoformat(clock.standing_on)).days
                self.put("clocks", clock.id, state=ClockState.RUNNING, standing_on="", stood=stood)
                self.recount(clock.id)

    def recount(self, number: int) -> None:
        """Compute the due day of a clock anew from its start, the days it stood and its extension."""
        clock: Clock = self.case.clocks[number - 1]
        rule = self.step.laws.version(clock.rule)
        if rule is not None:
            due = self.step.laws.due(rule, date.fromisoformat(clock.from_on), clock.stood, clock.extended)
            self.put("clocks", number, due_on=due.on.isoformat(), provisional=due.provisional)
