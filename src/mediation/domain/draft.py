"""The working copy of one step: how legs, claims, agreements and hand-offs move together."""

from collections.abc import Iterable
from typing import Any

from mediation.domain.facts import Agreement, Handoff, Leg, Organisation
from mediation.domain.laws import Procedure
from mediation.domain.steps import procedure_of
from mediation.domain.timing import Timing
from mediation.domain.vocabulary import (
    AgreementState,
    Circumstance,
    ClaimState,
    Expiry,
    HandoffState,
    LegState,
    LinkUp,
    Mode,
    Moment,
    Outcome,
    Sensitive,
    SuspendCause,
)


class Draft(Timing):
    """The working copy of one step: how legs, claims and hand-offs move together."""

    # -- legs ---------------------------------------------------------------------------------------------------

    def find(self, circumstances: Iterable[Circumstance], sensitive: Iterable[Sensitive] = ()) -> None:
        """Circumstances found, and why fewer people may see the case, are on record from now on."""
        for name, words in (("circumstances", circumstances), ("sensitive", sensitive)):
            known = {*getattr(self.case, name), *words}
            if known != set(getattr(self.case, name)):
                self.header(**{name: tuple(sorted(word.value for word in known))})

    def procedure(self, leg: Leg) -> Procedure | None:
        """Its procedure."""
        return procedure_of(self.step, leg)

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
            rule=procedure.version,
            claims=tuple(c for c in claims if self.case.claim(c).kind in kinds),
            filed_on=self.day,
            **facts,
        )
        self.happens(Moment.FILED, leg=number)
        if facts.get("via"):
            self.happens(Moment.RECEIVED, leg=number)
        return number

    def release(self, number: int, claims: Iterable[int], outcome: Outcome) -> None:
        """R2 on another leg: it lets go of claims, recalls its hand-offs on them, and stands as what is left says."""
        leg = self.leg(number)
        gone = set(claims)
        self.recall_down(number, gone)
        if outcome is Outcome.RECALLED and leg.via:  # what was agreed goes back with the file
            for agreement in self.case.agreements:
                if agreement.leg == number and agreement.state is AgreementState.PENDING:
                    self.put("agreements", agreement.id, leg=self.case.handoff(leg.via).from_leg)
        self.put("legs", number, claims=tuple(c for c in leg.claims if c not in gone))
        leg = self.leg(number)
        if self.case.open_claims(leg):
            return
        if self.case.unfinished(number):
            self.put("legs", number, state=LegState.SETTLED)
            self.happens(Moment.CONCLUDED, leg=number)
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
            self.move_handoff(handoff.id, HandoffState.RECALLED)
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

    def move_handoff(self, number: int, state: HandoffState, **facts: Any) -> None:  # noqa: ANN401 - facts of a hand-off
        """A hand-off moves on; the clocks that waited for it stop."""
        self.put("handoffs", number, state=state, **facts)
        handoff = self.case.handoff(number)
        if state is not HandoffState.RECEIVED:
            self.stop_clocks(handoff=number, owed="" if not handoff.live else "answer")
        if state in {HandoffState.RETURNED, HandoffState.RECALLED}:
            self._right_again(handoff)
        if not handoff.live:
            self.rouse(leg=handoff.from_leg)
            self._appraised(handoff)

    def _appraised(self, handoff: Handoff) -> None:
        """The last appraisal is in, or is not to come: the clocks that stood for it run on."""
        asked = [h for h in self.case.handoffs if h.link_up is LinkUp.APPRAISAL and h.from_leg == handoff.from_leg]
        suspended = self.leg(handoff.from_leg).state is LegState.SUSPENDED
        if handoff in asked and not suspended and not any(h.live for h in asked):
            self.resume_clocks(handoff.from_leg)
            if self.leg(handoff.from_leg).state is LegState.MEDIATING:  # what stands for the mediation goes on standing
                self.stand_clocks(handoff.from_leg, SuspendCause.MEDIATION)

    def follow_duty(self, sender: int, receiver: int) -> None:
        """Whoever takes over an entrusted leg by a transfer owes its report (process.md §5)."""
        to_org = self.leg(receiver).org
        for handoff in self.case.handoffs:
            owed = handoff.state is HandoffState.TAKEN and handoff.to_leg == sender
            if owed and (handoff.owes or handoff.mode is Mode.WAITS):
                self.put("handoffs", handoff.id, to_leg=receiver, to_org=to_org)
                known = any(clock.handoff == handoff.id and clock.going for clock in self.case.clocks)
                if handoff.report_by and not known:
                    self.set_day("report", handoff.report_by, Expiry.URGE, handoff=handoff.id)

    def settle_handoff_of(self, number: int, report: str) -> None:
        """An ended leg's own hand-off: returned before acceptance, answered after it."""
        leg = self.leg(number)
        if leg.via and self.case.handoff(leg.via).to_leg == number:
            handoff = self.case.handoff(leg.via)
            if handoff.unanswered:
                self.move_handoff(handoff.id, HandoffState.RETURNED, report=report)
            elif handoff.state is HandoffState.TAKEN and handoff.mode is not Mode.ENDS:
                self.move_handoff(handoff.id, HandoffState.ANSWERED, report=report)
